/* The steps of an exchange: a message goes upstream in the request's place, its reply comes back,
 * the proxy aborts a transaction, the client gets its answer. Every function that answers bool
 * answers false after the client left CLIENT_ACTIVE. */
#ifndef SLUICE_SESSION_EXCHANGE_STEPS_H
#define SLUICE_SESSION_EXCHANGE_STEPS_H

#include "session/exchange.h"

/* Takes over the exchange. payload: what goes upstream in the request's place, empty for nothing:
 * then the answer was kept before. */
bool exchange_begin(struct client *client, struct exchange *exchange, struct bytes payload);
/* The same with a payload that stands behind ENFORCE_FRONT_BYTES of the buffer, which is taken
 * over. */
bool exchange_begin_with(struct client *client, struct exchange *exchange, struct buffer *payload);
/* Something goes upstream for client->exchange, under its client's requestID. */
bool exchange_send(struct client *client, struct bytes payload);
/* The whole reply to what the exchange sent. */
bool exchange_reply(struct client *client, struct bytes document);
/* Ends the exchange with that answer. An empty document closes the client's connection instead,
 * with the reason `otherwise`. */
bool exchange_answer(struct client *client, struct bytes document, const char *otherwise);

#endif
