/* Sessions: a client connection and its upstream connection, from accept to end. Each lives on one
 * worker; what they share stands here. */
#ifndef SLUICE_SESSION_SESSION_H
#define SLUICE_SESSION_SESSION_H

#include <stdatomic.h>

#include "catalog/registry.h"
#include "coalesce/merge_counters.h"
#include "coalesce/retry_table.h"
#include "enforce/tally.h"
#include "metrics/counters.h"
#include "net/budget.h"
#include "net/worker.h"
#include "session/bulk_cursors.h"
#include "session/settings.h"
#include "session/transactions.h"

enum { SESSION_ADDRESS_BYTES = 300, SESSION_CAUSE_BYTES = 400 };

/* What sessions ask of those who know the topology. Called on any worker's thread. */
struct session_hooks {
    void *context;
    /* The proxy's port of an upstream member ("host:port" as hello names it), or 0 when clients
     * must not be told of it. A member not seen before gets its listener here. */
    uint16_t (*port_of_member)(void *context, const char *member, size_t len);
    /* Why no server is known, for the error that clients get. */
    void (*explain_no_server)(void *context, char cause[SESSION_CAUSE_BYTES]);
    /* A command that may have changed a collection's validator succeeded. */
    void (*collections_changed)(void *context);
};

/* One for the whole proxy; outlives the workers. */
struct session_shared {
    struct budget budget;
    atomic_uint clients_now;  /* without the refused ones */
    atomic_uint refused_now;  /* over max_client_conn, still to be told so */
    _Atomic uint64_t last_id; /* of connections, as logged */
    int64_t started_ms;       /* clock_now_ms */
    struct transactions *transactions;
    struct bulk_cursors *bulk_cursors;
    struct retry_table *retries;
    struct session_hooks hooks;
};

struct session_worker;

/* A worker thread with its sessions. Takes a reference of settings. */
struct session_worker *session_worker_start(unsigned index, struct session_shared *shared,
                                            struct session_settings *settings, struct error *err);

/* Any thread. The descriptor changes hands (closed on failure). `server`: "host:port" or a Unix
 * socket's path, copied; "" when none is known yet. */
void session_worker_accept(struct session_worker *worker, int client_fd, const char *server);
void session_worker_set_settings(struct session_worker *worker, struct session_settings *settings);
/* The schemas that are in force from now on; takes a reference. */
void session_worker_set_registry(struct session_worker *worker, struct registry *registry);
/* From now on sessions end as soon as nothing of theirs is under way. */
void session_worker_drain(struct session_worker *worker);
/* New commands wait, those that run and open transactions go on; then, those that waited go on.
 * Draining resumes. False when memory is out. */
bool session_worker_pause(struct session_worker *worker);
bool session_worker_resume(struct session_worker *worker);
/* Ends what is left, joins the thread. */
void session_worker_stop(struct session_worker *worker);

/* Any thread. */
unsigned session_worker_clients(const struct session_worker *worker);
const struct counters *session_worker_counters(const struct session_worker *worker);
const struct coalesce_counters *session_worker_merge_counters(const struct session_worker *worker);
/* To be read only: see enforce/tally.h. */
struct tally *session_worker_tally(const struct session_worker *worker);

#endif
