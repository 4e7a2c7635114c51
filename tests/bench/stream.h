/* A connection of the load generator or of the null upstream: plain, or TLS. The client does not
 * check the server's certificate. */
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

/* Shared by all streams of a load. NULL without memory. */
SSL_CTX *stream_make_context(void);
/* For the streams of a server; the PEM file holds its certificate and key. NULL if it does not. */
SSL_CTX *stream_make_server_context(const char *certificate_file);

/* Starts TLS as the client or server that the context is made for. */
bool stream_begin_tls(struct stream *stream, SSL_CTX *context);
/* 1: done; 0: to be called again when the descriptor is *readable or writable; -1: failed. */
int stream_shake(struct stream *stream, bool *wants_write);

/* As send and recv: -1 with errno EAGAIN where the descriptor is not ready. */
ssize_t stream_send(struct stream *stream, const uint8_t *data, size_t len);
ssize_t stream_recv(struct stream *stream, uint8_t *data, size_t len);
/* Returns whether more bytes can be received that the descriptor does not report. */
bool stream_has_more(const struct stream *stream);

void stream_close(struct stream *stream);

#endif
