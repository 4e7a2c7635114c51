/* Retries of inserts that were merged: they wait for the one that they repeat, or ask for it under
 * the numbers of its batch. So do inserts of a batch whose answer leaves open what became of them.
 */
#ifndef SLUICE_SESSION_MERGE_RETRY_H
#define SLUICE_SESSION_MERGE_RETRY_H

#include "merge/retry_table.h"
#include "session/client.h"

/* For the insert that is about to be submitted; its arg is NULL when memory is out. */
struct retry_listener merge_listener(struct session_worker *worker);
/* The insert turned out to repeat one that is under way, with that listener; client->exchange
 * waits for it. `command`: the payload, copied. */
enum request_step merge_wait_for_first(struct client *client, struct bytes command,
                                       struct retry_waiter *retry_waiter);
/* What became of its insert is not known: client->exchange has the resend, which asks for the next
 * document. */
enum request_step merge_ask(struct client *client);
/* The reply to a retry under a batch's number. False after the client left CLIENT_ACTIVE. */
bool merge_resent(struct client *client, struct bytes document);
/* As a lost connection: what became of the insert is for a retry to find out. */
enum request_step merge_close_client(struct client *client);

#endif
