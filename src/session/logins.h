/* Logins pass by: what clients claim, and what the server says to that. */
#ifndef SLUICE_SESSION_LOGINS_H
#define SLUICE_SESSION_LOGINS_H

#include "session/client.h"

/* Authentication commands without a login in the end, until the connection is closed. SCRAM takes
 * three, and a shell may try some passwords; servers have no limit for a conversation that does not
 * end, and each step costs them and the proxy more than a ping. */
enum { LOGIN_STEPS = 32 };

/* A command goes upstream that claims an identity, or may. Whether its reply has to be held against
 * that. */
bool logins_watch(struct client *client, const struct wire_command *request);
/* The reply to one of those. */
void logins_note_reply(struct client *client, struct bytes document);

/* saslStart, saslContinue, authenticate and logout. */
enum request_step logins_take(struct client *client, const struct message *message,
                              struct wire_command *request);
bool logins_take_reply(struct client *client, struct reply *reply);

#endif
