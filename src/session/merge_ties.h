/* The ties of clients and connections to the worker's merger, and their release. */
#ifndef SLUICE_SESSION_MERGE_TIES_H
#define SLUICE_SESSION_MERGE_TIES_H

#include "merge/merger.h"
#include "session/client.h"

struct batch;

/* A batch that was sent on this connection. */
struct sent_batch {
    struct sent_batch *next; /* of the worker's list */
    struct batch *batch;
    struct upstream_connection *connection; /* NULL: it is lost, or the batch waits */
    bool waits;                             /* for a connection of its pool */
    bool sent;                              /* at least once */
    struct trail *trail;                    /* owned; NULL: it is not traced */
};

/* A retry that waits for the insert that it repeats. Another session, perhaps of another worker,
 * carries that insert. It is checked at each tick: it is rare, and its client has already lost a
 * connection. */
struct waiting_retry {
    struct retry_waiter *retry_waiter;
    uint8_t *command; /* to submit it again; a payload */
    size_t command_len;
    atomic_bool told; /* set last, by the other thread */
    bool again;
    uint8_t *reply; /* NULL although told, and not again: no memory */
    size_t reply_len;
};
void waiting_retry_free(struct waiting_retry *waiting_retry); /* NULL is allowed */

/* Counts the merger's memory for memory_max. */
void merge_account(struct session_worker *worker);
/* Sends all due batches at the end of this loop turn. */
void merge_pump_soon(struct session_worker *worker);
/* The client of a waiting insert is gone. */
void merge_leave(struct session_worker *worker, struct merger_waiter *waiter);
void merge_resend_lost(struct session_worker *worker, struct merger_resend *resend);
/* The command with a permit was answered, or its connection is lost. */
void merge_finished(struct session_worker *worker, struct merger_permit *permit);
/* The connection is lost, together with a batch that it carries. */
void merge_lost(struct upstream_connection *connection);
/* The oldest request of the client is answered. */
void merge_pop_pending(struct client *client);

#endif
