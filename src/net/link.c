#include "net/link.h"

#include "net/tls.h"

/* A link with this much to read or write is heavy: it waits if the loop's turn is spent. Less takes
 * no longer than a few small messages. */
enum { LINK_HEAVY_BYTES = 64 * 1024 };

/* The maximum that link_expect waits for: more is worth a turn, and the kernel would hold it. */
enum { LINK_EXPECT_BYTES = 4096 };

static void go_on(void *arg);

void link_init(struct link *link, struct budget *budget, struct turn *turn,
               const struct link_handler *handler, void *arg)
{
    *link = (struct link){.budget = budget,
                          .turn = turn,
                          .handler = handler,
                          .arg = arg,
                          .state = LINK_NONE,
                          .mark = 1};
    link->transport.fd = -1;
    link->waiter.run = go_on;
    link->waiter.arg = link;
}

void link_want_write(struct link *link)
{
    if (!link->later_write)
        event_add(&link->write_event, NULL);
}

static void read_later(struct link *link)
{
    link->later_read = true;
    turn_wait(link->turn, &link->waiter);
}

static void shake(struct link *link)
{
    struct error err;
    switch (transport_handshake(&link->transport, &err)) {
    case TRANSPORT_OK:
        link->state = LINK_OPEN;
        event_del(&link->write_event);
        link_resume(link);
        if (link_is_blocked(link))
            link_want_write(link);
        link->handler->opened(link->arg);
        return;
    case TRANSPORT_WANT_READ:
        event_del(&link->write_event);
        link_resume(link);
        return;
    case TRANSPORT_WANT_WRITE:
        link_want_write(link);
        return;
    case TRANSPORT_EOF:
        link->handler->failed(link->arg, "connection closed during the TLS handshake");
        return;
    case TRANSPORT_ERROR:
        link->handler->failed(link->arg, err.message);
        return;
    }
}

/* The number of bytes that make the descriptor readable. */
static void set_mark(struct link *link, int bytes)
{
    if (bytes == link->mark)
        return;
    link->mark = bytes;
    transport_set_mark(&link->transport, bytes);
}

void link_expect(struct link *link, size_t bytes)
{
    if (link->transport.ssl == NULL)
        set_mark(link, bytes < LINK_EXPECT_BYTES ? (int)bytes : LINK_EXPECT_BYTES);
}

size_t link_unreported_bytes(const struct link *link)
{
    return link->mark == 1 ? 0 : transport_arrived_bytes(&link->transport);
}

static void forget_peek_context(struct link *link)
{
    tls_context_release(link->peek_context);
    link->peek_context = NULL;
}

static void peek(struct link *link)
{
    struct error err;
    bool is_tls = false;
    switch (transport_peek_is_tls(link->transport.fd, &is_tls, &err)) {
    case TRANSPORT_OK:
        if (is_tls && !transport_init_tls_server(&link->transport, link->transport.fd,
                                                 link->peek_context, &err))
            break;
        forget_peek_context(link);
        set_mark(link, 1);
        link->state = LINK_SHAKING;
        shake(link);
        return;
    case TRANSPORT_WANT_READ:
    case TRANSPORT_WANT_WRITE:
        return;
    case TRANSPORT_EOF:
        (void)error_set(&err, ERROR_HOST_UNREACHABLE, "connection closed before its first byte");
        break;
    case TRANSPORT_ERROR:
        break;
    }
    link->handler->failed(link->arg, err.message);
}

/* Adds the event only if it is not active: each change costs a system call, and a link that is
 * paused during a command mostly has nothing to read. */
static void watch(struct link *link)
{
    link->reading = true;
    if (link->later_read)
        return;
    if (!link->watched)
        event_add(&link->read_event, NULL);
    link->watched = true;
}

static void unwatch(struct link *link)
{
    event_del(&link->read_event);
    link->watched = false;
}

/* Takes the header out of the socket. Nothing behind it is read: TLS may follow. */
static void read_header(struct link *link)
{
    uint8_t data[PROXY_HEADER_MAX_BYTES];
    struct proxy_header header;
    struct error err;
    size_t got = 0;
    /* before the look at the bytes: they are complete then */
    bool ended = transport_look_at_peer(&link->transport) != TRANSPORT_PEER_THERE;
    if (transport_peek_bytes(&link->transport, data, sizeof data, &got) == TRANSPORT_WANT_READ)
        return;
    switch (proxy_header_read(data, got, &header, &err)) {
    case PROXY_HEADER_MORE:
        if (ended || got == 0)
            link->handler->failed(link->arg, "connection closed before its PROXY protocol header");
        else
            set_mark(link, (int)header.bytes);
        return;
    case PROXY_HEADER_BROKEN:
        link->handler->failed(link->arg, err.message);
        return;
    case PROXY_HEADER_READ:
        break;
    }
    transport_drop_bytes(&link->transport, header.bytes);
    set_mark(link, 1);
    unwatch(link);
    link->reading = false;
    link->state = LINK_NONE;
    link->handler->introduced(link->arg, &header);
}

static void read_now(struct link *link)
{
    if (link->state == LINK_HEADER)
        read_header(link);
    else if (link->state == LINK_PEEKING)
        peek(link);
    else if (link->state == LINK_SHAKING)
        shake(link);
    else
        link->handler->readable(link->arg);
}

