/* Write commands: checked against the schemas of the worker's registry, and inserts merged. */
#ifndef SLUICE_SESSION_WRITE_H
#define SLUICE_SESSION_WRITE_H

#include "session/client.h"

enum request_step write_take(struct client *client, const struct message *message,
                             struct wire_command *request);

#endif
