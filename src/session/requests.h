/* The client's side: requests are framed, looked at, and forwarded. */
#ifndef SLUICE_SESSION_REQUESTS_H
#define SLUICE_SESSION_REQUESTS_H

#include "session/client.h"

extern const struct link_handler requests_handler;

/* The upstream can take more, or what a request waited for is there: works on what is kept and
 * reads on. */
void requests_resume(struct client *client);
/* The same for all of worker->to_resume. */
void requests_resume_answered(struct session_worker *worker);
/* turn_waiter.run of a client: the turn has come that a request was left for. */
void requests_go_on(void *client);

#endif
