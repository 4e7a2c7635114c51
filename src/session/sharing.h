/* The identity of a client of shared mode, and its pool. A client that never logged in uses
 * connections that never did. After a login the server names the users of the client's own
 * connection; from then on the client uses connections that certainly belong to the same users. */
#ifndef SLUICE_SESSION_SHARING_H
#define SLUICE_SESSION_SHARING_H

#include "auth/identity.h"
#include "session/client.h"

/* Chooses the mode at the client's first request, perhaps a hello with the application's name. */
void sharing_begin(struct client *client, const struct wire_command *request);
/* The client loses its connection or stops to wait for one. */
void sharing_stop(struct client *client);
/* The client ends. */
void sharing_end(struct client *client);

/* Its pool, by its identity. NULL without memory. The client holds it. */
struct pool *sharing_enter_pool(struct client *client);
void sharing_leave_pool(struct client *client);

/* A command that may change the identity goes upstream on the client's own connection. */
void sharing_forget_identity(struct client *client);
/* The server answered on the leased connection at the time asked_us; NULL: it gave no clear answer.
 * On a connection of a pool, other users than before end it (`lost`). */
void sharing_learn(struct client *client, const struct identity *identity, int64_t asked_us);

/* A login that is newer than the last proof of older connections waits until one of these is asked
 * (standings_proved_us). Asks at need. Returns a client whose login is confirmed; NULL: none. */
struct client *sharing_next_joined(struct session_worker *worker);

#endif
