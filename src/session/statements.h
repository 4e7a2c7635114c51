/* Statements of transactions, and the ends of transactions: a drain waits for open ones. */
#ifndef SLUICE_SESSION_STATEMENTS_H
#define SLUICE_SESSION_STATEMENTS_H

#include "session/client.h"

/* True if it is a statement of a transaction whose reply tells whether it ran. */
bool statements_watch(const struct pending *pending);
/* Notes that the request of `pending` goes upstream. */
void statements_note_sent(struct client *client, const struct pending *pending);
/* Notes the reply's document; an empty one is longer than any error. */
void statements_note_answered(struct client *client, const struct pending *pending,
                              struct bytes document);
/* Handler for the replies to abortTransaction and commitTransaction. */
bool statements_take_end_reply(struct client *client, struct reply *reply);

#endif
