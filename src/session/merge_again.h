/* Inserts whose clients retry; checked at each tick. */
#ifndef SLUICE_SESSION_MERGE_AGAIN_H
#define SLUICE_SESSION_MERGE_AGAIN_H

#include "session/client.h"

/* Checks for the answer to the insert that a retry waits for, and for a retry of an insert whose
 * client closed its sending side. True if the client continues reading. */
bool merge_look_again(struct client *client);

#endif
