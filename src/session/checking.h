/* Writes are held against the schemas, those that take long in portions: others have their turns
 * between. */
#ifndef SLUICE_SESSION_CHECKING_H
#define SLUICE_SESSION_CHECKING_H

#include "enforce/enforce.h"
#include "net/buffer.h"
#include "session/client.h"

/* A write that is checked in portions, between which others have their turns. Its message stays
 * where it came, and nothing more of its client's is looked at meanwhile. */
struct checking {
    struct check *check;       /* NULL: it has been checked */
    struct registry *registry; /* a reference: it is checked to its end against these schemas */
    struct message message;
    struct wire_command request;
};

/* Holds a command against the schemas, or goes on with client->checking. ENFORCE_PART: that is
 * there. ENFORCE_DONE: *result is to be released by checking_release_result. */
enum enforce_progress checking_run(struct client *client, const struct message *message,
                                   const struct wire_command *request,
                                   const struct enforce_command *command,
                                   struct enforce_result *result, struct error *err);
/* Gives back what is left in it. */
void checking_release_result(struct client *client, struct enforce_result *result);
/* What was written takes the memory over: its `room` bytes count for memory_max already. */
struct buffer checking_take(struct enforce_result *result, struct bytes content);
/* Nobody wants it any more. Idempotent. */
void checking_free(struct client *client);

#endif
