/* From tick to tick: inserts whose clients ask for them again. */
#ifndef SLUICE_SESSION_MERGE_AGAIN_H
#define SLUICE_SESSION_MERGE_AGAIN_H

#include "session/client.h"

/* Looks whether the insert that a retry waits for has its answer, and whether one whose client
 * ended its side is asked for elsewhere. Whether the client reads on. */
bool merge_look_again(struct client *client);

#endif
