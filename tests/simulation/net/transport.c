/* net/transport.h over a simulated connection. TLS is not simulated. */
#include "net/transport.h"

#include <string.h>

#include "process.h"

static struct descriptor *descriptor_of(const struct transport *t)
{
    return descriptor_find(t->fd);
}

static size_t arrived(const struct descriptor *descriptor)
{
    return descriptor->in_end - descriptor->in_start;
}

static enum transport_status fail(struct error *err, const char *doing)
{
    error_set(err, ERROR_HOST_UNREACHABLE, "Connection reset by the peer while %s", doing);
    return TRANSPORT_ERROR;
}

static enum transport_status handshake(struct transport *t, struct error *err)
{
    (void)t;
    (void)err;
    return TRANSPORT_OK;
}

static void take(struct descriptor *descriptor, size_t len)
{
    descriptor->in_start += len;
    if (descriptor->stopped && descriptor->end != NULL &&
        arrived(descriptor) < descriptor->in_limit) {
        descriptor->stopped = false;
        end_read(descriptor->end, true);
    }
    descriptor_look(descriptor);
}

static enum transport_status read_some(struct transport *t, void *buf, size_t cap, size_t *got,
                                       struct error *err)
{
    struct descriptor *descriptor = descriptor_of(t);
    size_t len = arrived(descriptor);
    if (descriptor->failed)
        return fail(err, "reading");
    if (len == 0)
        return descriptor->finished ? TRANSPORT_EOF : TRANSPORT_WANT_READ;
    *got = len < cap ? len : cap;
    memcpy(buf, descriptor->in + descriptor->in_start, *got);
    descriptor_count(descriptor, buf, *got, true);
    take(descriptor, *got);
    return TRANSPORT_OK;
}

static enum transport_status write_some(struct transport *t, const void *buf, size_t len,
                                        size_t *put, struct error *err)
{
    struct descriptor *descriptor = descriptor_of(t);
    if (descriptor->failed || descriptor->end == NULL)
        return fail(err, "writing");
    size_t waiting = end_untaken_bytes(descriptor->end);
    if (waiting >= descriptor->out_limit)
        return TRANSPORT_WANT_WRITE;
    size_t room = descriptor->out_limit - waiting;
    *put = len < room ? len : room;
    descriptor_count(descriptor, buf, *put, false);
    end_send(descriptor->end, buf, *put);
    descriptor_look(descriptor);
    return TRANSPORT_OK;
}

static const struct transport_ops ops = {handshake, read_some, write_some};

void transport_init_plain(struct transport *t, int fd)
{
    *t = (struct transport){.ops = &ops, .fd = fd};
}

static bool refuse_tls(struct transport *t, int fd, struct error *err)
{
    transport_init_plain(t, fd);
    transport_close(t);
    return error_set(err, ERROR_INTERNAL, "TLS is not simulated");
}

bool transport_init_tls_server(struct transport *t, int fd, const struct tls_context *context,
                               struct error *err)
{
    (void)context;
    return refuse_tls(t, fd, err);
}

bool transport_init_tls_client(struct transport *t, int fd, const struct tls_context *context,
                               const char *host, struct error *err)
{
    (void)context;
    (void)host;
    return refuse_tls(t, fd, err);
}

bool transport_has_pending(const struct transport *t)
{
    (void)t;
    return false;
}

/* A label of metrics, so each failure has its own. None of them happens. */
const char *transport_failure_name(enum transport_failure failure)
{
    static const char *const names[TRANSPORT_FAILURES] = {
        "none",    "not_tls", "certificate", "no_certificate", "refused_by_peer",
        "version", "closed",  "timeout",     "other"};
    return names[failure];
}

bool transport_has_received(const struct transport *t)
{
    (void)t;
    return false;
}

enum transport_status transport_peek(struct transport *t)
{
    struct descriptor *descriptor = descriptor_of(t);
    if (descriptor->failed)
        return TRANSPORT_ERROR;
    if (arrived(descriptor) > 0)
        return TRANSPORT_OK;
    return descriptor->finished ? TRANSPORT_EOF : TRANSPORT_WANT_READ;
}

enum transport_peer transport_look_at_peer(const struct transport *t)
{
    const struct descriptor *descriptor = descriptor_of(t);
    if (descriptor->failed)
        return TRANSPORT_PEER_LOST;
    return descriptor->finished ? TRANSPORT_PEER_ENDED : TRANSPORT_PEER_THERE;
}

size_t transport_arrived_bytes(const struct transport *t)
{
    return arrived(descriptor_of(t));
}

void transport_set_mark(struct transport *t, int bytes)
{
    struct descriptor *descriptor = descriptor_of(t);
    /* the kernel ignores a mark that its buffer cannot reach */
    size_t most = descriptor->in_limit;
    descriptor->mark = (size_t)bytes < most ? (size_t)bytes : most;
    descriptor_look(descriptor);
}

enum transport_status transport_peek_bytes(struct transport *t, void *buf, size_t cap, size_t *got)
{
    struct descriptor *descriptor = descriptor_of(t);
    size_t len = arrived(descriptor);
    *got = len < cap ? len : cap;
    if (*got == 0)
        return descriptor->failed || descriptor->finished ? TRANSPORT_EOF : TRANSPORT_WANT_READ;
    memcpy(buf, descriptor->in + descriptor->in_start, *got);
    return TRANSPORT_OK;
}

void transport_drop_bytes(struct transport *t, size_t len)
{
    struct descriptor *descriptor = descriptor_of(t);
    take(descriptor, len < arrived(descriptor) ? len : arrived(descriptor));
}

void transport_finish_sending(struct transport *t)
{
    struct descriptor *descriptor = descriptor_of(t);
    if (descriptor->end != NULL)
        end_finish(descriptor->end);
}

void transport_close(struct transport *t)
{
    struct descriptor *descriptor = t->fd >= 0 ? descriptor_of(t) : NULL;
    if (descriptor != NULL)
        descriptor_close(descriptor, false);
    t->fd = -1;
}

bool transport_tls_details(const struct transport *t, struct transport_tls_details *details)
{
    (void)t;
    (void)details;
    return false;
}

enum transport_status transport_peek_is_tls(int fd, bool *is_tls, struct error *err)
{
    (void)fd;
    (void)is_tls;
    error_set(err, ERROR_INTERNAL, "TLS is not simulated");
    return TRANSPORT_ERROR;
}
