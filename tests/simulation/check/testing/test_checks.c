/* Each check can fail: a server that tells one lie, and the name of the check that finds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lying_server.h"

enum { STEPS_MAX = 6, EVENTS_MOST = 200000, SEEDS = 12 };

/* One client that runs these steps; 0 (ping) ends them. */
struct lie_case {
    const char *name;
    enum lie lie;
    enum plan_operation steps[STEPS_MAX];
    const char *check; /* NULL: the history holds */
};

static void make_plan(const struct lie_case *lie_case, uint64_t seed, struct plan *out)
{
    memset(out, 0, sizeof *out);
    out->seed = seed;
    out->server = PLAN_SERVER_CURRENT;
    out->topology = PLAN_REPLICA_SET;
    out->members = 1;
    out->direct = true;
    out->schemas = true;
    out->client_count = 1;
    struct plan_client *client = &out->clients[0];
    client->connections = 1;
    client->majority = true;
    if (lie_case->lie == LIE_SIGNS_WRONGLY) {
        out->login = PLAN_LOGIN_RELAY;
        out->users = client->user = 1;
    }
    for (unsigned i = 0; i < STEPS_MAX && lie_case->steps[i] != PLAN_PING; i++) {
        client->operations[i].kind = lie_case->steps[i];
        client->operations[i].number = i + 1;
        client->operation_count++;
    }
    client->operations[client->operation_count].number = STEPS_MAX + 1;
    client->operation_count++;
}

static const struct world_failure *run_case(struct world *world, const struct plan *plan,
                                            enum lie lie)
{
    struct lying_server *server = lying_server_create(world, lie);
    struct drivers *drivers = drivers_create(world, plan, "a:27017");
    for (unsigned i = 0; i < EVENTS_MOST && !drivers_are_done(drivers); i++) {
        if (!world_step(world)) {
            break;
        }
    }
    if (!world_failed(world)) {
        assert_true(drivers_are_done(drivers));
        check_end(world, plan, drivers, NULL);
    }
    const struct world_failure *failure = world_failure(world);
    drivers_destroy(drivers);
    lying_server_destroy(server);
    return failure;
}

