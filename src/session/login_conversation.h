/* A client's login conversation: from saslStart or a speculative hello to its end. */
#ifndef SLUICE_SESSION_LOGIN_CONVERSATION_H
#define SLUICE_SESSION_LOGIN_CONVERSATION_H

#include "session/client.h"

/* Notes the reply to a command that may log in: whether the conversation goes on. */
void login_conversation_note(struct client *client, enum command_name command,
                             struct bytes document);

#endif
