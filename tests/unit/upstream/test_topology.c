/* Monitoring of simulated servers: topology_read reports the servers that libmongoc finds. */
#include "upstream/topology.h"

#include "base/log.h"
#include "base/memory.h"
#include "fake_server.h"
#include "upstream/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
/* cmocka wants the first three above first. */
#include <cmocka.h>

enum { SERVERS_MAX = 4, PATIENCE_SECONDS = 30 };

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t news;
    unsigned changes;
};

static void on_change(void *arg)
{
    struct watch *watch = arg;
    (void)pthread_mutex_lock(&watch->lock);
    watch->changes++;
    (void)pthread_cond_broadcast(&watch->news);
    (void)pthread_mutex_unlock(&watch->lock);
}

struct scene {
    struct fake_server servers[SERVERS_MAX];
    struct watch watch;
    struct topology *topology;
    struct topology_snapshot seen;
};

static int set_up(void **state)
{
    static struct scene scene;
    scene = (struct scene){0};
    (void)pthread_mutex_init(&scene.watch.lock, NULL);
    (void)pthread_cond_init(&scene.watch.news, NULL);
    for (size_t i = 0; i < SERVERS_MAX; i++)
        fake_server_start(&scene.servers[i]);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    topology_stop(scene->topology);
    topology_snapshot_free(&scene->seen);
    for (size_t i = 0; i < SERVERS_MAX; i++)
        fake_server_stop(&scene->servers[i]);
    (void)pthread_cond_destroy(&scene->watch.news);
    (void)pthread_mutex_destroy(&scene->watch.lock);
    return 0;
}

/* hosts: as in a connection string; options: the rest of the URI, or "". 500 ms is the shortest
 * interval that libmongoc accepts. */
static void start(struct scene *scene, const char *hosts, const char *options)
{
    char text[512];
    struct error err = {0};
    (void)snprintf(text, sizeof text, "mongodb://%s/?heartbeatFrequencyMS=500%s", hosts, options);
    struct uri *uri = uri_parse(text, &err);
    if (uri == NULL)
        fail_msg("%s", err.message);
    scene->topology = topology_start(uri, on_change, &scene->watch, &err);
    uri_free(uri);
    if (scene->topology == NULL)
        fail_msg("%s", err.message);
}

static const char *type_of(const struct scene *scene, const char *address)
{
    for (size_t i = 0; i < scene->seen.server_count; i++)
        if (strcmp(scene->seen.servers[i].address, address) == 0)
            return topology_server_type_name(scene->seen.servers[i].type);
    return "none";
}

static bool looks_like(const struct scene *scene, enum topology_kind kind,
                       const char *const types[SERVERS_MAX])
{
    for (size_t i = 0; i < SERVERS_MAX; i++)
        if (strcmp(type_of(scene, scene->servers[i].address), types[i]) != 0)
            return false;
    return scene->seen.kind == kind;
}

static void read_now(struct scene *scene)
{
    topology_snapshot_free(&scene->seen);
    assert_true(topology_read(scene->topology, &scene->seen, NULL));
}

/* Waits for a change since `*changes`, which is brought up to date. False when patience ends. */
static bool wait_for_change(struct watch *watch, unsigned *changes)
{
    struct timespec until;
    int waited = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_SECONDS;
    (void)pthread_mutex_lock(&watch->lock);
    while (watch->changes == *changes && waited == 0)
        waited = pthread_cond_timedwait(&watch->news, &watch->lock, &until);
    *changes = watch->changes;
    (void)pthread_mutex_unlock(&watch->lock);
    return waited == 0;
}

/* Waits for changes until the servers have these types ("none": not listed). */
static void expect(struct scene *scene, enum topology_kind kind,
                   const char *const types[SERVERS_MAX])
{
    unsigned changes = 0;
    for (read_now(scene); !looks_like(scene, kind, types); read_now(scene))
        if (!wait_for_change(&scene->watch, &changes))
            fail_msg("kind %s, types %s %s %s %s (%s)", topology_kind_name(scene->seen.kind),
                     type_of(scene, scene->servers[0].address),
                     type_of(scene, scene->servers[1].address),
                     type_of(scene, scene->servers[2].address),
                     type_of(scene, scene->servers[3].address), scene->seen.cause);
}

/* Waits for changes until the cause says that. */
static void expect_cause(struct scene *scene, const char *part)
{
    unsigned changes = 0;
    for (read_now(scene); strstr(scene->seen.cause, part) == NULL; read_now(scene))
        if (!wait_for_change(&scene->watch, &changes))
            fail_msg("'%s' is not in '%s'", part, scene->seen.cause);
}

#define EXPECT(scene, kind, ...) expect(scene, kind, (const char *const[SERVERS_MAX]){__VA_ARGS__})

/* The first `count` servers become a replica set with that primary (-1: none). */
static void make_set(struct scene *scene, size_t count, int primary)
{
    const char *hosts[SERVERS_MAX + 1] = {NULL};
    for (size_t i = 0; i < count; i++)
        hosts[i] = scene->servers[i].address;
    for (size_t i = 0; i < count; i++)
        fake_server_hello(
            &scene->servers[i],
            fake_member_hello("rs", hosts, hosts[i], primary >= 0 ? hosts[primary] : NULL));
}

static void test_standalone(void **state)
{
    struct scene *scene = *state;
    start(scene, scene->servers[0].address, "");
    EXPECT(scene, TOPOLOGY_SINGLE, "Standalone", "none", "none", "none");
    assert_string_equal(scene->seen.cause, "");
    assert_string_equal(scene->seen.set_name, "");
    assert_int_equal(scene->seen.servers[0].port, scene->servers[0].port);
    assert_string_equal(scene->seen.servers[0].host, "127.0.0.1");
    assert_false(scene->seen.servers[0].is_unix_socket);
}

