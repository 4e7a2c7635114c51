/* Batches of inserts under way: sends them on the upstream connection of a waiting client, and
 * passes each client its own answer.
 *
 * Batches are sent at the end of the loop turn (worker->pump_event), so that all inserts of one
 * turn are collected, and nothing is sent from another client's callbacks. Clients that need not
 * wait any more are then in worker->to_resume. */
#ifndef SLUICE_SESSION_MERGE_BATCH_H
#define SLUICE_SESSION_MERGE_BATCH_H

#include "session/client.h"
#include "session/upstream_connection.h"

/* Sends all due batches. */
void merge_send_due(struct session_worker *worker);
/* Sets the timer for the next due batch; call it after that. */
void merge_arm_timer(struct session_worker *worker);
/* Sends batches of lost connections once more, or closes their waiters. */
void merge_send_lost(struct session_worker *worker);
/* A client of shared mode whose exchange waited for a connection has one now. */
void merge_go_on(struct client *client);
/* Handles the reply to the batch on this connection. */
void merge_reply(struct upstream_connection *connection, struct bytes document);
/* At each tick: releases clients that left a batch with a long stall. */
void merge_let_go(struct session_worker *worker);

#endif
