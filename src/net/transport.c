#include "net/transport.h"

#include "net/tls.h"
#include "net/tls_resume.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A TLS client starts with 16 03 01 (or 03 02 to 03 04). As the length of a MongoDB message this is
 * over 66,000 bytes, and no driver's hello is so long. Two bytes alone would mistake a hello of 790
 * bytes for TLS. */
enum { TLS_RECORD_HANDSHAKE = 0x16, TLS_VERSION_MAJOR = 0x03 };

static enum transport_status fail_with_errno(struct error *err, const char *doing)
{
    if (errno == ECONNRESET || errno == EPIPE)
        error_set(err, ERROR_HOST_UNREACHABLE, "Connection reset by the peer while %s", doing);
    else
        error_set(err, ERROR_HOST_UNREACHABLE, "Socket error while %s: %s", doing, strerror(errno));
    return TRANSPORT_ERROR;
}

static enum transport_status plain_handshake(struct transport *t, struct error *err)
{
    (void)t;
    (void)err;
    return TRANSPORT_OK;
}

static enum transport_status plain_read(struct transport *t, void *buf, size_t cap, size_t *got,
                                        struct error *err)
{
    ssize_t n;
    do
        n = recv(t->fd, buf, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *got = (size_t)n;
        return TRANSPORT_OK;
    }
    if (n == 0)
        return TRANSPORT_EOF;
    if (errno == EAGAIN)
        return TRANSPORT_WANT_READ;
    return fail_with_errno(err, "reading");
}

static enum transport_status plain_write(struct transport *t, const void *buf, size_t len,
                                         size_t *put, struct error *err)
{
    ssize_t n;
    do
        n = send(t->fd, buf, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *put = (size_t)n;
        return TRANSPORT_OK;
    }
    if (errno == EAGAIN)
        return TRANSPORT_WANT_WRITE;
    return fail_with_errno(err, "writing");
}

static const struct transport_ops plain_ops = {plain_handshake, plain_read, plain_write};

/* The first entry of OpenSSL's queue; later entries repeat it less precisely. */
static const char *ssl_reason(unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);
    return reason != NULL ? reason : "no reason given by OpenSSL";
}

const char *transport_failure_name(enum transport_failure failure)
{
    static const char *const names[TRANSPORT_FAILURES] = {
        [TRANSPORT_FAILURE_NONE] = "none",
        [TRANSPORT_FAILURE_NOT_TLS] = "not_tls",
        [TRANSPORT_FAILURE_CERTIFICATE] = "certificate",
        [TRANSPORT_FAILURE_NO_CERTIFICATE] = "no_certificate",
        [TRANSPORT_FAILURE_REFUSED] = "refused_by_peer",
        [TRANSPORT_FAILURE_VERSION] = "version",
        [TRANSPORT_FAILURE_CLOSED] = "closed",
        [TRANSPORT_FAILURE_TIMEOUT] = "timeout",
        [TRANSPORT_FAILURE_OTHER] = "other",
    };
    return names[failure];
}

bool transport_has_received(const struct transport *t)
{
    return t->ssl != NULL && BIO_number_read(SSL_get_rbio(t->ssl)) > 0;
}

/* OpenSSL's reason for an alert of the peer is the alert's number after this one. */
static bool is_alert(int reason)
{
    return reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + UINT8_MAX;
}

static enum transport_failure failure_of(int reason)
{
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return TRANSPORT_FAILURE_CERTIFICATE;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TRANSPORT_FAILURE_NO_CERTIFICATE;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return TRANSPORT_FAILURE_NOT_TLS;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_AD_REASON_OFFSET + SSL_AD_PROTOCOL_VERSION:
        return TRANSPORT_FAILURE_VERSION;
    default:
        return is_alert(reason) ? TRANSPORT_FAILURE_REFUSED : TRANSPORT_FAILURE_OTHER;
    }
}

static enum transport_status fail_handshake(struct transport *t, unsigned long code,
                                            struct error *err)
{
    long verify = SSL_get_verify_result(t->ssl);
    const char *side = SSL_is_server(t->ssl) ? "client" : "server";
    int reason = ERR_GET_REASON(code);
    t->failure = failure_of(reason);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
        error_set(err, ERROR_HOST_UNREACHABLE,
                  "TLS handshake: the %s's certificate is not accepted: %s; check the CA file%s",
                  side, X509_verify_cert_error_string(verify),
                  verify == X509_V_ERR_HOSTNAME_MISMATCH || verify == X509_V_ERR_IP_ADDRESS_MISMATCH
                      ? " and the host name in the connection string"
                      : "");
    else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST)
        error_set(err, ERROR_HOST_UNREACHABLE,
                  "TLS handshake: the %s does not use TLS; enable or disable TLS on both sides",
                  side);
    else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        error_set(
            err, ERROR_HOST_UNREACHABLE,
            "TLS handshake: the client sent no certificate, but the proxy requires one; give the "
            "client tlsCertificateKeyFile");
    else
        error_set(err, ERROR_HOST_UNREACHABLE, "TLS handshake with the %s failed: %s%s", side,
                  ssl_reason(code),
                  is_alert(reason) ? " (the peer sent this alert: it refuses our certificate or "
                                     "the parameters)"
                                   : "");
    return TRANSPORT_ERROR;
}

