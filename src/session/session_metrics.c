#include "session/session_metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "metrics/counters.h"

void session_metrics_note_request(struct session_metrics *metrics, enum command_name command)
{
    _Atomic uint64_t *count = &metrics->commands[command];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* The histogram of the command, made for its first reply. */
static struct histogram *command_us(struct session_metrics *metrics, enum command_name command)
{
    struct histogram *us =
        atomic_load_explicit(&metrics->commands_us[command], memory_order_relaxed);
    if (us != NULL)
        return us;
    us = command == COMMAND_UNKNOWN ? NULL : memory_zalloc(sizeof *us);
    if (us == NULL) {
        us = &metrics->other_us;
        command = COMMAND_UNKNOWN;
    }
    atomic_store_explicit(&metrics->commands_us[command], us, memory_order_release);
    return us;
}

size_t session_metrics_place(struct session_metrics *metrics, const char *server)
{
    size_t i = 0;
    struct server_latency *latency = NULL;
    if (server[0] == 0 || strlen(server) >= sizeof latency->server)
        return SESSION_SERVERS_MAX;
    for (; i < SESSION_SERVERS_MAX; i++) {
        latency = atomic_load_explicit(&metrics->servers[i], memory_order_relaxed);
        if (latency == NULL)
            break;
        if (strcmp(latency->server, server) == 0)
            return i;
    }
    latency = i == SESSION_SERVERS_MAX ? NULL : memory_zalloc(sizeof *latency);
    if (latency == NULL)
        return SESSION_SERVERS_MAX;
    (void)snprintf(latency->server, sizeof latency->server, "%s", server);
    atomic_store_explicit(&metrics->servers[i], latency, memory_order_release);
    return i;
}

struct server_latency *session_metrics_server(struct session_metrics *metrics, const char *server)
{
    size_t place = session_metrics_place(metrics, server);
    return place == SESSION_SERVERS_MAX
               ? &metrics->other_servers
               : atomic_load_explicit(&metrics->servers[place], memory_order_relaxed);
}

void session_metrics_note_reply(struct session_metrics *metrics, const struct pending *pending,
                                enum command_name command, struct server_latency *server,
                                int64_t now_us)
{
    int64_t us = now_us - pending->sent_us;
    if (pending->awaitable || pending->awaits_data || pending->repeated)
        return;
    histogram_note(command_us(metrics, command), us > 0 ? (uint64_t)us : 0);
    histogram_note(&server->us, us > 0 ? (uint64_t)us : 0);
}

static void note_exemplar(struct exemplars *_Atomic *exemplars, const struct exemplar *exemplar)
{
    struct exemplars *of = atomic_load_explicit(exemplars, memory_order_relaxed);
    if (of == NULL) {
        of = memory_zalloc(sizeof *of);
        if (of == NULL)
            return;
        atomic_store_explicit(exemplars, of, memory_order_release);
    }
    exemplars_note(of, exemplar);
}

void session_metrics_note_traced(struct session_metrics *metrics, const struct pending *pending,
                                 enum command_name command, struct server_latency *server,
                                 int64_t now_us, const struct trace_context *context)
{
    int64_t us = now_us - pending->sent_us;
    struct exemplar exemplar = {.value = us > 0 ? (uint64_t)us : 0, .wall_ms = clock_wall_ms()};
    if (pending->awaitable || pending->awaits_data || pending->repeated)
        return;
    memcpy(exemplar.trace_id, context->trace_id, sizeof exemplar.trace_id);
    memcpy(&exemplar.span_id, context->span_id, sizeof exemplar.span_id);
    note_exemplar(&metrics->commands_exemplars[command], &exemplar);
    note_exemplar(&server->exemplars, &exemplar);
}

void session_metrics_note_turn(struct session_metrics *metrics, int64_t us)
{
    histogram_note(&metrics->turn_us, (uint64_t)us);
}

void session_metrics_free(struct session_metrics *metrics)
{
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++)
        if (i != COMMAND_UNKNOWN)
            memory_free(atomic_load(&metrics->commands_us[i]));
    for (size_t i = 0; i < COMMAND_NAME_COUNT; i++)
        memory_free(atomic_load(&metrics->commands_exemplars[i]));
    for (size_t i = 0; i < SESSION_SERVERS_MAX; i++) {
        struct server_latency *server = atomic_load(&metrics->servers[i]);
        if (server != NULL)
            memory_free(atomic_load(&server->exemplars));
        memory_free(server);
    }
    memory_free(atomic_load(&metrics->other_servers.exemplars));
}

const struct histogram *session_metrics_command_us(const struct session_metrics *metrics,
                                                   enum command_name command)
{
    return atomic_load_explicit(&metrics->commands_us[command], memory_order_acquire);
}

const struct exemplars *session_metrics_command_exemplars(const struct session_metrics *metrics,
                                                          enum command_name command)
{
    return atomic_load_explicit(&metrics->commands_exemplars[command], memory_order_acquire);
}

const struct server_latency *session_metrics_server_at(const struct session_metrics *metrics,
                                                       size_t i)
{
    return i < SESSION_SERVERS_MAX
               ? atomic_load_explicit(&metrics->servers[i], memory_order_acquire)
               : &metrics->other_servers;
}