/* Held messages do not wait for heavy work, nor for the rest of a long turn. */
static void note_callback(struct turn *turn, bool heavy)
{
    turn_note(turn);
    if (!outbox_is_empty(&turn->outbox) &&
        (heavy || turn->now_us - turn->outbox.since_us >= OUTBOX_HOLD_US))
        turn->send_held(turn);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct link *link = arg;
    (void)fd;
    (void)what;
    bool heavy = link->state != LINK_OPEN || link->much_came;
    note_callback(link->turn, heavy);
    if (!link->reading) {
        unwatch(link);
    } else if (heavy && turn_is_spent(link->turn)) {
        unwatch(link);
        read_later(link);
    } else {
        read_now(link);
    }
}

/* Does bounded work; true if `out` is empty. */
static bool flush(struct link *link, enum transport_status *status, struct error *err)
{
    size_t done = 0;
    *status = TRANSPORT_OK;
    while (link_is_blocked(link) && done < LINK_WRITE_BYTES) {
        size_t put = 0;
        size_t len = buffer_length(&link->out);
        *status = transport_write(&link->transport, buffer_begin(&link->out),
                                  len < LINK_WRITE_BYTES ? len : LINK_WRITE_BYTES, &put, err);
        if (*status != TRANSPORT_OK)
            return false;
        buffer_consume(&link->out, link->budget, put);
        done += put;
    }
    return !link_is_blocked(link);
}

static void write_now(struct link *link)
{
    struct error err;
    enum transport_status status = TRANSPORT_OK;
    if (link->state == LINK_SHAKING) {
        shake(link);
        return;
    }
    if (link->read_wants_write) {
        link->read_wants_write = false;
        read_later(link);
    }
    if (flush(link, &status, &err)) {
        event_del(&link->write_event);
        link->handler->drained(link->arg);
        return;
    }
    if (status == TRANSPORT_ERROR || status == TRANSPORT_EOF)
        link->handler->failed(link->arg,
                              status == TRANSPORT_EOF ? "connection closed" : err.message);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct link *link = arg;
    (void)fd;
    (void)what;
    bool heavy = link->state != LINK_OPEN || buffer_length(&link->out) >= LINK_HEAVY_BYTES;
    note_callback(link->turn, heavy);
    if (heavy && turn_is_spent(link->turn)) {
        event_del(&link->write_event);
        link->later_write = true;
        turn_wait(link->turn, &link->waiter);
    } else {
        write_now(link);
    }
}

/* The waiter's turn has come. One direction at a time, because a callback may close the link. */
static void go_on(void *arg)
{
    struct link *link = arg;
    if (link->failure != NULL) {
        link->handler->failed(link->arg, link->failure);
        return;
    }
    if (link->later_write) {
        link->later_write = false;
        link_want_write(link);
        if (link->later_read)
            turn_wait(link->turn, &link->waiter);
        write_now(link);
        return;
    }
    link->later_read = false;
    if (!link->reading)
        return;
    watch(link);
    read_now(link);
}

static void assign_events(struct link *link, struct event_base *base)
{
    int fd = link->transport.fd;
    event_assign(&link->read_event, base, fd, EV_READ | EV_PERSIST, on_readable, link);
    event_assign(&link->write_event, base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
}

void link_start(struct link *link, struct event_base *base)
{
    assign_events(link, base);
    link->state = LINK_SHAKING;
    shake(link);
}

void link_start_peeking(struct link *link, struct event_base *base, struct tls_context *context)
{
    assign_events(link, base);
    link->peek_context = tls_context_retain(context);
    link->state = LINK_PEEKING;
    set_mark(link, TRANSPORT_PEEK_BYTES); /* fewer cannot tell TLS from plain */
    watch(link);
}

void link_start_header(struct link *link, struct event_base *base)
{
    assign_events(link, base);
    link->state = LINK_HEADER;
    watch(link);
}

enum transport_status link_read(struct link *link, void *data, size_t cap, size_t *got,
                                struct error *err)
{
    enum transport_status status = transport_read(&link->transport, data, cap, got, err);
    link->much_came = status == TRANSPORT_OK && *got >= LINK_HEAVY_BYTES;
    if (status != TRANSPORT_WANT_WRITE)
        return status;
    link->read_wants_write = true;
    link_want_write(link);
    return TRANSPORT_WANT_READ;
}

void link_pause(struct link *link)
{
    if (link->state == LINK_OPEN)
        link->reading = false;
}

enum link_peer link_look_at_peer(struct link *link)
{
    if (link->state != LINK_OPEN)
        return LINK_PEER_THERE;
    switch (transport_look_at_peer(&link->transport)) {
    case TRANSPORT_PEER_THERE:
        return LINK_PEER_THERE;
    case TRANSPORT_PEER_LOST:
        return LINK_PEER_LOST;
    case TRANSPORT_PEER_ENDED:
        break;
    }
    switch (transport_peek(&link->transport)) {
    case TRANSPORT_EOF:
        return LINK_PEER_ENDED;
    case TRANSPORT_ERROR:
        return LINK_PEER_LOST;
    default:
        return LINK_PEER_THERE;
    }
}

void link_resume(struct link *link)
{
    if (link->state != LINK_OPEN && link->state != LINK_SHAKING)
        return;
    watch(link);
    if (link->state == LINK_OPEN && transport_has_pending(&link->transport))
        read_later(link);
}

void link_finish_sending(struct link *link)
{
    link_settle(link);
    transport_finish_sending(&link->transport);
}

void link_close(struct link *link)
{
    if (link->state == LINK_CLOSED)
        return;
    link_settle(link);
    if (link->state != LINK_NONE) {
        event_del(&link->read_event);
        event_del(&link->write_event);
    }
    link->state = LINK_CLOSED;
    turn_forget(link->turn, &link->waiter);
    forget_peek_context(link);
    transport_close(&link->transport);
    buffer_release(&link->in, link->budget);
    buffer_release(&link->out, link->budget);
}
