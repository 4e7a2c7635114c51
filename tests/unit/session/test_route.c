/* The route table: each row gives the treatment of its command, and no command is treated
 * otherwise. */
#include "../cmocka_all.h"

#include <string.h>

#include "session/awaiting.h"
#include "session/bulk_results.h"
#include "session/collection_changes.h"
#include "session/hellos.h"
#include "session/logins.h"
#include "session/proxy_status.h"
#include "session/route.h"
#include "session/session_ends.h"
#include "session/statements.h"
#include "session/write.h"

static const struct route *find(const char *name)
{
    return route_of(command_name_find(name, strlen(name)));
}

static bool has_row(const char *name)
{
    return find(name) != route_of(COMMAND_UNKNOWN);
}

static void a_command_is_counted_as_its_row(void **state)
{
    (void)state;
    size_t rows = 0;
    assert_int_equal(route_counted_as(COMMAND_UNKNOWN), COMMAND_UNKNOWN);
    for (size_t i = 1; i < COMMAND_NAME_COUNT; i++) {
        enum command_name counted = route_counted_as((enum command_name)i);
        assert_true(counted == (enum command_name)i || counted == COMMAND_UNKNOWN);
        assert_ptr_equal(route_of(counted), route_of((enum command_name)i));
        assert_true(route_of(counted)->pause != ROUTE_NO_ROW);
        rows += counted != COMMAND_UNKNOWN;
    }
    assert_int_equal(rows, 62);
}

static void assert_route(const char *name, const struct route *expected)
{
    const struct route *route = find(name);
    assert_true(has_row(name));
    assert_true(route->request == expected->request && route->reply == expected->reply);
    assert_true(route->reply_if == expected->reply_if);
    assert_int_equal(route->pause, expected->pause);
    assert_int_equal(route->legacy, expected->legacy);
    assert_int_equal(route->identity, expected->identity);
    assert_int_equal(route->awaitable, expected->awaitable);
}

static void commands_that_are_looked_at(void **state)
{
    (void)state;
    const struct route hello = {hellos_take,     hellos_take_reply, ROUTE_PASSES,
                                ROUTE_QUERY_TOO, IDENTITY_CHANGES,  .awaitable = true};
    const struct route login = {logins_take, logins_take_reply, ROUTE_PASSES, ROUTE_QUERY_TOO,
                                IDENTITY_CHANGES};
    const struct route end = {NULL, statements_take_end_reply, ROUTE_WAITS, ROUTE_MSG_ONLY,
                              IDENTITY_STAYS};
    const struct route write = {write_take, NULL, ROUTE_WAITS, ROUTE_MSG_ONLY, IDENTITY_STAYS};
    const struct route define = {write_take, collection_changes_take_reply, ROUTE_WAITS,
                                 ROUTE_MSG_ONLY, IDENTITY_STAYS};
    const struct route drop = {NULL, collection_changes_take_reply, ROUTE_WAITS, ROUTE_MSG_ONLY,
                               IDENTITY_STAYS};
    const struct route ends = {session_ends_take, session_ends_take_reply, ROUTE_WAITS,
                               ROUTE_MSG_ONLY,    IDENTITY_STAYS,          bulk_results_are_kept};
    const struct route all_end = {NULL, session_ends_take_all_reply, ROUTE_WAITS, ROUTE_MSG_ONLY,
                                  IDENTITY_STAYS};
    assert_route("hello", &hello);
    assert_route("isMaster", &hello);
    assert_route("ismaster", &hello);
    assert_route("saslStart", &login);
    assert_route("saslContinue", &login);
    assert_route("authenticate", &login);
    assert_route("logout", &login);
    assert_route("commitTransaction", &end);
    assert_route("abortTransaction", &end);
    assert_route("insert", &write);
    assert_route("update", &write);
    assert_route("findAndModify", &write);
    assert_route("findandmodify", &write);
    assert_route("bulkWrite", &write);
    assert_route("aggregate", &(struct route){write_take, awaiting_take_reply, ROUTE_WAITS,
                                              ROUTE_MSG_ONLY, IDENTITY_STAYS, awaiting_opens});
    assert_route("find", &(struct route){NULL, awaiting_take_reply, ROUTE_WAITS, ROUTE_MSG_ONLY,
                                         IDENTITY_STAYS, awaiting_opens});
    assert_route("getMore", &(struct route){bulk_results_take, NULL, ROUTE_WAITS, ROUTE_MSG_ONLY,
                                            IDENTITY_STAYS});
    assert_route("killCursors",
                 &(struct route){NULL, bulk_results_take_kill, ROUTE_WAITS, ROUTE_MSG_ONLY,
                                 IDENTITY_STAYS, bulk_results_are_kept});
    assert_route("endSessions", &ends);
    assert_route("killSessions", &ends);
    assert_route("killAllSessions", &all_end);
    assert_route("killAllSessionsByPattern", &all_end);
    assert_route("create", &define);
    assert_route("collMod", &define);
    assert_route("renameCollection", &define);
    static const char *const rare[] = {
        "applyOps",       "doTxn", "clone", "cloneCollection",
        "copydb",         "eval",  "$eval", "cloneCollectionAsCapped",
        "convertToCapped"};
    for (size_t i = 0; i < sizeof rare / sizeof rare[0]; i++)
        assert_route(rare[i], &(struct route){write_take, collection_changes_take_reply,
                                              ROUTE_WAITS, ROUTE_MSG_ONLY, IDENTITY_MAY_CHANGE});
    static const char *const users[] = {"createUser", "updateUser", "dropUser",
                                        "dropAllUsersFromDatabase"};
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++)
        assert_route(users[i],
                     &(struct route){write_take, logins_take_users_reply, ROUTE_WAITS,
                                     ROUTE_MSG_ONLY, IDENTITY_MAY_CHANGE, logins_follow_users});
    assert_route("drop", &drop);
    assert_route("dropDatabase", &drop);
    assert_route("mongosluice", &(struct route){proxy_status_take, NULL, ROUTE_PASSES,
                                                ROUTE_MSG_ONLY, IDENTITY_STAYS});
}

static void everything_else_is_forwarded(void **state)
{
    (void)state;
    static const char *const others[] = {"",      "a",         "zzz",     "hell", "helloo",
                                         "HELLO", "isMasterr", "isMaste", "\xFF", "createRole"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const struct route *route = find(others[i]);
        assert_ptr_equal(route, route_of(COMMAND_UNKNOWN));
        assert_true(route->request == write_take && route->reply == NULL);
        assert_int_equal(route->legacy, ROUTE_MSG_ONLY);
        assert_int_equal(route->identity, IDENTITY_MAY_CHANGE);
    }
    const struct route forwarded = {NULL, NULL, ROUTE_WAITS, ROUTE_MSG_ONLY, IDENTITY_STAYS};
    assert_route("count", &forwarded);
    assert_int_equal(command_name_find("hello there", 5), COMMAND_HELLO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_counted_as_its_row),
        cmocka_unit_test(commands_that_are_looked_at),
        cmocka_unit_test(everything_else_is_forwarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
