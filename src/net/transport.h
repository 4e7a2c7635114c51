/* One non-blocking byte stream, plain or TLS, behind one table of operations. Not thread-safe: it
 * belongs to the worker that owns the connection.
 *
 * Every operation answers a status; `struct error` is set on TRANSPORT_ERROR and only then. After
 * TRANSPORT_ERROR only transport_close may follow. WANT_READ and WANT_WRITE say which readiness of
 * the descriptor to wait for before the same operation is tried again (TLS may want to read in
 * order to write, and the other way round). */
#ifndef SLUICE_NET_TRANSPORT_H
#define SLUICE_NET_TRANSPORT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct ssl_st; /* OpenSSL's SSL */
struct tls_context;
struct transport;

enum transport_status {
    TRANSPORT_OK,
    TRANSPORT_WANT_READ,
    TRANSPORT_WANT_WRITE,
    TRANSPORT_EOF, /* the peer closed in an orderly way (a reset is an error) */
    TRANSPORT_ERROR
};

struct transport_ops {
    enum transport_status (*handshake)(struct transport *t, struct error *err);
    enum transport_status (*read)(struct transport *t, void *buf, size_t cap, size_t *got,
                                  struct error *err);
    enum transport_status (*write)(struct transport *t, const void *buf, size_t len, size_t *put,
                                   struct error *err);
};

/* Embedded by value; 24 bytes. Zeroed memory is not a transport: one of the init functions first.
 */
struct transport {
    const struct transport_ops *ops;
    struct ssl_st *ssl; /* owned; NULL: plain */
    int fd;             /* owned; -1: closed */
    bool shaken;        /* the TLS handshake is complete */
    bool failed;        /* OpenSSL forbids SSL_shutdown now */
    bool drained;       /* the last read wanted more bytes from the socket */
};

/* fd: connected (or connecting), non-blocking, owned by the transport from now on, also when a
 * function answers false (then it is closed). */
void transport_init_plain(struct transport *t, int fd);
bool transport_init_tls_server(struct transport *t, int fd, const struct tls_context *context,
                               struct error *err);
/* host: name or IP address as in the connection string, sent as SNI (names only) and, unless the
 * context allows invalid hostnames, held against the certificate. Borrowed for the call. */
bool transport_init_tls_client(struct transport *t, int fd, const struct tls_context *context,
                               const char *host, struct error *err);

/* Plain: OK at once. TLS: to be called again after the readiness that it wants, until OK. */
static inline enum transport_status transport_handshake(struct transport *t, struct error *err)
{
    return t->ops->handshake(t, err);
}

/* OK: *got >= 1 bytes came. cap >= 1. */
static inline enum transport_status transport_read(struct transport *t, void *buf, size_t cap,
                                                   size_t *got, struct error *err)
{
    return t->ops->read(t, buf, cap, got, err);
}

/* OK: *put >= 1 bytes were taken, maybe fewer than len. len >= 1. After WANT_*, the next write
 * begins with the same bytes (they may have moved, and more may follow). Never raises SIGPIPE on a
 * plain stream; see tls.h for TLS. */
static inline enum transport_status transport_write(struct transport *t, const void *buf,
                                                    size_t len, size_t *put, struct error *err)
{
    return t->ops->write(t, buf, len, put, err);
}

/* Whether transport_read can give bytes although the descriptor is not readable: who stops reading
 * before WANT_READ must ask, and come back without waiting for the event loop. */
bool transport_has_pending(const struct transport *t);

/* What the next read would give, which it still gives; after the handshake. */
enum transport_status transport_peek(struct transport *t);

/* No more will be written: says goodbye like transport_close, and FIN. Reading may go on. */
void transport_finish_sending(struct transport *t);

/* Says goodbye (TLS close_notify, as far as that goes without waiting) and closes the descriptor.
 * Idempotent. */
void transport_close(struct transport *t);

struct transport_tls_details {
    const char *version; /* "TLSv1.3"; static */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384"; static */
    /* Subject of the peer's verified certificate in RFC 2253 form, as MONGODB-X509 writes user
     * names; "" without certificate or when it does not fit. */
    char peer_subject[1024];
};

/* False on a plain stream or before the handshake is complete. */
bool transport_tls_details(const struct transport *t, struct transport_tls_details *details);

/* How many bytes it takes to be sure. Fewer are judged as they are: the socket's SO_RCVLOWAT is the
 * way to wait for them. */
enum { TRANSPORT_PEEK_BYTES = 3 };

/* Looks at the first bytes without consuming them, to serve TLS and plain clients on one port.
 * OK: *is_tls is set. Otherwise WANT_READ, EOF or ERROR. */
enum transport_status transport_peek_is_tls(int fd, bool *is_tls, struct error *err);

#endif
