/* The client's side: frames requests, has them decided on, and forwards them. */
#ifndef SLUICE_SESSION_REQUESTS_H
#define SLUICE_SESSION_REQUESTS_H

#include "session/client.h"

extern const struct link_handler requests_handler;

/* The upstream can accept more, or the awaited event of a request came: handles the kept bytes and
 * continues reading. */
void requests_resume(struct client *client);
/* Does the same for all clients in worker->to_resume. */
void requests_resume_answered(struct session_worker *worker);
/* turn_waiter.run of a client: the turn of a postponed request. */
void requests_go_on(void *client);

#endif
