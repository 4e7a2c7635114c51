/* What was read and is being worked through: the worker's scratch area, or a link's `in` buffer. */
#ifndef SLUICE_SESSION_WINDOW_H
#define SLUICE_SESSION_WINDOW_H

#include "session/client.h"

struct window {
    const uint8_t *data;
    size_t len;
    struct link *from;
    bool gathered; /* data is from->in */
};

/* Reads what is there on a link of the client's or of its connection. False when there is nothing
 * to work on (also after the client ended). */
bool window_fill(struct client *client, struct link *link, struct window *window);
/* Sends the first `len` bytes to the other side. False after the client ended. */
bool window_forward(struct client *client, struct window *window, struct link *to, size_t len);
void window_drop(struct window *window, size_t len);
/* Keeps what is not yet understood. False after the client ended. */
bool window_keep(struct client *client, struct window *window);

#endif
