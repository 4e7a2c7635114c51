/* Batches of inserts on their way: out on the upstream connection of one of the waiting clients,
 * and each client's own answer back.
 *
 * They are sent at the end of the loop turn (worker->pump_event), so that whatever was read in one
 * turn waits, and nothing is sent from within another client's callbacks. Clients that need
 * not wait any more stand in worker->to_resume afterwards. */
#ifndef SLUICE_SESSION_MERGE_BATCH_H
#define SLUICE_SESSION_MERGE_BATCH_H

#include "session/client.h"
#include "session/upstream_connection.h"

/* What is due goes. */
void merge_send_due(struct session_worker *worker);
/* After that: when the next is due. */
void merge_arm_timer(struct session_worker *worker);
/* Batches whose connection was lost go once more, or their waiters see the loss. */
void merge_send_lost(struct session_worker *worker);
/* The reply to the batch that the connection carries. */
void merge_reply(struct upstream_connection *connection, struct bytes document);
/* From tick to tick: who left a batch that has been stalled for long is let go. */
void merge_let_go(struct session_worker *worker);

#endif
