/* Applies limits.rules (limits.h) to clients. A client's application is the name of its hello. Its
 * user is the one that the server named or the proxy verified; in `session` mode, the one of its
 * last login that the server accepted. */
#ifndef SLUICE_SESSION_LIMITED_H
#define SLUICE_SESSION_LIMITED_H

#include "session/client.h"

/* For each request, before its handler. STEP_PASS: it is within the limits. A client that is one
 * connection too many gets an error and ends; a request too many gets an error. Logins, hellos, and
 * commands that end something always pass. Other steps as for handlers. */
enum request_step limited_admit(struct client *client, const struct message *message,
                                struct wire_command *request);

#endif
