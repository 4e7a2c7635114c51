/* Commands that may change a collection's validator. From the moment that one is sent until its
 * outcome was read, the validators that it may change are not enforced; the server still holds
 * them. */
#ifndef SLUICE_SESSION_COLLECTION_CHANGES_H
#define SLUICE_SESSION_COLLECTION_CHANGES_H

#include "session/client.h"
#include "wire/command.h"

/* Before the request is sent. The number of the change; 0: it changes none, or nobody follows
 * them. */
uint32_t collection_changes_begin(struct client *client, const struct wire_command *request);
/* There will be no reply. 0 is allowed. */
void collection_changes_lose(struct client *client, uint32_t change);

/* Reply to create, collMod, drop, dropDatabase, renameCollection and their like. */
bool collection_changes_take_reply(struct client *client, struct reply *reply);

#endif