/* A peer that closes before its first byte does not want TLS: it is a health check. */
static void note_closed(struct transport *t)
{
    if (!t->shaken && transport_has_received(t))
        t->failure = TRANSPORT_FAILURE_CLOSED;
}

/* The status of a failed OpenSSL call; `doing` is for the error text. */
static enum transport_status tls_status(struct transport *t, int result, const char *doing,
                                        struct error *err)
{
    int saved_errno = errno;
    unsigned long code = ERR_peek_error();
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TRANSPORT_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TRANSPORT_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        note_closed(t);
        return TRANSPORT_EOF;
    case SSL_ERROR_SYSCALL:
        t->failed = true;
        note_closed(t);
        if (code == 0 && saved_errno == 0)
            return TRANSPORT_EOF;
        errno = saved_errno;
        return fail_with_errno(err, doing);
    default:
        t->failed = true;
        if (!t->shaken)
            return fail_handshake(t, code, err);
        /* In TLS 1.3 a server judges the client's certificate after the client's handshake. */
        if (is_alert(ERR_GET_REASON(code)) && !t->has_read)
            t->failure = TRANSPORT_FAILURE_REFUSED;
        error_set(err, ERROR_HOST_UNREACHABLE, "TLS error while %s: %s", doing, ssl_reason(code));
        return TRANSPORT_ERROR;
    }
}

static enum transport_status tls_handshake(struct transport *t, struct error *err)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(t->ssl);
    t->shaken = result == 1;
    enum transport_status status =
        t->shaken ? TRANSPORT_OK : tls_status(t, result, "in the TLS handshake", err);
    if (status != TRANSPORT_WANT_READ && status != TRANSPORT_WANT_WRITE)
        tls_resume_note_result(t->ssl, t->shaken);
    return status;
}

/* The thread's error queue must be empty before a call of OpenSSL that may fail. It mostly is, and
 * asking costs a third of clearing. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
    errno = 0;
}

static enum transport_status tls_read(struct transport *t, void *buf, size_t cap, size_t *got,
                                      struct error *err)
{
    forget_errors();
    int result = SSL_read_ex(t->ssl, buf, cap, got);
    t->drained = result != 1;
    if (result == 1) {
        t->has_read = true;
        return TRANSPORT_OK;
    }
    if (!tls_peer_renegotiates(t->ssl))
        return tls_status(t, result, "reading", err);
    error_set(err, ERROR_HOST_UNREACHABLE,
              "the peer asked for a TLS renegotiation, which the proxy refuses");
    return TRANSPORT_ERROR;
}

static enum transport_status tls_write(struct transport *t, const void *buf, size_t len,
                                       size_t *put, struct error *err)
{
    forget_errors();
    int result = SSL_write_ex(t->ssl, buf, len, put);
    return result == 1 ? TRANSPORT_OK : tls_status(t, result, "writing", err);
}

static const struct transport_ops tls_ops = {tls_handshake, tls_read, tls_write};

void transport_init_plain(struct transport *t, int fd)
{
    *t = (struct transport){.ops = &plain_ops, .fd = fd};
}

static bool init_tls(struct transport *t, int fd, const struct tls_context *context,
                     struct error *err)
{
    *t = (struct transport){.ops = &tls_ops, .fd = fd};
    ERR_clear_error();
    t->ssl = SSL_new(tls_context_ssl_ctx(context));
    if (t->ssl != NULL && SSL_set_fd(t->ssl, fd) == 1)
        return true;
    error_no_memory(err, "a TLS connection: %s", ssl_reason(ERR_peek_error()));
    transport_close(t);
    return false;
}

bool transport_init_tls_server(struct transport *t, int fd, const struct tls_context *context,
                               struct error *err)
{
    if (!init_tls(t, fd, context, err))
        return false;
    SSL_set_accept_state(t->ssl);
    return true;
}

bool transport_init_tls_client(struct transport *t, int fd, const struct tls_context *context,
                               const char *host, struct error *err)
{
    if (!init_tls(t, fd, context, err))
        return false;
    SSL_set_connect_state(t->ssl);
    if (tls_expect_host(t->ssl, host, tls_context_checks_hostname(context))) {
        tls_resume_offer(t->ssl, host);
        return true;
    }
    error_set(err, ERROR_BAD_VALUE, "Host name '%.255s' cannot be used with TLS: %s", host,
              ssl_reason(ERR_peek_error()));
    transport_close(t);
    return false;
}

bool transport_has_pending(const struct transport *t)
{
    /* OpenSSL also counts a partial record, which no read can deliver yet: hence drained. */
    return t->ssl != NULL && t->shaken && !t->drained && SSL_has_pending(t->ssl) == 1;
}

