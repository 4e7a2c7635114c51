#include "session/session_metrics.h"

#include "metrics/counters.h"

void session_metrics_note_request(struct session_metrics *metrics, enum command_name command)
{
    _Atomic uint64_t *count = &metrics->commands[command];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void session_metrics_note_reply(struct session_metrics *metrics, const struct pending *pending,
                                int64_t now_us)
{
    int64_t us = now_us - pending->sent_us;
    /* a hello may wait for a change, and the later replies of a stream were asked for by nobody */
    if (!pending->awaitable && !pending->repeated)
        histogram_note(&metrics->upstream_us, us > 0 ? (uint64_t)us : 0);
}

void session_metrics_note_turn(struct session_metrics *metrics, int64_t us)
{
    histogram_note(&metrics->turn_us, (uint64_t)us);
}
