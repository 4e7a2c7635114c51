/* Commands that may change a collection's validator. From the sending of such a command until its
 * result is known, the proxy does not enforce the validators that it may change; the server still
 * does. */
#ifndef SLUICE_SESSION_COLLECTION_CHANGES_H
#define SLUICE_SESSION_COLLECTION_CHANGES_H

#include "session/client.h"
#include "wire/command.h"

/* Call it before the request is sent. Returns the number of the change; 0: the command changes
 * none, or the proxy does not follow validators. */
uint32_t collection_changes_begin(struct client *client, const struct wire_command *request);
/* No reply will come. 0 is allowed. */
void collection_changes_lose(struct client *client, uint32_t change);

/* Handler for the reply to create, collMod, drop, dropDatabase, renameCollection and similar
 * commands. */
bool collection_changes_take_reply(struct client *client, struct reply *reply);

#endif
