/* A worker with its clients: what its thread alone reads and writes. */
#ifndef SLUICE_SESSION_SESSION_WORKER_H
#define SLUICE_SESSION_SESSION_WORKER_H

#include <event2/event.h>

#include "metrics/counters.h"
#include "net/worker.h"
#include "session/session_metrics.h"
#include "session/session_settings.h"
#include "session/session_shared.h"

struct waiting_retry;
struct sent_batch;
struct client;
struct merger;
struct merger_permit;
struct link_handler;
struct schema_scratch;
struct standings;
struct tally;
struct upstream_connection;

struct session_worker {
    struct worker *worker;
    struct session_shared *shared;
    struct session_settings *settings;
    struct schemas_held schemas;    /* as the last session_worker_schemas found them */
    struct schema_scratch *scratch; /* for checks */
    struct tally *tally;            /* what they count by version */
    struct merger *merger;
    struct standings *standings;
    struct event *pump_event;          /* sends what is due, at the end of the loop turn */
    struct sent_batch *sent_batches;   /* batches on their way; utlist */
    struct merger_permit *next_permit; /* of the insert that is forwarded in this callback */
    struct client *to_resume;          /* utlist over resume_next */
    struct waiting_retry *spare_waiting_retry; /* for the next retry */
    size_t merge_largest_bytes;                /* of max_bytes, anywhere; 0: merging is off */
    size_t merge_ever_bytes;                   /* the most that was, since the start */
    bool merge_configured;
    bool merge_changed;         /* the options may have, since the start */
    size_t held_bytes;          /* of the merger's, counted against memory_max */
    struct client *client_list; /* utlist */
    struct client *ended;       /* freed when the loop turn is over */
    struct upstream_connection *closed_connections; /* the same; utlist */
    const struct link_handler *connection_handler;  /* of upstream connections */
    struct event *reap_event;
    struct counters counters;
    struct session_metrics metrics;
    atomic_uint clients; /* given to it, for choosing the least loaded */
    bool draining;
    bool paused;
};

/* The schemas in force now; NULL: none. Borrowed until the next call. */
struct registry *session_worker_schemas(struct session_worker *worker);

#endif
