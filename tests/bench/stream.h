/* A connection of the load generator: plain, or TLS without checking who answers. */
#ifndef SLUICE_BENCH_STREAM_H
#define SLUICE_BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

struct stream {
    int fd;   /* owned */
    SSL *tls; /* owned; NULL: plain */
};

/* For all streams of a load. NULL when memory is out. */
SSL_CTX *stream_make_context(void);

/* TLS from here on, as a client. */
bool stream_begin_tls(struct stream *stream, SSL_CTX *context);
/* 1: done; 0: to be called again when the descriptor is *readable or writable; -1: failed. */
int stream_shake(struct stream *stream, bool *wants_write);

/* As send and recv: -1 with errno EAGAIN where the descriptor is not ready. */
ssize_t stream_send(struct stream *stream, const uint8_t *data, size_t len);
ssize_t stream_recv(struct stream *stream, uint8_t *data, size_t len);
/* Whether more can be received that the descriptor does not tell of. */
bool stream_has_more(const struct stream *stream);

void stream_close(struct stream *stream);

#endif
