/* Connects to the server when a client has something to send. */
#ifndef SLUICE_SESSION_CONNECT_H
#define SLUICE_SESSION_CONNECT_H

#include "session/client.h"
#include "session/upstream_connection.h"

/* The connection whose lease the client holds or now takes. NULL without memory; the client has
 * then ended. */
struct upstream_connection *connect_take_lease(struct client *client);
/* Does the same and starts the connection. NULL after the client left CLIENT_ACTIVE. */
struct upstream_connection *connect_upstream(struct client *client);

/* Starts it: it opens its link, or calls the link's handler. */
void connect_start(struct upstream_connection *connection);
/* Handles the opening of the connection's link. */
void connect_note_opened(struct upstream_connection *connection);
/* Handles a failed connection: the client gets an error. */
void connect_failed(struct upstream_connection *connection, const char *cause);

#endif
