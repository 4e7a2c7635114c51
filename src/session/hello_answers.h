/* Answers to hello by the proxy, for clients that share upstream connections. A hello with
 * topologyVersion and maxAwaitTimeMS is answered at once if the topology is another one, and
 * otherwise after a change or at its time. With exhaustAllowed, replies follow until the client
 * leaves. As from the server itself, a client whose server is lost loses its connection. */
#ifndef SLUICE_SESSION_HELLO_ANSWERS_H
#define SLUICE_SESSION_HELLO_ANSWERS_H

#include "session/client.h"

/* True if the proxy can answer this hello of a client that shares connections: it starts no login,
 * and the server need not judge it. */
bool hello_answers_may_take(const struct client *client, const struct wire_command *request);

/* Answers the hello now or later (client->hello_wait). `extra` is a document whose elements are
 * added to the reply, or empty; copied. */
enum request_step hello_answers_take(struct client *client, const struct message *message,
                                     const struct wire_command *request, struct bytes extra);

/* Answers or fails the waiting hello (client->hello_wait), if it is time. False after the client
 * left CLIENT_ACTIVE. */
bool hello_answers_settle(struct client *client, int64_t now_ms);

/* From time to time: asks for the state again if the waiting hello has none. Memory may have been
 * out when it was asked for, or when it became known. */
void hello_answers_remind(struct client *client, int64_t now_ms);

#endif
