/* What operators see of the sessions: figures that each worker keeps, and a list of its connections
 * when asked. */
#ifndef SLUICE_SESSION_OBSERVE_H
#define SLUICE_SESSION_OBSERVE_H

#include <stdatomic.h>

#include "metrics/histogram.h"
#include "net/address.h"
#include "session/route.h"

struct session_worker;

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
    _Atomic uint64_t commands[ROUTES_MAX]; /* by route_index */
    struct histogram upstream_us;          /* a request forwarded until its reply is forwarded */
    struct histogram turn_us;              /* turns of the loop: how long others may wait */
    _Atomic uint32_t phases[SESSION_PHASES];
    _Atomic int64_t oldest_wait_ms;    /* of CONNECTING and PAUSED */
    _Atomic int64_t oldest_command_ms; /* of RUNNING */
    _Atomic int64_t ticked_ms;         /* clock_now_ms; 0: not yet */
};

/* Any thread, as long as the worker lives. */
const struct session_metrics *session_worker_metrics(const struct session_worker *worker);
const char *session_phase_name(enum session_phase phase);

enum { SESSION_ROWS_MAX = 500, SESSION_IDENTITY_BYTES = 256, SESSION_SERVER_BYTES = 264 };

/* A connection, as it was when its worker was asked. */
struct session_row {
    uint64_t id; /* as logged: conn17 */
    char remote[ADDRESS_TEXT_BYTES];
    char server[SESSION_SERVER_BYTES];
    char identity[SESSION_IDENTITY_BYTES]; /* as the server said; else as claimed; "" for nobody */
    const char *command;                   /* the oldest that runs, "" for none; static */
    enum session_phase phase;
    bool tls;
    bool in_transaction;
    int64_t connected_ms; /* since it was accepted */
    int64_t phase_ms;     /* since the last exchange, or since its command waits or runs */
};

/* The connections of all workers with an id over `after`, in the order of their ids, at most
 * `limit` (SESSION_ROWS_MAX). Waits for the workers, but no longer than timeout_ms: *complete says
 * whether all have answered. *rows is memory_alloc'd. False when memory is out. Any thread that
 * is not a worker's. */
bool session_list(struct session_worker *const *workers, unsigned worker_count, uint64_t after,
                  size_t limit, unsigned timeout_ms, struct session_row **rows, size_t *count,
                  bool *complete);

#endif
