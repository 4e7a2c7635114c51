/* The route table: every row is found, and nothing that is not in it. */
#include "../cmocka_all.h"

#include <string.h>

#include "session/route.h"

static const struct route *find(const char *name)
{
    return route_find(name, strlen(name));
}

/* The search halves the table: a row out of order would not be found. */
static void the_table_is_sorted(void **state)
{
    (void)state;
    const struct route *first = find("");
    assert_int_equal(route_index(first), 0);
    for (size_t i = 0; i < route_count(); i++) {
        const struct route *row = find(route_name(i));
        assert_int_equal(route_index(row), i);
        assert_string_equal(row->name, route_name(i));
        if (i > 0)
            assert_true(strcmp(route_name(i - 1), route_name(i)) < 0);
    }
}

static void assert_route(const char *name, enum route_kind kind, bool legacy_allowed)
{
    const struct route *route = find(name);
    assert_string_equal(route->name, name);
    assert_int_equal(route->kind, kind);
    assert_int_equal(route->legacy_allowed, legacy_allowed);
}

static void commands_that_are_looked_at(void **state)
{
    (void)state;
    assert_route("hello", ROUTE_HELLO, true);
    assert_route("isMaster", ROUTE_HELLO, true);
    assert_route("ismaster", ROUTE_HELLO, true);
    assert_route("saslStart", ROUTE_AUTHENTICATION, true);
    assert_route("saslContinue", ROUTE_AUTHENTICATION, true);
    assert_route("authenticate", ROUTE_AUTHENTICATION, true);
    assert_route("logout", ROUTE_AUTHENTICATION, true);
    assert_route("commitTransaction", ROUTE_END_TRANSACTION, false);
    assert_route("abortTransaction", ROUTE_END_TRANSACTION, false);
    assert_route("insert", ROUTE_WRITE, false);
    assert_route("update", ROUTE_WRITE, false);
    assert_route("findAndModify", ROUTE_WRITE, false);
    assert_route("findandmodify", ROUTE_WRITE, false);
    assert_route("bulkWrite", ROUTE_WRITE, false);
    assert_route("aggregate", ROUTE_WRITE, false);
    assert_route("getMore", ROUTE_GET_MORE, false);
    assert_route("create", ROUTE_DEFINE, false);
    assert_route("collMod", ROUTE_DEFINE, false);
    assert_route("drop", ROUTE_DEFINE, false);
    assert_route("dropDatabase", ROUTE_DEFINE, false);
    assert_route("renameCollection", ROUTE_DEFINE, false);
    assert_route("mongosluice", ROUTE_STATUS, false);
}

static void everything_else_is_forwarded(void **state)
{
    (void)state;
    static const char *const others[] = {"",       "find",  "a",         "zzz",     "hell",
                                         "helloo", "HELLO", "isMasterr", "isMaste", "\xFF"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const struct route *route = find(others[i]);
        assert_non_null(route);
        assert_int_equal(route_index(route) == 0, strcmp(others[i], "find") != 0);
        assert_int_equal(route->kind, ROUTE_FORWARD);
        assert_false(route->legacy_allowed);
    }
    assert_int_equal(route_find("hello there", 5)->kind, ROUTE_HELLO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted),
        cmocka_unit_test(commands_that_are_looked_at),
        cmocka_unit_test(everything_else_is_forwarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
