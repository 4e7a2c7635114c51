/* Commands that end logical sessions: the proxy drops its knowledge of their retryable writes and
 * bulkWrite cursors. */
#ifndef SLUICE_SESSION_SESSION_ENDS_H
#define SLUICE_SESSION_SESSION_ENDS_H

#include "session/client.h"

/* Handler for endSessions and killSessions. */
enum request_step session_ends_take(struct client *client, const struct message *message,
                                    struct wire_command *request);
bool session_ends_take_reply(struct client *client, struct reply *reply);
/* Handler for the replies to killAllSessions and killAllSessionsByPattern. */
bool session_ends_take_all_reply(struct client *client, struct reply *reply);

#endif
