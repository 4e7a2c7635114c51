/* Commands that may change a collection's validator: the reply tells whether they did. */
#ifndef SLUICE_SESSION_COLLECTION_CHANGES_H
#define SLUICE_SESSION_COLLECTION_CHANGES_H

#include "session/client.h"

/* Reply to create, collMod, drop, dropDatabase and renameCollection. */
bool collection_changes_take_reply(struct client *client, struct reply *reply);

#endif
