/* Pause: running commands finish, open transactions continue to their end, and other new commands
 * wait for the resume. Hellos and logins pass, so that drivers keep the server. */
#ifndef SLUICE_SESSION_PAUSE_H
#define SLUICE_SESSION_PAUSE_H

#include "session/client.h"

/* True if this request must wait now: the caller must call pause_hold. */
bool pause_holds(const struct client *client, const struct wire_command *request);
/* False after query_wait_timeout_ms: the request must be refused. */
bool pause_hold(struct client *client);
/* For a client with a held request: true after query_wait_timeout_ms. The request is then handled
 * again. */
bool pause_is_over(struct client *client, int64_t now_ms);
/* The proxy resumes. True if a request of the client was held; it is then handled again. */
bool pause_let_go(struct client *client);

#endif
