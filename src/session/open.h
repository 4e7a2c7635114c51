/* Opens compressed requests. A large one is opened in portions, so that other clients get their
 * turns. */
#ifndef SLUICE_SESSION_OPEN_H
#define SLUICE_SESSION_OPEN_H

#include "session/client.h"
#include "wire/compressed.h"

enum opened {
    OPENED_WHOLE,   /* client->opening is the message */
    OPENED_PART,    /* call again with the same message in the next turn */
    OPENED_NO_ROOM, /* for both: *err has the reason, and nothing is kept */
    OPENED_BROKEN
};
enum opened open_request(struct client *client, const struct wire_compressed *compressed,
                         struct error *err);
/* Drops client->opening; it may be NULL. */
void open_release(struct client *client);

#endif