static void say_goodbye(struct transport *t)
{
    if (t->ssl == NULL || !t->shaken || t->failed)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

enum transport_status transport_peek(struct transport *t)
{
    uint8_t byte = 0;
    size_t got = 0;
    if (t->ssl == NULL) {
        ssize_t n = recv(t->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN ? TRANSPORT_WANT_READ : TRANSPORT_ERROR;
        return n == 0 ? TRANSPORT_EOF : TRANSPORT_OK;
    }
    ERR_clear_error();
    errno = 0;
    int result = SSL_peek_ex(t->ssl, &byte, 1, &got);
    t->drained = result != 1;
    return result == 1 ? TRANSPORT_OK : tls_status(t, result, "peeking", NULL);
}

enum transport_peer transport_look_at_peer(const struct transport *t)
{
    struct pollfd peer = {.fd = t->fd, .events = POLLRDHUP};
    if (poll(&peer, 1, 0) <= 0)
        return TRANSPORT_PEER_THERE;
    return (peer.revents & (POLLERR | POLLHUP)) != 0 ? TRANSPORT_PEER_LOST : TRANSPORT_PEER_ENDED;
}

size_t transport_arrived_bytes(const struct transport *t)
{
    int bytes = 0;
    return ioctl(t->fd, FIONREAD, &bytes) == 0 ? (size_t)bytes : 0;
}

void transport_set_mark(struct transport *t, int bytes)
{
    (void)setsockopt(t->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

enum transport_status transport_peek_bytes(struct transport *t, void *buf, size_t cap, size_t *got)
{
    ssize_t n = recv(t->fd, buf, cap, MSG_PEEK);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return TRANSPORT_OK;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? TRANSPORT_WANT_READ : TRANSPORT_EOF;
}

void transport_drop_bytes(struct transport *t, size_t len)
{
    uint8_t dropped[256];
    while (len > 0) {
        ssize_t n = recv(t->fd, dropped, len < sizeof dropped ? len : sizeof dropped, 0);
        if (n <= 0)
            return;
        len -= (size_t)n;
    }
}

void transport_finish_sending(struct transport *t)
{
    say_goodbye(t);
    (void)shutdown(t->fd, SHUT_WR);
}

void transport_close(struct transport *t)
{
    say_goodbye(t);
    if (t->ssl != NULL) {
        SSL_free(t->ssl);
        t->ssl = NULL;
        ERR_clear_error();
    }
    if (t->fd >= 0)
        (void)close(t->fd);
    t->fd = -1;
}

static void copy_subject(X509 *certificate, char *out, size_t cap)
{
    out[0] = '\0';
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL)
        return;
    const char *text = NULL;
    if (X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                           XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) > 0) {
        long len = BIO_get_mem_data(bio, (char **)&text);
        if (len > 0 && (size_t)len < cap) {
            memcpy(out, text, (size_t)len);
            out[len] = '\0';
        }
    }
    BIO_free(bio);
}

bool transport_tls_details(const struct transport *t, struct transport_tls_details *details)
{
    if (t->ssl == NULL || !t->shaken)
        return false;
    details->version = SSL_get_version(t->ssl);
    details->cipher = SSL_get_cipher_name(t->ssl);
    details->peer_subject[0] = '\0';
    X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (certificate != NULL)
        copy_subject(certificate, details->peer_subject, sizeof details->peer_subject);
    return true;
}

enum transport_status transport_peek_is_tls(int fd, bool *is_tls, struct error *err)
{
    uint8_t head[TRANSPORT_PEEK_BYTES] = {0};
    ssize_t n;
    do
        n = recv(fd, head, sizeof head, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return TRANSPORT_EOF;
    if (n < 0)
        return errno == EAGAIN ? TRANSPORT_WANT_READ : fail_with_errno(err, "reading");
    *is_tls = head[0] == TLS_RECORD_HANDSHAKE && (n < 2 || head[1] == TLS_VERSION_MAJOR) &&
              (n < 3 || (head[2] >= 1 && head[2] <= 4));
    return TRANSPORT_OK;
}
