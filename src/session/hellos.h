/* hello: notes the client's properties, and puts the proxy's addresses, compressors and limits into
 * the reply. */
#ifndef SLUICE_SESSION_HELLOS_H
#define SLUICE_SESSION_HELLOS_H

#include "session/client.h"

/* Notes the properties of the client in a hello: support for overload errors (`backpressure`), and
 * its metadata. Ignores other commands. */
void hellos_note(struct client *client, const struct wire_command *request);

enum request_step hellos_take(struct client *client, const struct message *message,
                              struct wire_command *request);
/* False without memory or for a malformed reply. */
bool hellos_take_reply(struct client *client, struct reply *reply);

#endif
