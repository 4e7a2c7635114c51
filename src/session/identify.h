/* Asks the server for the identity of a client's upstream connection, on that connection, before it
 * merges an insert of the client. Also stops logins that the proxy must not forward. */
#ifndef SLUICE_SESSION_IDENTIFY_H
#define SLUICE_SESSION_IDENTIFY_H

#include "merge/merger.h"
#include "session/client.h"
#include "session/upstream_connection.h"

/* The effect of a command on the identity of its upstream connection. The server decides which
 * fields and names log in: so every hello counts as a login, and every unknown command may be one.
 */
enum identity_effect { IDENTITY_STAYS, IDENTITY_MAY_CHANGE, IDENTITY_CHANGES };

/* True if the request may go upstream: it cannot log the client in with the proxy's own
 * certificate. */
bool identify_may_pass(const struct client *client, const struct message *message,
                       const struct wire_command *request);
/* Notes that a request with this effect goes upstream on the leased connection. */
void identify_pass(struct client *client, const struct wire_command *request,
                   enum identity_effect effect);
/* True if a question to the server now could make the identity certain. */
bool identify_may_ask(struct client *client);
/* Asks the server. The request waits and is handled again after the answer. */
enum request_step identify_ask(struct client *client, const struct message *message,
                               const struct wire_command *request);
/* Handles the complete reply to the question `pending`. */
void identify_answer(struct client *client, const struct pending *pending, struct bytes document,
                     uint32_t flags);
/* The origin for merging; points into the client and its connection. */
struct merger_origin identify_origin(const struct client *client);
/* True if the connection certainly has these users (batch_identity). */
bool identify_is(const struct upstream_connection *connection, const uint8_t *users);

#endif
