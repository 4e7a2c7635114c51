/* Upstream connections are made when their client has something to send. */
#ifndef SLUICE_SESSION_CONNECT_H
#define SLUICE_SESSION_CONNECT_H

#include "session/client.h"
#include "session/upstream_connection.h"

/* The connection that the client holds the lease of, taken where it held none. NULL after the
 * client ended: memory is out. */
struct upstream_connection *connect_take_lease(struct client *client);
/* The same; it is connected, or being connected. NULL after the client left CLIENT_ACTIVE. */
struct upstream_connection *connect_upstream(struct client *client);

/* Its link is open. */
void connect_note_opened(struct upstream_connection *connection);
/* It cannot be made: an error to the client. */
void connect_failed(struct upstream_connection *connection, const char *cause);

#endif
