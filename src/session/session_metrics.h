/* The figures of a worker's sessions. */
#ifndef SLUICE_SESSION_SESSION_METRICS_H
#define SLUICE_SESSION_SESSION_METRICS_H

#include <stdatomic.h>

#include "metrics/histogram.h"
#include "session/pending.h"

/* The present activity of a connection. */
enum session_phase {
    SESSION_PHASE_NEW,        /* no message yet */
    SESSION_PHASE_IDLE,       /* no command runs (or a hello awaits a change) */
    SESSION_PHASE_RUNNING,    /* the server runs its command */
    SESSION_PHASE_CONNECTING, /* its command waits for the server connection */
    SESSION_PHASE_PAUSED,     /* its command waits for the resume */
    SESSION_PHASE_CLOSING,
    SESSION_PHASES
};

/* Only the worker's thread writes them. The last group is updated at each tick. */
struct session_metrics {
    _Atomic uint64_t commands[COMMAND_NAME_COUNT];
    struct histogram upstream_us; /* from a forwarded request to its forwarded reply */
    struct histogram turn_us;     /* the length of loop turns: the time that others may wait */
    _Atomic uint32_t phases[SESSION_PHASES];
    _Atomic int64_t oldest_wait_ms;    /* of CONNECTING and PAUSED */
    _Atomic int64_t oldest_command_ms; /* of RUNNING */
    _Atomic int64_t ticked_ms;         /* clock_now_ms; 0: not yet */
};

/* Worker's thread. `command` comes from route_counted_as. */
void session_metrics_note_request(struct session_metrics *metrics, enum command_name command);
/* The last byte of the reply to `pending` was forwarded. */
void session_metrics_note_reply(struct session_metrics *metrics, const struct pending *pending,
                                int64_t now_us);
void session_metrics_note_turn(struct session_metrics *metrics, int64_t us);

#endif
