/* Checks writes against the schemas. A long check runs in portions, so that other clients get their
 * turns. */
#ifndef SLUICE_SESSION_CHECKING_H
#define SLUICE_SESSION_CHECKING_H

#include "enforce/enforce.h"
#include "net/buffer.h"
#include "session/client.h"

/* A write that is being checked in portions. Its message stays in place, and the client's next
 * request waits. */
struct checking {
    struct check *check;       /* NULL: the check is finished */
    struct registry *registry; /* a reference: the check uses these schemas to its end */
    struct message message;
    struct wire_command request;
};

/* Checks a command against the schemas, or continues client->checking. ENFORCE_PART:
 * client->checking is set. ENFORCE_DONE: the caller must call checking_release_result. */
enum enforce_progress checking_run(struct client *client, const struct message *message,
                                   const struct wire_command *request,
                                   const struct enforce_command *command,
                                   struct enforce_result *result, struct error *err);
/* Releases the rest of the result. */
void checking_release_result(struct client *client, struct enforce_result *result);
/* Gives the written bytes to the caller as a buffer; its `room` bytes already count for memory_max.
 */
struct buffer checking_take(struct enforce_result *result, struct bytes content);
/* Drops the check. Idempotent. */
void checking_free(struct client *client);

#endif
