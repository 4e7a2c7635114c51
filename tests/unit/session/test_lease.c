/* A lease joins one client and one connection of the same worker, server and identity; each finds
 * the other through it alone. A breach ends the process, in release builds too. */
#include "../cmocka_all.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "session/lease.h"

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

struct scene {
    struct session_shared shared;
    struct session_worker worker;
};

static void open_scene(struct scene *scene)
{
    const struct worker_settings settings = {.name = "test"};
    struct error err;
    memset(scene, 0, sizeof *scene);
    assert_true(worker_create(&settings, &scene->worker.worker, &err));
    scene->worker.shared = &scene->shared;
    scene->worker.standings = standings_create();
    scene->worker.reap_event =
        event_new(worker_base(scene->worker.worker), -1, 0, on_reap, &scene->worker);
    assert_non_null(scene->worker.standings);
    assert_non_null(scene->worker.reap_event);
}

static void close_scene(struct scene *scene)
{
    upstream_connection_reap(&scene->worker);
    session_metrics_free(&scene->worker.metrics);
    event_free(scene->worker.reap_event);
    standings_destroy(scene->worker.standings);
    worker_destroy(scene->worker.worker);
}

static struct client *client_to(struct scene *scene, const char *server)
{
    struct client *client = memory_zalloc(sizeof *client + strlen(server) + 1);
    assert_non_null(client);
    client->worker = &scene->worker;
    (void)memcpy(client->server, server, strlen(server) + 1);
    return client;
}

static void a_client_and_a_connection_find_each_other(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    struct client *client = client_to(&scene, "db.example.net:27017");
    struct client *other = client_to(&scene, "db.example.net:27017");
    assert_null(lease_connection(client));
    assert_null(lease_standing(client));
    assert_false(lease_is_blocked(client) || lease_carries_batch(client));
    struct upstream_connection *connection = lease_take(client);
    assert_non_null(connection);
    assert_ptr_equal(lease_connection(client), connection);
    assert_ptr_equal(lease_client(connection), client);
    assert_string_equal(connection->server, client->server);
    assert_ptr_equal(lease_take(client), connection);
    assert_ptr_not_equal(lease_take(other), connection);
    lease_give_back(client);
    assert_null(lease_connection(client));
    assert_null(lease_client(connection)); /* it is readable until the turn ends */
    assert_int_equal(connection->link.state, LINK_CLOSED);
    lease_give_back(client);
    assert_ptr_equal(lease_client(lease_connection(other)), other);
    lease_give_back(other);
    close_scene(&scene);
    memory_free(client);
    memory_free(other);
}

static void without_memory_there_is_no_lease(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    struct client *client = client_to(&scene, "db.example.net:27017");
    memory_fail_after(1);
    assert_null(lease_take(client));
    memory_fail_never();
    assert_null(lease_connection(client));
    assert_non_null(lease_take(client));
    lease_give_back(client);
    close_scene(&scene);
    memory_free(client);
}

/* How a process ends that takes a lease for the client. */
static int end_of_taking(struct client *client)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)lease_take(client);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void nobody_gets_a_lease_after_a_login(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    struct client *client = client_to(&scene, "db.example.net:27017");
    assert_int_equal(end_of_taking(client), 0);
    client->may_be_logged_in = true;
    assert_int_equal(end_of_taking(client), SIGABRT);
    close_scene(&scene);
    memory_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_and_a_connection_find_each_other),
        cmocka_unit_test(without_memory_there_is_no_lease),
        cmocka_unit_test(nobody_gets_a_lease_after_a_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
