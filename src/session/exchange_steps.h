/* Exchanges go on from step to step: something goes upstream in the request's place, its reply
 * comes back, a transaction is aborted, the client has its answer. All that answer bool are false
 * after the client left CLIENT_ACTIVE. */
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
/* The exchange ends with that answer; with an empty one the client's connection closes, for the
 * reason `otherwise`. */
bool exchange_answer(struct client *client, struct bytes document, const char *otherwise);

#endif
