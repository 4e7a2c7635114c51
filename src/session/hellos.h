/* hello: what the client says of itself is noted; in the reply addresses, compressors and limits
 * become the proxy's. */
#ifndef SLUICE_SESSION_HELLOS_H
#define SLUICE_SESSION_HELLOS_H

#include "session/client.h"

/* What a hello says of its client: whether it understands that a server is overloaded
 * (`backpressure`), and its metadata. Other commands say nothing of that. */
void hellos_note(struct client *client, const struct wire_command *request);

enum request_step hellos_take(struct client *client, const struct message *message,
                              struct wire_command *request);
/* False when memory is out or the reply is malformed. */
bool hellos_take_reply(struct client *client, struct reply *reply);

#endif
