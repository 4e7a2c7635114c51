/* Statements of transactions, and their ends, pass by: draining waits for what is open. */
#ifndef SLUICE_SESSION_STATEMENTS_H
#define SLUICE_SESSION_STATEMENTS_H

#include "session/client.h"

/* Whether it is a statement of a transaction whose reply tells if it was carried out. */
bool statements_watch(const struct pending *pending);
/* The request of `pending` goes upstream. */
void statements_note_sent(struct client *client, const struct pending *pending);
/* The reply's document; empty: it is longer than any error. */
void statements_note_answered(struct client *client, const struct pending *pending,
                              struct bytes document);
/* Reply to abortTransaction and commitTransaction. */
bool statements_take_end_reply(struct client *client, struct reply *reply);

#endif
