/* Who the upstream connection of a client is: asked of the server, on that connection, before an
 * insert of the client's is merged; and logins that the proxy must not pass on. */
#ifndef SLUICE_SESSION_IDENTIFY_H
#define SLUICE_SESSION_IDENTIFY_H

#include "merge/merger.h"
#include "session/client.h"
#include "session/upstream_connection.h"

/* What a command does to the identity of the connection that it goes upstream on. Which fields and
 * which names a server takes for a login is its business: every hello counts as one, and every
 * command that the proxy does not know may be one. */
enum identity_effect { IDENTITY_STAYS, IDENTITY_MAY_CHANGE, IDENTITY_CHANGES };

/* Whether the request may go upstream: not where it could log the client in with the proxy's own
 * certificate. */
bool identify_may_pass(const struct client *client, const struct message *message,
                       const struct wire_command *request);
/* A request of that effect goes upstream, on the connection that the client holds the lease of. */
void identify_pass(struct client *client, const struct wire_command *request,
                   enum identity_effect effect);
/* Whether asking the server now could make it certain who the connection is. */
bool identify_may_ask(struct client *client);
/* Asks it. The request is to be held; it is looked at again when the answer is there. */
enum request_step identify_ask(struct client *client, const struct message *message,
                               const struct wire_command *request);
/* The whole reply to the question `pending`. */
void identify_answer(struct client *client, const struct pending *pending, struct bytes document,
                     uint32_t flags);
/* What merging goes by; points into the client and its connection. */
struct merger_origin identify_origin(const struct client *client);
/* Whether the connection is known to be of these users (batch_identity). */
bool identify_is(const struct upstream_connection *connection, const uint8_t *users);

#endif
