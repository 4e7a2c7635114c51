/* Leases in `shared` mode. A request gets a lease before its handler runs. The client gives it back
 * after the reply, unless something pins it: a command under way, an exhaust stream, a w:0 write
 * until the next acknowledged command is answered, or a connection of the client's own. Commands
 * that may change the identity run on a connection of the client's own, until the server has named
 * its users. A client has one request under way at a time. */
#ifndef SLUICE_SESSION_POOLED_H
#define SLUICE_SESSION_POOLED_H

#include "session/client.h"
#include "session/identify.h"

/* For a request of a client with `sharing`. STEP_PASS: it has the connection that it needs.
 * STEP_LEASE: it waits for one (REQUEST_WAITING). STEP_WAIT, STEP_GATHER, STEP_TAKEN and STEP_STOP
 * as for handlers. */
enum request_step pooled_admit(struct client *client, const struct message *message,
                               const struct wire_command *request);

/* The effect of the request on the identity of the connection. In shared mode, commands of
 * MongoDB's list that cannot change it are known, and hellos that do not log in. */
enum identity_effect pooled_effect(const struct wire_command *request, enum identity_effect effect);

/* The request waits for a connection of client->pool. STEP_LEASE, or a refusal. */
enum request_step pooled_wait(struct client *client, const struct message *message,
                              const struct wire_command *request);

/* Gives the lease back if nothing pins it. The end of every callback that may have ended a request
 * calls it. The client may end. */
void pooled_settle(struct client *client);

/* A w:0 write pins the connection: asks the server, whose answer comes after the write. */
void pooled_acknowledge(struct client *client);

#endif
