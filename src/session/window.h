/* The bytes that were read and are being handled: the worker's scratch area, or a link's `in`
 * buffer. */
#ifndef SLUICE_SESSION_WINDOW_H
#define SLUICE_SESSION_WINDOW_H

#include "session/client.h"

struct window {
    const uint8_t *data;
    size_t len;
    struct link *from;
    bool gathered; /* data is from->in */
};

/* Reads the available bytes of a link of the client or its connection. False if there is nothing to
 * handle (also after the client ended). */
bool window_fill(struct client *client, struct link *link, struct window *window);
/* Sends the first `len` bytes to the other side. False after the client ended. */
bool window_forward(struct client *client, struct window *window, struct link *to, size_t len);
void window_drop(struct window *window, size_t len);
/* Keeps bytes that cannot be handled yet. False after the client ended. */
bool window_keep(struct client *client, struct window *window);

#endif
