/* One non-blocking byte stream, plain or TLS, behind one table of operations. Not thread-safe: the
 * worker of the connection owns it.
 *
 * Every operation returns a status and sets `struct error` on TRANSPORT_ERROR only. After
 * TRANSPORT_ERROR only transport_close may follow. WANT_READ and WANT_WRITE name the readiness to
 * wait for before the same operation is tried again (TLS may need to read in order to write, and
 * vice versa). */
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
    TRANSPORT_EOF, /* the peer closed in order (a reset is an error) */
    TRANSPORT_ERROR
};

/* The cause of a failed TLS handshake. */
enum transport_failure {
    TRANSPORT_FAILURE_NONE,
    TRANSPORT_FAILURE_NOT_TLS,        /* the peer does not speak TLS */
    TRANSPORT_FAILURE_CERTIFICATE,    /* the peer's certificate is not accepted */
    TRANSPORT_FAILURE_NO_CERTIFICATE, /* the client sent none, but must */
    TRANSPORT_FAILURE_REFUSED,        /* the peer refused our certificate or the parameters */
    TRANSPORT_FAILURE_VERSION,        /* no common version, cipher or group */
    TRANSPORT_FAILURE_CLOSED,         /* the peer closed during the handshake */
    TRANSPORT_FAILURE_TIMEOUT,        /* for the owner: no handshake in time */
    TRANSPORT_FAILURE_OTHER,
    TRANSPORT_FAILURES
};

struct transport_ops {
    enum transport_status (*handshake)(struct transport *t, struct error *err);
    enum transport_status (*read)(struct transport *t, void *buf, size_t cap, size_t *got,
                                  struct error *err);
    enum transport_status (*write)(struct transport *t, const void *buf, size_t len, size_t *put,
                                   struct error *err);
};

/* Embedded by value; 32 bytes. Zeroed memory is not a transport: call an init function first. */
struct transport {
    const struct transport_ops *ops;
    struct ssl_st *ssl; /* owned; NULL: plain */
    int fd;             /* owned; -1: closed */
    bool shaken;        /* the TLS handshake is complete */
    bool failed;        /* OpenSSL forbids SSL_shutdown now */
    bool drained;       /* the last read wanted more bytes than the socket had */
    bool has_read;      /* application data has come */
    uint8_t failure;    /* enum transport_failure, after TRANSPORT_EOF or TRANSPORT_ERROR */
};

/* fd is connected (or connecting) and non-blocking. The transport owns it from now on; if a
 * function returns false, it has closed it. */
void transport_init_plain(struct transport *t, int fd);
bool transport_init_tls_server(struct transport *t, int fd, const struct tls_context *context,
                               struct error *err);
/* `host` is the name or IP address of the connection string. It is sent as SNI (names only). Unless
 * the context allows invalid hostnames, the certificate must match it. Borrowed during the call. */
bool transport_init_tls_client(struct transport *t, int fd, const struct tls_context *context,
                               const char *host, struct error *err);

/* Plain: OK at once. TLS: call it again after the wanted readiness, until OK. */
static inline enum transport_status transport_handshake(struct transport *t, struct error *err)
{
    return t->ops->handshake(t, err);
}

/* OK: *got >= 1 bytes were read. cap >= 1. */
static inline enum transport_status transport_read(struct transport *t, void *buf, size_t cap,
                                                   size_t *got, struct error *err)
{
    return t->ops->read(t, buf, cap, got, err);
}

/* OK: *put >= 1 bytes were written, maybe fewer than len. len >= 1. After WANT_*, the next write
 * starts with the same bytes; they may have moved, and more may follow. Never raises SIGPIPE on a
 * plain stream; tls.h covers TLS. */
static inline enum transport_status transport_write(struct transport *t, const void *buf,
                                                    size_t len, size_t *put, struct error *err)
{
    return t->ops->write(t, buf, len, put, err);
}

/* True if transport_read can return bytes although the descriptor is not readable. A reader that
 * stops before WANT_READ must ask, and continue without waiting for the event loop. */
bool transport_has_pending(const struct transport *t);

/* "certificate", "version", …: a label of metrics. */
const char *transport_failure_name(enum transport_failure failure);

/* True if the peer of a TLS stream has sent a byte. */
bool transport_has_received(const struct transport *t);

/* The status of the next read, which still delivers its bytes; for use after the handshake. */
enum transport_status transport_peek(struct transport *t);

enum transport_peer {
    TRANSPORT_PEER_THERE,
    TRANSPORT_PEER_ENDED, /* no more bytes can come */
    TRANSPORT_PEER_LOST   /* the connection is reset */
};

/* The socket's view, without looking at its bytes. */
enum transport_peer transport_look_at_peer(const struct transport *t);

/* The bytes that have arrived at the socket and are not read; 0 if the system does not say. */
size_t transport_arrived_bytes(const struct transport *t);

/* The number of bytes that make the descriptor readable (SO_RCVLOWAT). */
void transport_set_mark(struct transport *t, int bytes);

/* Copies the first bytes of the socket, and leaves them there. OK: *got >= 1. EOF also stands for
 * an error: no bytes can come. */
enum transport_status transport_peek_bytes(struct transport *t, void *buf, size_t cap, size_t *got);
/* Drops bytes that transport_peek_bytes has shown. */
void transport_drop_bytes(struct transport *t, size_t len);

/* Ends writing: says goodbye like transport_close, and sends FIN. Reading may continue. */
void transport_finish_sending(struct transport *t);

/* Says goodbye (TLS close_notify, if possible without waiting) and closes the descriptor.
 * Idempotent. */
void transport_close(struct transport *t);

struct transport_tls_details {
    const char *version; /* "TLSv1.3"; static */
    const char *cipher;  /* "TLS_AES_256_GCM_SHA384"; static */
    /* The subject of the peer's verified certificate in RFC 2253 form, like user names of
     * MONGODB-X509; "" without a certificate, or if it does not fit. */
    char peer_subject[1024];
};

/* False for a plain stream and before the handshake completes. */
bool transport_tls_details(const struct transport *t, struct transport_tls_details *details);

/* The bytes that a certain answer needs. Fewer bytes give a guess; wait for more with the socket's
 * SO_RCVLOWAT. */
enum { TRANSPORT_PEEK_BYTES = 3 };

/* Looks at the first bytes without consuming them, to serve TLS and plain clients on one port. OK:
 * *is_tls is set. Otherwise WANT_READ, EOF or ERROR. */
enum transport_status transport_peek_is_tls(int fd, bool *is_tls, struct error *err);

#endif