/* One seed leads to all members, and the topology follows their changes. */
static void test_replica_set(void **state)
{
    struct scene *scene = *state;
    make_set(scene, 3, 0);
    start(scene, scene->servers[1].address, "");
    EXPECT(scene, TOPOLOGY_REPLICA_SET, "RSPrimary", "RSSecondary", "RSSecondary", "none");
    assert_string_equal(scene->seen.set_name, "rs");
    make_set(scene, 3, -1);
    EXPECT(scene, TOPOLOGY_REPLICA_SET, "RSSecondary", "RSSecondary", "RSSecondary", "none");
    make_set(scene, 3, 2);
    EXPECT(scene, TOPOLOGY_REPLICA_SET, "RSSecondary", "RSSecondary", "RSPrimary", "none");
    make_set(scene, 4, 2);
    EXPECT(scene, TOPOLOGY_REPLICA_SET, "RSSecondary", "RSSecondary", "RSPrimary", "RSSecondary");
    make_set(scene, 2, 1);
    EXPECT(scene, TOPOLOGY_REPLICA_SET, "RSSecondary", "RSPrimary", "none", "none");
}

/* The address of a port that was free a moment ago. */
static void find_nowhere(char address[32])
{
    struct fake_server gone;
    fake_server_start(&gone);
    memcpy(address, gone.address, sizeof gone.address);
    fake_server_stop(&gone);
}

static void test_member_that_is_down(void **state)
{
    struct scene *scene = *state;
    char nowhere[32];
    const char *me = scene->servers[0].address;
    const char *hosts[] = {me, nowhere, NULL};
    find_nowhere(nowhere);
    fake_server_hello(&scene->servers[0], fake_member_hello("rs", hosts, me, me));
    start(scene, me, "");
    EXPECT(scene, TOPOLOGY_REPLICA_SET, "RSPrimary", "none", "none", "none");
    assert_int_equal(scene->seen.server_count, 2);
    assert_string_equal(type_of(scene, nowhere), "Unknown");
    assert_string_equal(scene->seen.cause, "");
}

static void test_direct_connection(void **state)
{
    struct scene *scene = *state;
    make_set(scene, 3, 0);
    start(scene, scene->servers[1].address, "&directConnection=true");
    EXPECT(scene, TOPOLOGY_SINGLE, "none", "RSSecondary", "none", "none");
}

static void test_sharded(void **state)
{
    struct scene *scene = *state;
    char hosts[80];
    for (size_t i = 0; i < 2; i++)
        fake_server_hello(&scene->servers[i], fake_mongos_hello());
    (void)snprintf(hosts, sizeof hosts, "%s,%s", scene->servers[0].address,
                   scene->servers[1].address);
    start(scene, hosts, "");
    EXPECT(scene, TOPOLOGY_SHARDED, "Mongos", "Mongos", "none", "none");
}

static void test_credentials_stay_here(void **state)
{
    struct scene *scene = *state;
    struct fake_server *server = &scene->servers[0];
    char hosts[64];
    (void)snprintf(hosts, sizeof hosts, "alice:secret@%s", server->address);
    start(scene, hosts, "&authSource=admin&appName=x");
    EXPECT(scene, TOPOLOGY_SINGLE, "Standalone", "none", "none", "none");
    (void)pthread_mutex_lock(&server->lock);
    bool saw_auth = server->saw_auth;
    char app_name[sizeof server->app_name];
    memcpy(app_name, server->app_name, sizeof app_name);
    (void)pthread_mutex_unlock(&server->lock);
    assert_false(saw_auth);
    assert_string_equal(app_name, "mongosluice");
}

static void test_nobody_listens(void **state)
{
    struct scene *scene = *state;
    char nowhere[32];
    find_nowhere(nowhere);
    start(scene, nowhere, "");
    expect_cause(scene, nowhere);
    assert_int_equal(scene->seen.kind, TOPOLOGY_UNKNOWN);
    assert_int_equal(scene->seen.server_count, 1);
    assert_int_equal(scene->seen.servers[0].type, TOPOLOGY_SERVER_UNKNOWN);
}

/* libmongoc leaves out a member of another set, and we say so. */
static void test_wrong_replica_set_name(void **state)
{
    struct scene *scene = *state;
    make_set(scene, 1, 0);
    start(scene, scene->servers[0].address, "&replicaSet=other");
    expect_cause(scene, "was left out");
    assert_int_equal(scene->seen.server_count, 0);
}

static void test_failing_allocations(void **state)
{
    struct scene *scene = *state;
    struct error err = {0};
    start(scene, scene->servers[0].address, "");
    EXPECT(scene, TOPOLOGY_SINGLE, "Standalone", "none", "none", "none");
    topology_snapshot_free(&scene->seen);
    memory_fail_after(1);
    bool ok = topology_read(scene->topology, &scene->seen, &err);
    memory_fail_never();
    assert_false(ok);
    assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
    struct uri *uri = uri_parse("mongodb://localhost/", &err);
    assert_non_null(uri);
    memory_fail_after(1);
    struct topology *topology = topology_start(uri, on_change, &scene->watch, &err);
    memory_fail_never();
    assert_null(topology);
    uri_free(uri);
}

int main(void)
{
    log_configure(2, LOG_FORMAT_TEXT, LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_standalone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replica_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_member_that_is_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_direct_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sharded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_credentials_stay_here, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_listens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_replica_set_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
