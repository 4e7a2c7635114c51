/* A worker with its clients: the data that only its thread reads and writes. */
#ifndef SLUICE_SESSION_SESSION_WORKER_H
#define SLUICE_SESSION_SESSION_WORKER_H

#include <event2/event.h>

#include "metrics/counters.h"
#include "net/worker.h"
#include "session/session_metrics.h"
#include "session/session_settings.h"
#include "session/session_shared.h"
#include "session/span_source.h"

struct waiting_retry;
struct sent_batch;
struct client;
struct hello_source;
struct merger;
struct merger_permit;
struct pools;
struct link_handler;
struct schema_scratch;
struct standings;
struct tally;
struct upstream_connection;
struct verified;

enum worker_state { WORKER_RUNS, WORKER_IS_PAUSED, WORKER_DRAINS };

struct session_worker {
    struct worker *worker;
    struct session_shared *shared;
    struct session_settings *settings;
    struct schemas_held schemas;    /* as last found by session_worker_schemas */
    struct schema_scratch *scratch; /* for checks */
    struct tally *tally;            /* its counters by version */
    struct merger *merger;
    struct standings *standings;
    struct event *pump_event;                  /* sends due batches at the end of the loop turn */
    struct sent_batch *sent_batches;           /* batches under way; utlist */
    struct merger_permit *next_permit;         /* of the insert that this callback forwards */
    struct hello_source *hello_sources;        /* of its clients; utlist */
    int32_t hello_reply_ids;                   /* of replies that a stream continues */
    struct client *to_resume;                  /* utlist over resume_next */
    struct waiting_retry *spare_waiting_retry; /* for the next retry */
    size_t merge_largest_bytes; /* the largest max_bytes of all namespaces; 0: merging is off */
    size_t merge_ever_bytes;    /* its maximum since the start */
    bool merge_configured;
    bool merge_changed;         /* the options may have changed since the start */
    size_t held_bytes;          /* the merger's, counted for memory_max */
    struct client *client_list; /* utlist */
    struct client *ended;       /* freed at the end of the loop turn */
    struct upstream_connection *closed_connections; /* freed at the end of the loop turn; utlist */
    const struct link_handler *connection_handler;  /* of upstream connections */
    struct pools *pools;                            /* of shared mode */
    struct standings *share_standings;              /* the identities of shared mode */
    struct upstream_connection *shared_connections; /* all of shared mode; utlist */
    struct verified *asking; /* logins that wait for the source of verifiers; utlist */
    struct client *joining;  /* clients with `joining` (sharing.h); utlist */
    unsigned pool_cancels;   /* connections closed in this tick for clients that left */
    bool pool_lost;          /* a pool may have no connection any more, and none can come */
    struct upstream_connection *replying; /* its reply is being read: its lease stays */
    const size_t *reply_rest; /* while `replying` is set: the read bytes that are not handled yet */
    struct event *pool_event; /* serves the clients that wait for a pool (pool_pump.h) */
    struct event *reap_event;
    struct span_source spans;
    struct counters counters;
    struct session_metrics metrics;
    atomic_uint clients; /* its clients, to choose the least loaded worker */
    /* Set by any thread; the worker follows them at each tick at least. */
    _Atomic enum worker_state wanted_state;
    atomic_bool verifiers_answered;
    struct session_settings *_Atomic wanted_settings; /* owned reference; NULL: no newer ones */
    bool draining;
    bool paused;
};

/* The enforced schemas; NULL: none. Borrowed until the next call. */
struct registry *session_worker_schemas(struct session_worker *worker);

#endif
