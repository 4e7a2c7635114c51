#include "bench/stream.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <sys/socket.h>

SSL_CTX *stream_make_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context != NULL)
        SSL_CTX_set_mode(context,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

SSL_CTX *stream_make_server_context(const char *certificate_file)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"nullserver", 10);
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(context, certificate_file, SSL_FILETYPE_PEM) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

bool stream_begin_tls(struct stream *stream, SSL_CTX *context)
{
    stream->tls = SSL_new(context);
    if (stream->tls == NULL || SSL_set_fd(stream->tls, stream->fd) != 1)
        return false;
    if (SSL_is_server(stream->tls))
        SSL_set_accept_state(stream->tls);
    else
        SSL_set_connect_state(stream->tls);
    return true;
}

int stream_shake(struct stream *stream, bool *wants_write)
{
    int done = SSL_do_handshake(stream->tls);
    *wants_write = false;
    if (done == 1)
        return 1;
    int why = SSL_get_error(stream->tls, done);
    *wants_write = why == SSL_ERROR_WANT_WRITE;
    return *wants_write || why == SSL_ERROR_WANT_READ ? 0 : -1;
}

static ssize_t tls_result(const struct stream *stream, int done)
{
    if (done > 0)
        return done;
    int why = SSL_get_error(stream->tls, done);
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

ssize_t stream_send(struct stream *stream, const uint8_t *data, size_t len)
{
    if (stream->tls == NULL)
        return send(stream->fd, data, len, MSG_NOSIGNAL);
    return tls_result(stream, SSL_write(stream->tls, data, len < INT_MAX ? (int)len : INT_MAX));
}

ssize_t stream_recv(struct stream *stream, uint8_t *data, size_t len)
{
    if (stream->tls == NULL)
        return recv(stream->fd, data, len, 0);
    return tls_result(stream, SSL_read(stream->tls, data, len < INT_MAX ? (int)len : INT_MAX));
}

bool stream_has_more(const struct stream *stream)
{
    return stream->tls != NULL && SSL_has_pending(stream->tls);
}

void stream_close(struct stream *stream)
{
    SSL_free(stream->tls);
    stream->tls = NULL;
    close(stream->fd);
}
