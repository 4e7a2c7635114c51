#include "net/link.h"

/* Writes directly, up to a bound, while nothing waits; *done is the number of written bytes. False
 * if the link failed. */
static bool send_now(struct link *link, const uint8_t *data, size_t len, size_t *done,
                     struct error *err)
{
    *done = 0;
    if (link->state != LINK_OPEN || link_is_blocked(link))
        return true;
    while (*done < len && *done < LINK_WRITE_BYTES) {
        size_t put = 0;
        size_t left = len - *done;
        switch (transport_write(&link->transport, data + *done,
                                left < LINK_WRITE_BYTES ? left : LINK_WRITE_BYTES, &put, err)) {
        case TRANSPORT_OK:
            *done += put;
            break;
        case TRANSPORT_WANT_READ:
        case TRANSPORT_WANT_WRITE:
            link_want_write(link);
            return true;
        case TRANSPORT_EOF:
            return error_set(err, ERROR_HOST_UNREACHABLE, "connection closed while writing");
        case TRANSPORT_ERROR:
            return false;
        }
    }
    if (*done < len)
        link_want_write(link);
    return true;
}

static bool over_budget(struct error *err, size_t len)
{
    return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                     "cannot buffer %zu bytes: the proxy's message buffers are at their "
                     "limit (option memory_max)",
                     len);
}

static bool send_or_keep(struct link *link, const uint8_t *data, size_t len, struct error *err)
{
    size_t done = 0;
    if (!send_now(link, data, len, &done, err))
        return false;
    if (done == len)
        return true;
    return buffer_append(&link->out, link->budget, data + done, len - done) ||
           over_budget(err, len - done);
}

/* Sends an entry. No handler is called here: the caller may be in the midst of anything. */
static void send_entry(struct turn *turn, struct outbox_entry *entry)
{
    struct error err;
    struct link *link = entry->link;
    entry->link = NULL;
    link->held--;
    if (link->failure != NULL ||
        send_or_keep(link, turn->outbox.bytes + entry->at, entry->len, &err))
        return;
    link->failure = err.code == ERROR_EXCEEDED_MEMORY_LIMIT
                        ? "a message could not be kept: the proxy's message buffers are at their "
                          "limit (option memory_max)"
                        : "the connection was lost while writing";
    turn_wait(turn, &link->waiter);
}

/* Links with one handler often lead to one process. It gets its messages together. */
static void send_held(struct turn *turn)
{
    struct outbox *outbox = &turn->outbox;
    const struct link_handler *handler = NULL;
    for (unsigned i = 0; i < outbox->count; i++) {
        struct link *link = outbox->entries[i].link;
        if (link == NULL)
            continue;
        if (handler == NULL)
            handler = link->handler;
        if (link->handler == handler)
            send_entry(turn, &outbox->entries[i]);
    }
    for (unsigned i = 0; i < outbox->count; i++)
        if (outbox->entries[i].link != NULL)
            send_entry(turn, &outbox->entries[i]);
    outbox->count = 0;
    outbox->used = 0;
}

void link_settle(struct link *link)
{
    struct outbox *outbox = &link->turn->outbox;
    for (unsigned i = 0; link->held > 0 && i < outbox->count; i++)
        if (outbox->entries[i].link == link)
            send_entry(link->turn, &outbox->entries[i]);
}

static bool may_hold(const struct link *link, size_t len)
{
    return len <= OUTBOX_MESSAGE_BYTES && link->state == LINK_OPEN && !link_is_blocked(link);
}

/* Takes a message that can wait for the end of the turn. */
static void hold(struct link *link, const void *data, size_t len)
{
    struct turn *turn = link->turn;
    struct outbox *outbox = &turn->outbox;
    unsigned count = outbox->count;
    if (outbox_is_empty(outbox)) {
        outbox->since_us = turn->now_us;
        turn->send_held = send_held;
    }
    if (!outbox_put(outbox, link, data, len)) {
        send_held(turn);
        count = 0;
        (void)outbox_put(outbox, link, data, len); /* there is room now */
    }
    link->held += outbox->count - count;
}

/* False if the link has failed; its messages before are then on their way. */
static bool begin_sending(struct link *link, struct error *err)
{
    link_settle(link);
    return link->failure == NULL || error_set(err, ERROR_HOST_UNREACHABLE, "%s", link->failure);
}

bool link_send(struct link *link, const void *data, size_t len, struct error *err)
{
    if (link->failure == NULL && may_hold(link, len)) {
        hold(link, data, len);
        return true;
    }
    return begin_sending(link, err) && send_or_keep(link, data, len, err);
}

bool link_send_buffer(struct link *link, struct buffer *from, size_t len, struct error *err)
{
    size_t done = 0;
    if (!begin_sending(link, err) || !send_now(link, buffer_begin(from), len, &done, err))
        return false;
    buffer_consume(from, link->budget, done);
    if (done == len)
        return true;
    return buffer_move(&link->out, from, link->budget, len - done) || over_budget(err, len - done);
}
