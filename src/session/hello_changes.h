/* Clients whose hello waits: a change of their server, and the passing of time. */
#ifndef SLUICE_SESSION_HELLO_CHANGES_H
#define SLUICE_SESSION_HELLO_CHANGES_H

#include "session/client.h"

/* The state of a server changed: answers the clients that wait for it. */
void hello_changes_look(struct session_worker *worker);

/* At each tick, for a client with a hello_wait: has it answered in this turn or a later one, if its
 * time has come. */
void hello_changes_check(struct client *client, int64_t now_ms);

#endif
