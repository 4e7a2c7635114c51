/* The commands around cursors that await data (awaited_cursors.h): those that open one, and the
 * getMore that waits on one. */
#ifndef SLUICE_SESSION_AWAITING_H
#define SLUICE_SESSION_AWAITING_H

#include "session/client.h"

/* For the table of routes. True if the command opens such a cursor: its reply must go to
 * awaiting_take_reply. */
bool awaiting_opens(const struct client *client, const struct wire_command *request);
bool awaiting_take_reply(struct client *client, struct reply *reply);
/* True for a getMore on such a cursor. */
bool awaiting_is(const struct client *client, const struct wire_command *request);

#endif