static const struct lie_case cases[] = {
    {"an honest server",
     LIE_NONE,
     {PLAN_INSERT, PLAN_INSERT_MANY, PLAN_INSERT_REFUSED, PLAN_INSERT_DUPLICATE, PLAN_WHOAMI},
     NULL},
    {"an honest server with changes",
     LIE_NONE,
     {PLAN_INSERT, PLAN_INCREMENT, PLAN_FIND, PLAN_DELETE, PLAN_FIND, PLAN_CURSOR},
     NULL},
    {"an honest server with the rest",
     LIE_NONE,
     {PLAN_INSERT_UNACKNOWLEDGED, PLAN_BULK, PLAN_TRANSACTION, PLAN_CHANGE_STREAM, PLAN_BULK,
      PLAN_END_SESSIONS},
     NULL},
    {"acknowledges without storing",
     LIE_ACKNOWLEDGES_WITHOUT_STORING,
     {PLAN_INSERT},
     "acknowledged is stored"},
    {"stores twice", LIE_STORES_TWICE, {PLAN_INSERT}, "stored once"},
    {"answers twice", LIE_ANSWERS_TWICE, {PLAN_INSERT}, "answered once"},
    {"answers another request", LIE_ANSWERS_ANOTHER, {PLAN_INSERT}, "answered once"},
    {"breaks the frame", LIE_BREAKS_FRAME, {PLAN_INSERT}, "answer well formed"},
    {"counts wrongly", LIE_COUNTS_WRONGLY, {PLAN_INSERT}, "result counts"},
    {"names a wrong index", LIE_NAMES_WRONG_INDEX, {PLAN_INSERT_REFUSED}, "error index"},
    {"names a wrong document", LIE_NAMES_WRONG_DOCUMENT, {PLAN_INSERT_REFUSED}, "error index"},
    {"stores a refused document", LIE_STORES_REFUSED, {PLAN_INSERT_REFUSED}, "schema holds"},
    {"accepts a broken document", LIE_ACCEPTS_BROKEN, {PLAN_INSERT_REFUSED}, "schema holds"},
    {"refuses a valid document", LIE_REFUSES_VALID, {PLAN_INSERT}, "error explained"},
    {"names another user", LIE_NAMES_ANOTHER_USER, {PLAN_WHOAMI}, "identity"},
    {"stores as another user", LIE_STORES_AS_ANOTHER, {PLAN_INSERT}, "identity"},
    {"refuses a new document as a duplicate", LIE_REFUSES_NEW, {PLAN_INSERT}, "no false duplicate"},
    {"accepts a duplicate",
     LIE_ACCEPTS_DUPLICATE,
     {PLAN_INSERT, PLAN_INSERT_DUPLICATE},
     "result counts"},
    {"has an internal error", LIE_FAILS_INSIDE, {PLAN_INSERT}, "error explained"},
    {"is silent", LIE_IS_SILENT, {PLAN_INSERT}, "no stall"},
    {"breaks the connection", LIE_BREAKS_CONNECTION, {PLAN_INSERT}, "loss explained"},
    {"names a host behind the proxy", LIE_NAMES_HIDDEN_HOST, {PLAN_INSERT}, "hello addresses"},
    {"finds nothing", LIE_FINDS_NOTHING, {PLAN_INSERT, PLAN_FIND}, "reads its own writes"},
    {"finds a document of another",
     LIE_FINDS_FOREIGN,
     {PLAN_INSERT, PLAN_FIND},
     "own documents only"},
    {"finds a deleted document",
     LIE_FINDS_DELETED,
     {PLAN_DELETE, PLAN_FIND},
     "reads its own writes"},
    {"increments twice", LIE_INCREMENTS_TWICE, {PLAN_INCREMENT}, "increments once"},
    {"forgets an increment", LIE_FORGETS_INCREMENT, {PLAN_INCREMENT}, "increments once"},
    {"keeps a deleted document", LIE_KEEPS_DELETED, {PLAN_DELETE}, "deleted is gone"},
    {"drops unacknowledged writes",
     LIE_DELAYS_UNACKNOWLEDGED,
     {PLAN_INSERT_UNACKNOWLEDGED},
     "unacknowledged in order"},
    {"leaves a document out of a cursor",
     LIE_SKIPS_IN_CURSOR,
     {PLAN_INSERT_MANY, PLAN_CURSOR},
     "cursor complete"},
    {"repeats a document in a cursor",
     LIE_REPEATS_IN_CURSOR,
     {PLAN_INSERT_MANY, PLAN_CURSOR},
     "cursor complete"},
    {"loses an event", LIE_LOSES_EVENT, {PLAN_CHANGE_STREAM}, "change stream complete"},
    {"repeats an event", LIE_REPEATS_EVENT, {PLAN_CHANGE_STREAM}, "change stream complete"},
    {"commits a half", LIE_COMMITS_HALF, {PLAN_TRANSACTION}, "acknowledged is stored"},
    {"hides an error of bulkWrite",
     LIE_IGNORES_BULK_ERROR,
     {PLAN_BULK, PLAN_BULK, PLAN_BULK, PLAN_BULK},
     "schema holds"},
    {"signs wrongly", LIE_SIGNS_WRONGLY, {PLAN_INSERT}, "login answer"},
    {"stores a document of nobody", LIE_STORES_UNKNOWN, {PLAN_INSERT}, "known documents only"},
};

/* True: the check of the case failed. No other may. */
static bool check_seed(const struct lie_case *lie_case, uint64_t seed)
{
    struct plan plan;
    make_plan(lie_case, seed, &plan);
    struct world *world = world_create(plan.seed, NULL);
    const struct world_failure *failure = run_case(world, &plan, lie_case->lie);
    bool fired = failure->check != NULL;
    if (fired && (lie_case->check == NULL || strcmp(failure->check, lie_case->check) != 0)) {
        print_error("%s, seed %u: check \"%s\": %s\n", lie_case->name, (unsigned)seed,
                    failure->check, failure->text);
        fail();
    }
    world_destroy(world);
    return fired;
}

/* Some operations draw by the seed whether they meet the lie. */
static void check_case(const struct lie_case *lie_case)
{
    bool fired = false;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        fired = check_seed(lie_case, seed) || fired;
    }
    if (!fired && lie_case->check != NULL) {
        print_error("%s: no check found it\n", lie_case->name);
        fail();
    }
}

static void test_each_lie_is_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_case(&cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_lie_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
