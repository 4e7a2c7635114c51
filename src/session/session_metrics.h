/* The figures that each worker keeps of its sessions. */
#ifndef SLUICE_SESSION_SESSION_METRICS_H
#define SLUICE_SESSION_SESSION_METRICS_H

#include <stdatomic.h>

#include "metrics/histogram.h"
#include "session/pending.h"

/* What a connection does now. */
enum session_phase {
    SESSION_PHASE_NEW,        /* no message yet */
    SESSION_PHASE_IDLE,       /* its client has nothing to ask (or waits in a hello) */
    SESSION_PHASE_RUNNING,    /* the server works for it */
    SESSION_PHASE_CONNECTING, /* its command waits for the connection to the server */
    SESSION_PHASE_PAUSED,     /* its command waits until the proxy is resumed */
    SESSION_PHASE_CLOSING,
    SESSION_PHASES
};

/* Written by the worker's thread only. Those of the last group are as its last tick found them. */
struct session_metrics {
    _Atomic uint64_t commands[COMMAND_NAME_COUNT];
    struct histogram upstream_us; /* a request forwarded until its reply is forwarded */
    struct histogram turn_us;     /* turns of the loop: how long others may wait */
    _Atomic uint32_t phases[SESSION_PHASES];
    _Atomic int64_t oldest_wait_ms;    /* of CONNECTING and PAUSED */
    _Atomic int64_t oldest_command_ms; /* of RUNNING */
    _Atomic int64_t ticked_ms;         /* clock_now_ms; 0: not yet */
};

/* Worker's thread. `command`: route_counted_as. */
void session_metrics_note_request(struct session_metrics *metrics, enum command_name command);
/* The last byte of the reply to `pending` was forwarded. */
void session_metrics_note_reply(struct session_metrics *metrics, const struct pending *pending,
                                int64_t now_us);
void session_metrics_note_turn(struct session_metrics *metrics, int64_t us);

#endif
