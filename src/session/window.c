#include "session/window.h"

#include "session/life.h"

/* Room made at a time for a message that is not understood yet. */
enum { WINDOW_GATHER_BYTES = 64 * 1024 };

/* The request at `data` cannot be kept whole. */
static void refuse_for_memory(struct client *client, struct link *link, const uint8_t *data,
                              size_t len)
{
    struct error err;
    (void)error_set(&err, ERROR_EXCEEDED_MEMORY_LIMIT,
                    "the proxy's message buffers are at their limit of %zu bytes (option "
                    "memory_max)",
                    atomic_load(&client->worker->shared->budget.limit_bytes));
    if (link != &client->link || !pending_is_empty(&client->pending))
        client_fail_pending(client, &err, COUNTER_ERRORS_MEMORY);
    else
        client_fail_begun(client, data, len, &err, COUNTER_ERRORS_MEMORY);
}

/* Room for the next read: as much as has come, so that those who send little hold little. */
static size_t gather_bytes(const struct link *link)
{
    size_t len = buffer_length(&link->in);
    return len < WINDOW_GATHER_BYTES ? len : WINDOW_GATHER_BYTES;
}

bool window_fill(struct client *client, struct link *link, struct window *window)
{
    struct error err;
    size_t got = 0;
    uint8_t *into = worker_scratch(client->worker->worker);
    bool gathered = buffer_length(&link->in) > 0;
    if (gathered) {
        if (!buffer_reserve(&link->in, link->budget, gather_bytes(link))) {
            refuse_for_memory(client, link, buffer_begin(&link->in), buffer_length(&link->in));
            return false;
        }
        into = link->in.data + link->in.end;
    }
    size_t room = gathered ? link->in.cap - link->in.end : WORKER_SCRATCH_BYTES;
    if (room > WORKER_SCRATCH_BYTES)
        room = WORKER_SCRATCH_BYTES;
    switch (link_read(link, into, room, &got, &err)) {
    case TRANSPORT_OK:
        break;
    case TRANSPORT_WANT_READ:
    case TRANSPORT_WANT_WRITE:
        return false;
    case TRANSPORT_EOF:
        link->handler->ended(link->arg);
        return false;
    case TRANSPORT_ERROR:
        client_io_failed(client, link, &err);
        return false;
    }
    if (gathered)
        link->in.end += got;
    *window = (struct window){.data = gathered ? buffer_begin(&link->in) : into,
                              .len = gathered ? buffer_length(&link->in) : got,
                              .from = link,
                              .gathered = gathered};
    return true;
}

void window_drop(struct window *window, size_t len)
{
    window->data += len;
    window->len -= len;
    if (!window->gathered)
        return;
    buffer_consume(&window->from->in, window->from->budget, len);
    window->data = window->len > 0 ? buffer_begin(&window->from->in) : NULL;
}

bool window_forward(struct client *client, struct window *window, struct link *to, size_t len)
{
    struct error err;
    if (window->gathered) {
        if (!link_send_buffer(to, &window->from->in, len, &err)) {
            client_send_failed(client, to, &err);
            return false;
        }
        window->len -= len;
        window->data = window->len > 0 ? buffer_begin(&window->from->in) : NULL;
        return true;
    }
    if (!link_send(to, window->data, len, &err)) {
        client_send_failed(client, to, &err);
        return false;
    }
    window_drop(window, len);
    return true;
}

bool window_keep(struct client *client, struct window *window)
{
    if (window->gathered || window->len == 0)
        return true;
    if (buffer_append(&window->from->in, window->from->budget, window->data, window->len))
        return true;
    refuse_for_memory(client, window->from, window->data, window->len);
    return false;
}
