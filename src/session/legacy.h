/* Legacy opcodes, and commands other than hello and authentication that come as OP_QUERY. They are
 * answered as MongoDB 6 answers them, whatever the upstream server still takes, so that no write
 * passes unchecked. The connection stays open: some drivers probe the protocol this way. */
#ifndef SLUICE_SESSION_LEGACY_H
#define SLUICE_SESSION_LEGACY_H

#include "session/client.h"

/* Those that answer bool: false after the client ended. */
/* A command that OP_QUERY may no longer carry: code 352. */
bool legacy_refuse_command(struct client *client, const struct message *message,
                           const struct wire_command *request);
/* OP_GET_MORE, or OP_QUERY on a collection: $err with code 5739101. */
bool legacy_refuse_read(struct client *client, const struct wire_header *header);
/* OP_INSERT, OP_UPDATE, OP_DELETE or OP_KILL_CURSORS, which have no reply. */
void legacy_drop_write(struct client *client, const struct wire_header *header);

#endif
