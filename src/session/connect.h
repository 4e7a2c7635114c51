/* Connects to the server when a client has something to send. */
#ifndef SLUICE_SESSION_CONNECT_H
#define SLUICE_SESSION_CONNECT_H

#include "session/client.h"
#include "session/upstream_connection.h"

/* The connection whose lease the client holds, or takes now. NULL after the client ended because
 * memory is out. */
struct upstream_connection *connect_take_lease(struct client *client);
/* The same, and begins to connect it. NULL after the client left CLIENT_ACTIVE. */
struct upstream_connection *connect_upstream(struct client *client);

/* The link of the connection is open. */
void connect_note_opened(struct upstream_connection *connection);
/* The connection cannot be made: the client gets an error. */
void connect_failed(struct upstream_connection *connection, const char *cause);

#endif
