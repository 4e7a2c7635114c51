/* The figures of a worker's sessions. */
#ifndef SLUICE_SESSION_SESSION_METRICS_H
#define SLUICE_SESSION_SESSION_METRICS_H

#include <stdatomic.h>

#include "metrics/exemplars.h"
#include "metrics/histogram.h"
#include "net/transport.h"
#include "session/pending.h"
#include "session/pool.h"
#include "trace/trace_context.h"

/* The present activity of a connection. */
enum session_phase {
    SESSION_PHASE_NEW,        /* no message yet */
    SESSION_PHASE_IDLE,       /* no command runs (or a hello awaits a change) */
    SESSION_PHASE_RUNNING,    /* the server runs its command */
    SESSION_PHASE_AWAITING,   /* its getMore awaits data */
    SESSION_PHASE_CONNECTING, /* its command waits for the server connection */
    SESSION_PHASE_WAITING,    /* its command waits for a connection of its pool */
    SESSION_PHASE_PAUSED,     /* its command waits for the resume */
    SESSION_PHASE_CLOSING,
    SESSION_PHASES
};

enum session_tls_side { SESSION_TLS_CLIENT, SESSION_TLS_UPSTREAM, SESSION_TLS_SIDES };

/* Further servers of a worker count as one, "other". */
enum { SESSION_SERVERS_MAX = 32, SESSION_SERVER_BYTES = 264, SESSION_IDENTITY_BYTES = 256 };

/* The times from a request to an upstream server to its reply. */
struct server_latency {
    struct histogram us;
    struct exemplars *_Atomic exemplars; /* made for the first traced reply; NULL before that */
    char server[SESSION_SERVER_BYTES];   /* set before the others see it; "" for "other" */
};

/* Present figures of pools, summed. */
enum pool_gauge {
    POOL_GAUGE_POOLS,    /* with connections or waiters */
    POOL_GAUGE_OPENING,  /* connections that the proxy opens */
    POOL_GAUGE_IDLE,     /* connections */
    POOL_GAUGE_LEASED,   /* connections that run a command */
    POOL_GAUGE_OWN,      /* connections of one client: it logs in, or keeps its connection */
    POOL_GAUGE_AWAITING, /* of LEASED: a getMore awaits data */
    POOL_GAUGE_WAITING,  /* clients */
    POOL_GAUGES
};

struct server_pools {
    _Atomic uint32_t values[POOL_GAUGES];
    _Atomic uint32_t pinned[PIN_REASONS]; /* connections, by reason */
    _Atomic int64_t oldest_wait_ms;       /* of WAITING; 0: nobody waits */
};

/* Only the worker's thread writes them. The last group is updated at each tick. */
struct session_metrics {
    _Atomic uint64_t commands[COMMAND_NAME_COUNT];
    /* The times from a request to its reply, made at the first reply; NULL before that. Without
     * memory they are COMMAND_UNKNOWN's, which is `other_us`. Freed with the worker. */
    struct histogram *_Atomic commands_us[COMMAND_NAME_COUNT];
    struct histogram other_us;
    struct exemplars *_Atomic commands_exemplars[COMMAND_NAME_COUNT]; /* like those of servers */
    /* The same times by server, made with its first connection; filled from the front. */
    struct server_latency *_Atomic servers[SESSION_SERVERS_MAX];
    struct server_latency other_servers;
    _Atomic uint64_t tls_failures[SESSION_TLS_SIDES][TRANSPORT_FAILURES];
    struct histogram turn_us; /* the length of loop turns: the time that others may wait */
    _Atomic uint32_t phases[SESSION_PHASES];
    _Atomic int64_t oldest_wait_ms;                     /* of CONNECTING, WAITING and PAUSED */
    _Atomic int64_t oldest_command_ms;                  /* of RUNNING */
    _Atomic int64_t ticked_ms;                          /* clock_now_ms; 0: not yet */
    struct server_pools pools[SESSION_SERVERS_MAX + 1]; /* as `servers`; the last ones: other */
};

/* Worker's thread. `command` comes from route_counted_as. */
void session_metrics_note_request(struct session_metrics *metrics, enum command_name command);
/* The place of the server in `servers` and `pools`, made at need; SESSION_SERVERS_MAX: other. */
size_t session_metrics_place(struct session_metrics *metrics, const char *server);
/* The latencies of a server, found or made: for session_metrics_note_reply. Never NULL. */
struct server_latency *session_metrics_server(struct session_metrics *metrics, const char *server);
/* The last byte of the reply to `pending` was forwarded, or its reply was handled. Notes the time
 * unless the server may wait on purpose: for a hello, for a getMore on a cursor that awaits data,
 * and for the later replies of a stream, which nobody asked for. `command` comes from
 * route_counted_as. */
void session_metrics_note_reply(struct session_metrics *metrics, const struct pending *pending,
                                enum command_name command, struct server_latency *server,
                                int64_t now_us);
/* The same reply belongs to a traced request, or to a traced batch. */
void session_metrics_note_traced(struct session_metrics *metrics, const struct pending *pending,
                                 enum command_name command, struct server_latency *server,
                                 int64_t now_us, const struct trace_context *context);
void session_metrics_note_turn(struct session_metrics *metrics, int64_t us);

/* After the end of the thread. */
void session_metrics_free(struct session_metrics *metrics);

/* --- any thread, as long as the worker lives --- */

/* The latencies of a command (route_counted_as) and of a server; NULL: none yet. */
const struct histogram *session_metrics_command_us(const struct session_metrics *metrics,
                                                   enum command_name command);
const struct exemplars *session_metrics_command_exemplars(const struct session_metrics *metrics,
                                                          enum command_name command);
/* The i-th server, up to and including SESSION_SERVERS_MAX, which stands for all others. */
const struct server_latency *session_metrics_server_at(const struct session_metrics *metrics,
                                                       size_t i);

#endif
