/* The steps of an exchange: the proxy sends a message in place of the request, gets its reply,
 * aborts a transaction, and answers the client. Every function with a bool result returns false
 * after the client left CLIENT_ACTIVE. */
#ifndef SLUICE_SESSION_EXCHANGE_STEPS_H
#define SLUICE_SESSION_EXCHANGE_STEPS_H

#include "session/exchange.h"

/* Takes over the exchange. `payload` goes upstream in place of the request; if it is empty, the
 * exchange already holds the answer. */
bool exchange_begin(struct client *client, struct exchange *exchange, struct bytes payload);
/* Does the same with a payload behind ENFORCE_FRONT_BYTES of a buffer, which it takes over. */
bool exchange_begin_with(struct client *client, struct exchange *exchange, struct buffer *payload);
/* Sends a payload upstream for client->exchange, under the client's requestID. */
bool exchange_send(struct client *client, struct bytes payload);
/* Handles the complete reply to the exchange's message. */
bool exchange_reply(struct client *client, struct bytes document);
/* Ends the exchange with this answer. An empty document closes the client's connection instead,
 * with the reason `otherwise`. */
bool exchange_answer(struct client *client, struct bytes document, const char *otherwise);

#endif
