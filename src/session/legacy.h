/* Legacy opcodes, and commands other than hello and authentication in OP_QUERY. The proxy answers
 * as MongoDB 6 does, even if the server still accepts them, so that no write passes unchecked. The
 * connection stays open, because some drivers probe the protocol in this way. */
#ifndef SLUICE_SESSION_LEGACY_H
#define SLUICE_SESSION_LEGACY_H

#include "session/client.h"

/* Functions with a bool result return false after the client ended. */
/* Answers a command that OP_QUERY may no longer carry: code 352. */
bool legacy_refuse_command(struct client *client, const struct message *message,
                           const struct wire_command *request);
/* Answers OP_GET_MORE, or OP_QUERY on a collection: $err with code 5739101. */
bool legacy_refuse_read(struct client *client, const struct wire_header *header);
/* Drops OP_INSERT, OP_UPDATE, OP_DELETE or OP_KILL_CURSORS, which have no reply. */
void legacy_drop_write(struct client *client, const struct wire_header *header);

#endif
