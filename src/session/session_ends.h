/* Commands that end logical sessions pass by: what is known of their retryable writes goes, and of
 * their bulkWrite cursors. */
#ifndef SLUICE_SESSION_SESSION_ENDS_H
#define SLUICE_SESSION_SESSION_ENDS_H

#include "session/client.h"

/* endSessions, killSessions */
enum request_step session_ends_take(struct client *client, const struct message *message,
                                    struct wire_command *request);
bool session_ends_take_reply(struct client *client, struct reply *reply);
/* Reply to killAllSessions and killAllSessionsByPattern. */
bool session_ends_take_all_reply(struct client *client, struct reply *reply);

#endif
