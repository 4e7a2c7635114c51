/* Pausing: commands that run finish, transactions that are open go on to their end, and every other
 * new command waits until the proxy is resumed. Hellos and logins pass, so that drivers do not take
 * the server for lost. */
#ifndef SLUICE_SESSION_PAUSE_H
#define SLUICE_SESSION_PAUSE_H

#include "session/client.h"

/* Whether a request that waits while the proxy is paused has to wait now: pause_hold is due. */
bool pause_holds(const struct client *client, const struct wire_command *request);
/* False when it has waited for query_wait_timeout_ms: it has to be refused. */
bool pause_hold(struct client *client);
/* Of a client whose request is held: whether it has waited for query_wait_timeout_ms. It is to be
 * looked at again then. */
bool pause_is_over(struct client *client, int64_t now_ms);
/* The proxy is resumed. Whether a request of the client's was held, and is to be looked at again.
 */
bool pause_let_go(struct client *client);

#endif
