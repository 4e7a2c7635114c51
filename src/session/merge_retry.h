/* Retries of merged inserts: they wait for the insert that they repeat, or ask for it under the
 * numbers of its batch. Inserts of a batch with an unclear answer do the same. */
#ifndef SLUICE_SESSION_MERGE_RETRY_H
#define SLUICE_SESSION_MERGE_RETRY_H

#include "merge/retry_table.h"
#include "session/client.h"

/* The listener for the insert to submit next; its arg is NULL without memory. */
struct retry_listener merge_listener(struct session_worker *worker);
/* The insert repeats one that is under way, with that listener; client->exchange waits for it.
 * `command` is the payload; it is copied. */
enum request_step merge_wait_for_first(struct client *client, struct bytes command,
                                       struct retry_waiter *retry_waiter);
/* The result of the client's insert is unknown: client->exchange has the resend, which asks for the
 * next document. */
enum request_step merge_ask(struct client *client);
/* Handles the reply to a retry under a batch's number. False after the client left CLIENT_ACTIVE.
 */
bool merge_resent(struct client *client, struct bytes document);
/* Closes the client like a lost connection: its retry then finds out the result of the insert. */
enum request_step merge_close_client(struct client *client);

#endif
