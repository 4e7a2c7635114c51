/* A client that goes, by itself or because the proxy is drained: what is still owed to it, and to
 * the server. */
#ifndef SLUICE_SESSION_LEAVING_H
#define SLUICE_SESSION_LEAVING_H

#include "session/client.h"

/* Whether draining may end it now: nothing of its client's is under way but hellos, neither a part
 * of a request nor a write that wants no reply. */
bool client_is_idle(const struct client *client);
/* Ends one that draining may end, and one that has ended its side and has all its answers. */
void client_end_if_drained(struct client *client);

/* The client is gone. With a command under way that ends the upstream connection too, so that the
 * server stops working for nobody. */
void client_leave(struct client *client, const char *reason);
/* EOF. Whoever has asked for something still gets its answer, as directly: one who only ended its
 * side cannot be told from one who is gone. The server is told, and stops what it would have
 * stopped. Writes that want no reply still go out, as they would have from the client's kernel. */
void client_finish(struct client *client);
/* Of a client that ended its side: the server sees it, too, once nothing more is to be sent; with
 * all answered the client ends. */
void client_wind_up(struct client *client);
/* Looks after a client that is not being read and waits for something: it may be gone, or have
 * ended its side. */
void client_check_peer(struct client *client);

#endif
