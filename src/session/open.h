/* Compressed requests are opened, a large one in portions: others are served between. */
#ifndef SLUICE_SESSION_OPEN_H
#define SLUICE_SESSION_OPEN_H

#include "session/client.h"
#include "wire/compressed.h"

enum opened {
    OPENED_WHOLE,   /* client->opening is the message */
    OPENED_PART,    /* to be called again with the same message, next turn */
    OPENED_NO_ROOM, /* both: *err says so, and nothing is kept */
    OPENED_BROKEN
};
enum opened open_request(struct client *client, const struct wire_compressed *compressed,
                         struct error *err);
/* Drops client->opening, which may be NULL. */
void open_release(struct client *client);

#endif
