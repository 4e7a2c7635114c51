/* Which members have a port, and for how long. The control thread does not run: the test is it. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "upstream/servers.h"

enum { PORTS = 2 };

struct scene {
    struct worker *control;
    struct config *config;
    struct servers *servers;
};

static void accepted(void *arg, int client_fd, const char *server)
{
    (void)arg;
    (void)client_fd;
    (void)server;
}

static int make_scene(void **state)
{
    static struct scene scene;
    static const char yaml[] = "upstream: mongodb://a:1/?replicaSet=rs\n"
                               "listen: 127.0.0.1:0\nlisten_port_count: 2\n";
    struct worker_settings worker = {.name = "control", .tick_ms = 1000};
    struct error err = {0};
    scene = (struct scene){0};
    assert_true(config_load_yaml("test", yaml, strlen(yaml), &scene.config, &err));
    assert_true(worker_create(&worker, &scene.control, &err));
    struct servers_settings settings = {
        .config = scene.config, .control = scene.control, .accepted = accepted};
    scene.servers = servers_create(&settings, &err);
    assert_non_null(scene.servers);
    *state = &scene;
    return 0;
}

static int end_scene(void **state)
{
    struct scene *scene = *state;
    servers_close(scene->servers);
    worker_destroy(scene->control);
    servers_destroy(scene->servers);
    config_release(scene->config);
    return 0;
}

static void reconcile(struct scene *scene, const char *first, const char *second)
{
    struct topology_server servers[2] = {0};
    (void)snprintf(servers[0].address, sizeof servers[0].address, "%s", first);
    if (second != NULL)
        (void)snprintf(servers[1].address, sizeof servers[1].address, "%s", second);
    struct topology_snapshot topology = {
        .kind = TOPOLOGY_REPLICA_SET, .server_count = second != NULL ? 2 : 1, .servers = servers};
    servers_reconcile(scene->servers, &topology);
}

static uint16_t port_of(struct scene *scene, const char *member)
{
    return servers_port_of_member(scene->servers, member, strlen(member));
}

static void a_member_of_a_hello_is_let_go_after_a_minute(void **state)
{
    struct scene *scene = *state;
    reconcile(scene, "a:1", NULL);
    int64_t before_ms = clock_now_ms();
    uint16_t port = port_of(scene, "B:2");
    assert_int_not_equal(port, 0);
    servers_drop_unconfirmed(scene->servers, before_ms + SERVERS_UNCONFIRMED_MS - 1);
    assert_int_equal(port_of(scene, "c:3"), 0); /* the range is full */
    assert_int_equal(port_of(scene, "b:2"), port);
    servers_drop_unconfirmed(scene->servers, clock_now_ms() + SERVERS_UNCONFIRMED_MS);
    assert_int_not_equal(port_of(scene, "c:3"), 0);
    assert_int_equal(port_of(scene, "b:2"), 0);
    assert_int_not_equal(port_of(scene, "a:1"), 0);
}

static void a_server_of_the_topology_keeps_its_port(void **state)
{
    struct scene *scene = *state;
    uint16_t port = port_of(scene, "b:2");
    reconcile(scene, "a:1", "b:2");
    servers_drop_unconfirmed(scene->servers, clock_now_ms() + 10 * SERVERS_UNCONFIRMED_MS);
    assert_int_equal(port_of(scene, "b:2"), port);
    reconcile(scene, "a:1", NULL);
    assert_int_not_equal(port_of(scene, "c:3"), 0);
}

static void a_server_of_the_topology_displaces_a_member_of_a_hello(void **state)
{
    struct scene *scene = *state;
    reconcile(scene, "a:1", NULL);
    assert_int_not_equal(port_of(scene, "b:2"), 0);
    reconcile(scene, "a:1", "c:3");
    assert_int_not_equal(port_of(scene, "c:3"), 0);
    assert_int_equal(port_of(scene, "b:2"), 0);
}

static void a_server_without_a_port_is_tried_again(void **state)
{
    struct scene *scene = *state;
    struct topology_server servers[3] = {{.address = "a:1", .type = TOPOLOGY_SERVER_RS_PRIMARY},
                                         {.address = "b:2"},
                                         {.address = "c:3"}};
    struct topology_snapshot topology = {
        .kind = TOPOLOGY_REPLICA_SET, .server_count = 3, .servers = servers};
    int64_t before_ms = clock_now_ms();
    assert_false(servers_retry_is_due(scene->servers, INT64_MAX));
    servers_reconcile(scene->servers, &topology);
    assert_int_not_equal(servers_port_of_server(scene->servers, "b:2"), 0);
    assert_int_equal(servers_port_of_server(scene->servers, "c:3"), 0);
    assert_false(servers_had_all_ports(scene->servers));
    assert_false(servers_retry_is_due(scene->servers, before_ms));
    assert_true(servers_retry_is_due(scene->servers, INT64_MAX));
    topology.server_count = 2;
    servers_reconcile(scene->servers, &topology);
    assert_true(servers_had_all_ports(scene->servers));
    assert_false(servers_retry_is_due(scene->servers, INT64_MAX));
    topology.server_count = 3; /* it joins later */
    servers_reconcile(scene->servers, &topology);
    assert_true(servers_had_all_ports(scene->servers));
    assert_true(servers_retry_is_due(scene->servers, INT64_MAX));
}

static void seeds_with_ports_are_not_yet_all_servers(void **state)
{
    struct scene *scene = *state;
    reconcile(scene, "a:1", NULL); /* of an unknown type: its set may have more members */
    assert_int_not_equal(servers_port_of_server(scene->servers, "a:1"), 0);
    assert_false(servers_had_all_ports(scene->servers));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_member_of_a_hello_is_let_go_after_a_minute, make_scene,
                                        end_scene),
        cmocka_unit_test_setup_teardown(a_server_of_the_topology_keeps_its_port, make_scene,
                                        end_scene),
        cmocka_unit_test_setup_teardown(a_server_of_the_topology_displaces_a_member_of_a_hello,
                                        make_scene, end_scene),
        cmocka_unit_test_setup_teardown(a_server_without_a_port_is_tried_again, make_scene,
                                        end_scene),
        cmocka_unit_test_setup_teardown(seeds_with_ports_are_not_yet_all_servers, make_scene,
                                        end_scene),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
