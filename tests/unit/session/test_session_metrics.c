/* The latencies of a worker, by command and by server. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "session/session_metrics.h"

static uint64_t count_of(const struct histogram *us)
{
    struct histogram_totals totals = {0};
    if (us != NULL)
        histogram_add(us, &totals);
    return totals.count;
}

static void note(struct session_metrics *metrics, struct pending pending, const char *server)
{
    session_metrics_note_reply(metrics, &pending, pending.command,
                               session_metrics_server(metrics, server), 5000);
}

static void replies_count_by_command_and_server(void **state)
{
    (void)state;
    static struct session_metrics metrics;
    assert_null(session_metrics_command_us(&metrics, COMMAND_FIND));
    note(&metrics, (struct pending){.command = COMMAND_FIND, .sent_us = 1000}, "a:1");
    note(&metrics, (struct pending){.command = COMMAND_FIND, .sent_us = 9000}, "b:1");
    note(&metrics, (struct pending){.command = COMMAND_UNKNOWN, .sent_us = 1}, "a:1");
    assert_int_equal(count_of(session_metrics_command_us(&metrics, COMMAND_FIND)), 2);
    assert_int_equal(count_of(session_metrics_command_us(&metrics, COMMAND_UNKNOWN)), 1);
    assert_null(session_metrics_command_us(&metrics, COMMAND_PING));
    assert_string_equal(session_metrics_server_at(&metrics, 0)->server, "a:1");
    assert_int_equal(count_of(&session_metrics_server_at(&metrics, 0)->us), 2);
    assert_int_equal(count_of(&session_metrics_server_at(&metrics, 1)->us), 1);
    assert_null(session_metrics_server_at(&metrics, 2));
    session_metrics_free(&metrics);
}

static void waiting_on_purpose_is_no_latency(void **state)
{
    (void)state;
    static struct session_metrics metrics;
    note(&metrics, (struct pending){.command = COMMAND_HELLO, .awaitable = true}, "a:1");
    note(&metrics, (struct pending){.command = COMMAND_GET_MORE, .awaits_data = true}, "a:1");
    note(&metrics, (struct pending){.command = COMMAND_GET_MORE, .repeated = true}, "a:1");
    assert_null(session_metrics_command_us(&metrics, COMMAND_HELLO));
    assert_null(session_metrics_command_us(&metrics, COMMAND_GET_MORE));
    assert_int_equal(count_of(&session_metrics_server_at(&metrics, 0)->us), 0);
    note(&metrics, (struct pending){.command = COMMAND_GET_MORE}, "a:1");
    assert_int_equal(count_of(session_metrics_command_us(&metrics, COMMAND_GET_MORE)), 1);
    session_metrics_free(&metrics);
}

static void further_servers_are_other(void **state)
{
    (void)state;
    static struct session_metrics metrics;
    char name[SESSION_SERVER_BYTES + 1];
    for (int i = 0; i < 2 * SESSION_SERVERS_MAX; i++) {
        (void)snprintf(name, sizeof name, "server%d:27017", i);
        size_t place = session_metrics_place(&metrics, name);
        assert_int_equal(place, i < SESSION_SERVERS_MAX ? i : SESSION_SERVERS_MAX);
        assert_int_equal(session_metrics_place(&metrics, name), place);
        note(&metrics, (struct pending){.command = COMMAND_PING}, name);
    }
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(session_metrics_place(&metrics, name), SESSION_SERVERS_MAX);
    assert_int_equal(session_metrics_place(&metrics, ""), SESSION_SERVERS_MAX);
    assert_int_equal(count_of(&session_metrics_server_at(&metrics, SESSION_SERVERS_MAX)->us),
                     SESSION_SERVERS_MAX);
    session_metrics_free(&metrics);
}

/* Without memory for a histogram of its own, a reply counts among the others. */
static void no_memory_is_other(void **state)
{
    (void)state;
    static struct session_metrics metrics;
    memory_fail_after(1);
    note(&metrics, (struct pending){.command = COMMAND_FIND}, "a:1");
    memory_fail_never();
    assert_null(session_metrics_command_us(&metrics, COMMAND_FIND));
    assert_int_equal(count_of(session_metrics_command_us(&metrics, COMMAND_UNKNOWN)), 1);
    assert_null(session_metrics_server_at(&metrics, 0));
    assert_int_equal(count_of(&session_metrics_server_at(&metrics, SESSION_SERVERS_MAX)->us), 1);
    note(&metrics, (struct pending){.command = COMMAND_FIND}, "a:1");
    assert_int_equal(count_of(session_metrics_command_us(&metrics, COMMAND_FIND)), 1);
    session_metrics_free(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_count_by_command_and_server),
        cmocka_unit_test(waiting_on_purpose_is_no_latency),
        cmocka_unit_test(further_servers_are_other),
        cmocka_unit_test(no_memory_is_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
