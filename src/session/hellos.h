/* hello: notes the client's properties. The proxy answers a client that shares connections itself.
 * Otherwise it puts its own addresses, compressors and limits into the server's reply. */
#ifndef SLUICE_SESSION_HELLOS_H
#define SLUICE_SESSION_HELLOS_H

#include "session/client.h"

/* Notes what the proxy must know of a client's hello. */
void hellos_note(struct client *client, const struct wire_command *request);

enum request_step hellos_take(struct client *client, const struct message *message,
                              struct wire_command *request);
/* False without memory or for a malformed reply. */
bool hellos_take_reply(struct client *client, struct reply *reply);

#endif
