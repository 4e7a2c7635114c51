/* A client that leaves, on its own or because of a drain: its remaining answers, and its remaining
 * messages for the server. */
#ifndef SLUICE_SESSION_LEAVING_H
#define SLUICE_SESSION_LEAVING_H

#include "session/client.h"

/* True if a drain may end the client now: it has nothing under way except hellos, no partial
 * request and no write without a reply. */
bool client_is_idle(const struct client *client);
/* Ends a client that a drain may end, or that has closed its sending side and has all its answers.
 */
void client_end_if_drained(struct client *client);

/* The client is gone. If a command is under way, this also ends the upstream connection, so that
 * the server stops the work. */
void client_leave(struct client *client, const char *reason);
/* EOF. The client still gets its answers, as on a direct connection, because a client that closed
 * its sending side cannot be told from one that is gone. The server gets a FIN too and stops the
 * same commands as for a direct client. Writes without a reply still go out, as the client's kernel
 * would have sent them. */
void client_finish(struct client *client);
/* For a client that closed its sending side: sends a FIN to the server after the last request, and
 * ends the client after its last answer. */
void client_wind_up(struct client *client);
/* Checks a client that waits and is not being read: it may be gone or have closed its sending side.
 */
void client_check_peer(struct client *client);

#endif
