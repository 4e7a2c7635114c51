/* Plain and TLS transports over a socket pair, both ends in this thread. */
#include "net/transport.h"

#include "base/memory.h"
#include "certificates.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the two above first. */
#include <cmocka.h>

enum { ROUNDS_MAX = 200000 };

static struct certificates files;

struct pair {
    struct transport server;
    struct transport client;
    struct error server_error;
    struct error client_error;
};

static void socket_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

static void plain_pair(struct pair *pair)
{
    int fds[2];
    *pair = (struct pair){0};
    socket_pair(fds);
    transport_init_plain(&pair->server, fds[0]);
    transport_init_plain(&pair->client, fds[1]);
}

static void close_pair(struct pair *pair)
{
    transport_close(&pair->client);
    transport_close(&pair->server);
}

static bool goes_on(enum transport_status status)
{
    return status == TRANSPORT_WANT_READ || status == TRANSPORT_WANT_WRITE;
}

/* Both ends in turn, until both are done or one has failed. Contexts are released here, as a
 * connection does not need them. The client's status; the server's goes to *server_status. */
static enum transport_status shake(struct pair *pair, struct tls_context *server,
                                   struct tls_context *client, const char *host,
                                   enum transport_status *server_status)
{
    int fds[2];
    enum transport_status c = TRANSPORT_WANT_WRITE;
    enum transport_status s = TRANSPORT_WANT_READ;
    assert_non_null(server);
    assert_non_null(client);
    *pair = (struct pair){0};
    socket_pair(fds);
    assert_true(transport_init_tls_server(&pair->server, fds[0], server, NULL));
    assert_true(transport_init_tls_client(&pair->client, fds[1], client, host, NULL));
    tls_context_release(server);
    tls_context_release(client);
    for (int round = 0; round < 50 && (goes_on(c) || goes_on(s)); round++) {
        if (goes_on(c))
            c = transport_handshake(&pair->client, &pair->client_error);
        if (goes_on(s))
            s = transport_handshake(&pair->server, &pair->server_error);
        if (c == TRANSPORT_ERROR && goes_on(s))
            (void)shutdown(pair->client.fd, SHUT_WR);
    }
    *server_status = s;
    return c;
}

static struct tls_server_options server_options(void)
{
    return (struct tls_server_options){.certificate_file = files.server};
}

static struct tls_context *server_context(const struct tls_server_options *options)
{
    struct error err = {0};
    struct tls_context *context = tls_context_new_server(options, &err);
    if (context == NULL)
        fail_msg("%s", err.message);
    return context;
}

static struct tls_context *client_context(const struct tls_client_options *options)
{
    struct error err = {0};
    struct tls_context *context = tls_context_new_client(options, &err);
    if (context == NULL)
        fail_msg("%s", err.message);
    return context;
}

static void tls_pair(struct pair *pair)
{
    enum transport_status server;
    struct tls_server_options s = server_options();
    struct tls_client_options c = {.ca_file = files.ca};
    enum transport_status client =
        shake(pair, server_context(&s), client_context(&c), "localhost", &server);
    assert_int_equal(client, TRANSPORT_OK);
    assert_int_equal(server, TRANSPORT_OK);
}

static void expect_text(const struct error *err, const char *part)
{
    if (strstr(err->message, part) == NULL)
        fail_msg("'%s' is not in '%s'", part, err->message);
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

/* Sends `len` bytes in pieces of at most `piece` and reads at most `cap` at once; the reader starts
 * after the writer is stopped for the first time. */
static void transfer(struct transport *from, struct transport *to, size_t len, size_t piece,
                     size_t cap)
{
    size_t sent = 0;
    size_t received = 0;
    bool stopped = false;
    struct error err = {0};
    uint8_t *out = malloc(piece);
    uint8_t *in = malloc(cap);
    assert_non_null(out);
    assert_non_null(in);
    for (int round = 0; round < ROUNDS_MAX && received < len; round++) {
        size_t part = len - sent < piece ? len - sent : piece;
        size_t put = 0;
        size_t got = 0;
        for (size_t i = 0; i < part; i++)
            out[i] = pattern(sent + i);
        enum transport_status status =
            part > 0 ? transport_write(from, out, part, &put, &err) : TRANSPORT_OK;
        assert_true(status == TRANSPORT_OK || status == TRANSPORT_WANT_WRITE);
        if (status == TRANSPORT_OK)
            sent += put;
        stopped = stopped || status == TRANSPORT_WANT_WRITE || sent == len;
        if (!stopped)
            continue;
        status = transport_read(to, in, cap, &got, &err);
        assert_true(status == TRANSPORT_OK || status == TRANSPORT_WANT_READ);
        for (size_t i = 0; status == TRANSPORT_OK && i < got; i++)
            if (in[i] != pattern(received + i))
                fail_msg("byte %zu differs", received + i);
        received += status == TRANSPORT_OK ? got : 0;
    }
    assert_int_equal(received, len);
    assert_int_equal(sent, len);
    free(out);
    free(in);
}

static void test_plain_transfers(void **state)
{
    (void)state;
    struct pair pair;
    plain_pair(&pair);
    assert_int_equal(transport_handshake(&pair.server, NULL), TRANSPORT_OK);
    transfer(&pair.client, &pair.server, 5000000, 300000, 70000);
    transfer(&pair.server, &pair.client, 1, 1, 1);
    assert_false(transport_has_pending(&pair.client));
    close_pair(&pair);
}

static void test_plain_end_and_reset(void **state)
{
    (void)state;
    struct pair pair;
    struct error err = {0};
    uint8_t byte = 0;
    size_t n = 0;
    plain_pair(&pair);
    assert_int_equal(transport_read(&pair.server, &byte, 1, &n, &err), TRANSPORT_WANT_READ);
    assert_int_equal(transport_write(&pair.server, &byte, 1, &n, &err), TRANSPORT_OK);
    assert_int_equal(shutdown(pair.client.fd, SHUT_WR), 0);
    assert_int_equal(transport_read(&pair.server, &byte, 1, &n, &err), TRANSPORT_EOF);
    assert_string_equal(err.message, "");
    /* A Unix socket that is closed with unread bytes resets the other end. */
    transport_close(&pair.client);
    assert_int_equal(transport_read(&pair.server, &byte, 1, &n, &err), TRANSPORT_ERROR);
    expect_text(&err, "reset by the peer while reading");
    assert_int_equal(transport_write(&pair.server, &byte, 1, &n, &err), TRANSPORT_ERROR);
    expect_text(&err, "reset by the peer while writing");
    close_pair(&pair);
    close_pair(&pair);
    assert_int_equal(pair.server.fd, -1);
}

static void test_tls_transfers(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 1000, 16384, 300000};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct pair pair;
        size_t len = pieces[i] == 1 ? 2000 : 5000000;
        tls_pair(&pair);
        transfer(&pair.client, &pair.server, len, pieces[i], 70000);
        transfer(&pair.server, &pair.client, len, pieces[i], 1500);
        close_pair(&pair);
    }
}

/* If a reader stops early, the transport reports bytes that the event loop cannot see. */
static void test_tls_pending(void **state)
{
    (void)state;
    struct pair pair;
    struct error err = {0};
    uint8_t bytes[4000] = {0};
    size_t n = 0;
    tls_pair(&pair);
    assert_int_equal(transport_read(&pair.server, bytes, 1, &n, &err), TRANSPORT_WANT_READ);
    assert_false(transport_has_pending(&pair.server));
    assert_int_equal(transport_write(&pair.client, bytes, sizeof bytes, &n, &err), TRANSPORT_OK);
    assert_int_equal(transport_write(&pair.client, bytes, sizeof bytes, &n, &err), TRANSPORT_OK);
    size_t got = 0;
    assert_int_equal(transport_read(&pair.server, bytes, 10, &n, &err), TRANSPORT_OK);
    for (got = n; transport_has_pending(&pair.server); got += n)
        if (transport_read(&pair.server, bytes, 1000, &n, &err) != TRANSPORT_OK)
            break;
    while (transport_read(&pair.server, bytes, 1000, &n, &err) == TRANSPORT_OK)
        got += n;
    assert_int_equal(got, 2 * sizeof bytes);
    assert_false(transport_has_pending(&pair.server));
    close_pair(&pair);
}

/* Half a record: nothing to read, and nothing pending, or the reader would spin. */
static void test_tls_half_a_record(void **state)
{
    (void)state;
    struct pair pair;
    int wire[2];
    struct error err = {0};
    uint8_t bytes[2000] = {0};
    uint8_t record[4096];
    size_t n = 0;
    tls_pair(&pair);
    while (transport_read(&pair.client, bytes, sizeof bytes, &n, &err) == TRANSPORT_OK)
        fail();
    /* The client's record goes by a detour, so that it can be cut. */
    socket_pair(wire);
    int direct = dup(pair.client.fd);
    assert_int_equal(dup2(wire[0], pair.client.fd), pair.client.fd);
    assert_int_equal(transport_write(&pair.client, bytes, sizeof bytes, &n, &err), TRANSPORT_OK);
    ssize_t len = recv(wire[1], record, sizeof record, 0);
    assert_in_range(len, 1000, sizeof record);
    assert_int_equal(send(direct, record, 900, 0), 900);
    assert_int_equal(transport_read(&pair.server, bytes, sizeof bytes, &n, &err),
                     TRANSPORT_WANT_READ);
    assert_false(transport_has_pending(&pair.server));
    assert_int_equal(send(direct, record + 900, (size_t)len - 900, 0), len - 900);
    assert_int_equal(transport_read(&pair.server, bytes, sizeof bytes, &n, &err), TRANSPORT_OK);
    assert_int_equal(n, sizeof bytes);
    (void)close(wire[0]);
    (void)close(wire[1]);
    (void)close(direct);
    close_pair(&pair);
}

static void test_tls_end_and_cut(void **state)
{
    (void)state;
    struct error err = {0};
    uint8_t byte = 0;
    size_t n = 0;
    for (int orderly = 0; orderly <= 1; orderly++) {
        struct pair pair;
        tls_pair(&pair);
        /* Take the session tickets off the wire, or closing resets the connection. */
        assert_int_equal(transport_read(&pair.client, &byte, 1, &n, &err), TRANSPORT_WANT_READ);
        if (orderly)
            transport_close(&pair.client);
        else
            assert_int_equal(shutdown(pair.client.fd, SHUT_RDWR), 0);
        assert_int_equal(transport_read(&pair.server, &byte, 1, &n, &err), TRANSPORT_EOF);
        assert_string_equal(err.message, "");
        close_pair(&pair);
    }
}

static void test_tls_reset(void **state)
{
    (void)state;
    struct pair pair;
    struct error err = {0};
    uint8_t byte = 0;
    size_t n = 0;
    tls_pair(&pair);
    assert_int_equal(transport_write(&pair.server, &byte, 1, &n, &err), TRANSPORT_OK);
    assert_int_equal(close(pair.client.fd), 0);
    pair.client.fd = -1;
    assert_int_equal(transport_read(&pair.server, &byte, 1, &n, &err), TRANSPORT_ERROR);
    expect_text(&err, "reset by the peer while reading");
    close_pair(&pair);
}

/* Only TLS 1.2 knows it. Who asks again and again would keep the proxy busy. */
static void test_tls_renegotiation(void **state)
{
    (void)state;
    struct pair pair;
    struct error err = {0};
    uint8_t byte = 0;
    size_t n = 0;
    struct tls_server_options s = server_options();
    struct tls_client_options c = {.ca_file = files.ca};
    struct tls_context *client = client_context(&c);
    enum transport_status server;
    assert_int_equal(SSL_CTX_set_max_proto_version(tls_context_ssl_ctx(client), TLS1_2_VERSION), 1);
    SSL_CTX_clear_options(tls_context_ssl_ctx(client), SSL_OP_NO_RENEGOTIATION);
    assert_int_equal(shake(&pair, server_context(&s), client, "localhost", &server), TRANSPORT_OK);
    assert_int_equal(server, TRANSPORT_OK);
    assert_int_equal(transport_read(&pair.server, &byte, 1, &n, &err), TRANSPORT_WANT_READ);
    assert_int_equal(SSL_renegotiate(pair.client.ssl), 1);
    (void)SSL_do_handshake(pair.client.ssl);
    assert_int_equal(transport_read(&pair.server, &byte, 1, &n, &err), TRANSPORT_ERROR);
    expect_text(&err, "asked for a TLS renegotiation");
    close_pair(&pair);
}

static void test_tls_details(void **state)
{
    (void)state;
    struct pair pair;
    struct transport_tls_details details;
    enum transport_status server;
    struct tls_server_options s = server_options();
    s.ca_file = files.ca;
    s.client_certificates = TLS_CLIENT_CERTIFICATES_REQUIRED;
    struct tls_client_options c = {.ca_file = files.ca, .certificate_key_file = files.client};
    assert_int_equal(
        shake(&pair, server_context(&s), client_context(&c), "db.example.org", &server),
        TRANSPORT_OK);
    assert_int_equal(server, TRANSPORT_OK);
    assert_true(transport_tls_details(&pair.server, &details));
    assert_string_equal(details.version, "TLSv1.3");
    assert_string_equal(details.peer_subject, "CN=app,OU=tests,O=mongosluice");
    assert_true(strncmp(details.cipher, "TLS_", 4) == 0);
    assert_true(transport_tls_details(&pair.client, &details));
    assert_string_equal(details.peer_subject, "CN=server,OU=tests,O=mongosluice");
    assert_string_equal(SSL_get_servername(pair.server.ssl, TLSEXT_NAMETYPE_host_name),
                        "db.example.org");
    close_pair(&pair);
    assert_false(transport_tls_details(&pair.server, &details));
}

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool allow_invalid_hostnames;
        enum transport_status expected;
    } cases[] = {
        {"localhost", false, TRANSPORT_OK},
        {"LOCALHOST", false, TRANSPORT_OK},
        {"a.example.org", false, TRANSPORT_OK},
        {"127.0.0.1", false, TRANSPORT_OK},
        {"::1", false, TRANSPORT_OK},
        {"example.org", false, TRANSPORT_ERROR},
        {"127.0.0.2", false, TRANSPORT_ERROR},
        {"server", false, TRANSPORT_ERROR},
        {"127.0.0.2", true, TRANSPORT_OK},
        {"elsewhere", true, TRANSPORT_OK},
        {"a.b.example.org", false, TRANSPORT_ERROR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair;
        enum transport_status server;
        struct tls_server_options s = server_options();
        struct tls_client_options c = {.ca_file = files.ca,
                                       .allow_invalid_hostnames = cases[i].allow_invalid_hostnames};
        enum transport_status client =
            shake(&pair, server_context(&s), client_context(&c), cases[i].host, &server);
        if (client != cases[i].expected)
            fail_msg("%s: %d (%s)", cases[i].host, client, pair.client_error.message);
        if (client == TRANSPORT_ERROR)
            expect_text(&pair.client_error, "host name in the connection string");
        close_pair(&pair);
    }
}

/* The client's outcome with each certificate of the server and each trust of the client. */
static void test_trust(void **state)
{
    (void)state;
    const struct {
        const char *server;
        struct tls_client_options client;
        const char *refusal; /* NULL: accepted */
    } cases[] = {
        {files.server, {.ca_file = files.ca}, NULL},
        {files.server, {.ca_file = files.other_ca}, "unable to get local issuer certificate"},
        {files.server, {0}, "unable to get local issuer certificate"},
        {files.expired, {.ca_file = files.ca}, "certificate has expired"},
        {files.expired, {.ca_file = files.ca, .allow_invalid_certificates = true}, NULL},
        {files.server, {.allow_invalid_certificates = true}, NULL},
        {files.server, {.ca_file = files.ca, .crl_file = files.crl}, NULL},
        {files.server, {.ca_file = files.ca, .crl_file = files.crl_of_server}, "revoked"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair;
        enum transport_status server;
        struct tls_server_options s = {.certificate_file = cases[i].server};
        enum transport_status client = shake(
            &pair, server_context(&s), client_context(&cases[i].client), "localhost", &server);
        assert_int_equal(client, cases[i].refusal == NULL ? TRANSPORT_OK : TRANSPORT_ERROR);
        if (cases[i].refusal != NULL) {
            expect_text(&pair.client_error, cases[i].refusal);
            assert_int_equal(server, TRANSPORT_ERROR);
            expect_text(&pair.server_error, "TLS handshake with the client failed");
        }
        close_pair(&pair);
    }
}

static void test_client_certificates(void **state)
{
    (void)state;
    const struct {
        enum tls_client_certificates asked;
        const char *sent;
        const char *refusal; /* NULL: accepted */
    } cases[] = {
        {TLS_CLIENT_CERTIFICATES_NONE, NULL, NULL},
        {TLS_CLIENT_CERTIFICATES_NONE, files.stranger, NULL},
        {TLS_CLIENT_CERTIFICATES_OPTIONAL, NULL, NULL},
        {TLS_CLIENT_CERTIFICATES_OPTIONAL, files.client, NULL},
        {TLS_CLIENT_CERTIFICATES_OPTIONAL, files.stranger,
         "the client's certificate is not accepted"},
        {TLS_CLIENT_CERTIFICATES_REQUIRED, files.client, NULL},
        {TLS_CLIENT_CERTIFICATES_REQUIRED, NULL, "the client sent no certificate"},
        {TLS_CLIENT_CERTIFICATES_REQUIRED, files.stranger,
         "the client's certificate is not accepted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair;
        enum transport_status server;
        struct tls_server_options s = server_options();
        s.ca_file = files.ca;
        s.client_certificates = cases[i].asked;
        struct tls_client_options c = {.ca_file = files.ca, .certificate_key_file = cases[i].sent};
        (void)shake(&pair, server_context(&s), client_context(&c), "localhost", &server);
        if (server != (cases[i].refusal == NULL ? TRANSPORT_OK : TRANSPORT_ERROR))
            fail_msg("case %zu: %d %s", i, server, pair.server_error.message);
        if (cases[i].refusal != NULL)
            expect_text(&pair.server_error, cases[i].refusal);
        close_pair(&pair);
    }
}

/* The highest version that the client offers, against the lowest that the server accepts. */
static void test_versions(void **state)
{
    (void)state;
    static const struct {
        int client_max;
        enum tls_version server_min;
        bool accepted;
    } cases[] = {
        {TLS1_1_VERSION, TLS_VERSION_1_2, false},
        {TLS1_2_VERSION, TLS_VERSION_1_2, true},
        {TLS1_2_VERSION, TLS_VERSION_1_3, false},
        {TLS1_3_VERSION, TLS_VERSION_1_3, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair;
        enum transport_status server;
        struct tls_server_options s = server_options();
        struct tls_client_options c = {.ca_file = files.ca};
        s.min_version = cases[i].server_min;
        struct tls_context *client = client_context(&c);
        SSL_CTX *ctx = tls_context_ssl_ctx(client);
        SSL_CTX_set_security_level(ctx, 0); /* or OpenSSL itself would not offer TLS 1.1 */
        assert_int_equal(SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(ctx, cases[i].client_max), 1);
        (void)shake(&pair, server_context(&s), client, "localhost", &server);
        assert_int_equal(server, cases[i].accepted ? TRANSPORT_OK : TRANSPORT_ERROR);
        if (!cases[i].accepted)
            expect_text(&pair.server_error, "unsupported protocol");
        close_pair(&pair);
    }
}

static void test_plain_client_on_tls_port(void **state)
{
    (void)state;
    static const char hello[] =
        "\x3a\0\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0admin.$cmd\0\0\0\0\0";
    int fds[2];
    struct transport server;
    struct error err = {0};
    struct tls_server_options s = server_options();
    struct tls_context *context = server_context(&s);
    socket_pair(fds);
    assert_true(transport_init_tls_server(&server, fds[0], context, &err));
    assert_int_equal(send(fds[1], hello, sizeof hello, 0), sizeof hello);
    assert_int_equal(transport_handshake(&server, &err), TRANSPORT_ERROR);
    expect_text(&err, "the client does not use TLS");
    transport_close(&server);
    (void)close(fds[1]);
    tls_context_release(context);
}

static void test_end_in_the_handshake(void **state)
{
    (void)state;
    int fds[2];
    struct transport client;
    struct error err = {0};
    struct tls_client_options c = {.ca_file = files.ca};
    struct tls_context *context = client_context(&c);
    char taken[4096];
    socket_pair(fds);
    assert_true(transport_init_tls_client(&client, fds[1], context, "localhost", &err));
    assert_int_equal(transport_handshake(&client, &err), TRANSPORT_WANT_READ);
    assert_true(recv(fds[0], taken, sizeof taken, 0) > 0);
    assert_int_equal(shutdown(fds[0], SHUT_WR), 0);
    assert_int_equal(transport_handshake(&client, &err), TRANSPORT_EOF);
    transport_close(&client);
    (void)close(fds[0]);
    tls_context_release(context);
}

static void test_peek(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        bool is_tls;
    } cases[] = {
        {"\x16\x03\x01\x02\x00\x01", 6, true},
        {"\x16\x03\x03", 3, true},
        {"\x16", 1, true},
        {"\x16\x03", 2, true},
        {"\x16\x03\x00\x00", 4, false}, /* a message of 790 bytes */
        {"\x16\x01\x00\x00", 4, false},
        {"\x3a\x00\x00\x00", 4, false},
    };
    struct error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fds[2];
        bool is_tls = !cases[i].is_tls;
        char again[8];
        socket_pair(fds);
        assert_int_equal(transport_peek_is_tls(fds[0], &is_tls, &err), TRANSPORT_WANT_READ);
        assert_int_equal(send(fds[1], cases[i].bytes, cases[i].len, 0), cases[i].len);
        assert_int_equal(transport_peek_is_tls(fds[0], &is_tls, &err), TRANSPORT_OK);
        assert_int_equal(is_tls, cases[i].is_tls);
        assert_int_equal(recv(fds[0], again, sizeof again, 0), cases[i].len);
        (void)close(fds[1]);
        assert_int_equal(transport_peek_is_tls(fds[0], &is_tls, &err), TRANSPORT_EOF);
        (void)close(fds[0]);
        assert_int_equal(transport_peek_is_tls(fds[0], &is_tls, &err), TRANSPORT_ERROR);
    }
}

static void test_server_settings_that_are_wrong(void **state)
{
    (void)state;
    const struct {
        struct tls_server_options options;
        const char *text;
    } cases[] = {
        {{.certificate_file = "/nowhere/server.pem"}, "'/nowhere/server.pem': No such file"},
        {{.certificate_file = files.text}, "No usable certificate in PEM form"},
        {{.certificate_file = files.server_certificate}, "No usable private key in PEM form"},
        {{.certificate_file = files.server_certificate, .key_file = files.client},
         "does not belong to the certificate"},
        {{.certificate_file = files.encrypted}, "is encrypted and no password is set"},
        {{.certificate_file = files.encrypted, .key_password = "wrong"}, "does not open it"},
        {{.certificate_file = files.server,
          .client_certificates = TLS_CLIENT_CERTIFICATES_REQUIRED},
         "set a CA file"},
        {{.certificate_file = files.server,
          .client_certificates = TLS_CLIENT_CERTIFICATES_OPTIONAL,
          .ca_file = files.text},
         "No usable CA certificate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        assert_null(tls_context_new_server(&cases[i].options, &err));
        expect_text(&err, cases[i].text);
    }
    struct tls_server_options good[] = {
        {.certificate_file = files.server_certificate, .key_file = files.server_key},
        {.certificate_file = files.encrypted, .key_password = CERTIFICATES_PASSWORD},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        tls_context_release(server_context(&good[i]));
}

static void test_client_settings_that_are_wrong(void **state)
{
    (void)state;
    const struct {
        struct tls_client_options options;
        const char *text;
    } cases[] = {
        {{.ca_file = "/nowhere/ca.pem"}, "Cannot read the CA file '/nowhere/ca.pem'"},
        {{.ca_file = files.text}, "No usable CA certificate"},
        {{.certificate_key_file = files.encrypted}, "no password is set"},
        {{.crl_file = files.ca}, "No usable revocation list"},
        {{.crl_file = "/nowhere/crl.pem"}, "Cannot read the CRL file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        assert_null(tls_context_new_client(&cases[i].options, &err));
        expect_text(&err, cases[i].text);
    }
}

/* A context lives as long as it has an owner, and a connection may outlive its context. */
static void test_references(void **state)
{
    (void)state;
    struct tls_server_options s = server_options();
    struct tls_context *context = server_context(&s);
    assert_ptr_equal(tls_context_retain(context), context);
    tls_context_release(context);
    assert_non_null(tls_context_ssl_ctx(context));
    tls_context_release(context);
    assert_null(tls_context_retain(NULL));
    tls_context_release(NULL);
    struct pair pair;
    tls_pair(&pair); /* releases both contexts before the handshake */
    transfer(&pair.client, &pair.server, 100000, 5000, 5000);
    close_pair(&pair);
}

static void test_no_memory_for_a_context(void **state)
{
    (void)state;
    struct error err = {0};
    struct tls_server_options s = server_options();
    memory_fail_after(1);
    struct tls_context *context = tls_context_new_server(&s, &err);
    memory_fail_never();
    assert_null(context);
    expect_text(&err, "out of memory");
}

static int make_files(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* as the proxy does, see tls.h */
    certificates_make(&files);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    certificates_remove(&files);
    return 0;
}

/* One connection between two contexts that are kept. True if it resumed a session. */
static bool resumes(struct tls_context *server, struct tls_context *client, const char *host,
                    enum transport_status wanted)
{
    struct pair pair;
    enum transport_status server_status;
    uint8_t byte = 0;
    size_t n = 0;
    enum transport_status status =
        shake(&pair, tls_context_retain(server), tls_context_retain(client), host, &server_status);
    assert_int_equal(status, wanted);
    bool reused = wanted == TRANSPORT_OK && SSL_session_reused(pair.client.ssl) == 1;
    if (wanted == TRANSPORT_OK) /* the ticket comes after the handshake */
        assert_int_equal(transport_read(&pair.client, &byte, 1, &n, NULL), TRANSPORT_WANT_READ);
    close_pair(&pair);
    return reused;
}

static void test_sessions_are_resumed(void **state)
{
    (void)state;
    struct tls_server_options s = server_options();
    struct tls_client_options c = {.ca_file = files.ca};
    struct tls_client_options known = {.ca_file = files.ca, .certificate_key_file = files.client};
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_context *server = server_context(&s);
        struct tls_context *restarted = server_context(&s);
        struct tls_context *client = client_context(&c);
        struct tls_context *with_certificate = client_context(&known);
        SSL_CTX_set_max_proto_version(tls_context_ssl_ctx(client), version);
        assert_false(resumes(server, client, "localhost", TRANSPORT_OK));
        assert_true(resumes(server, client, "localhost", TRANSPORT_OK));
        assert_true(resumes(server, client, "localhost", TRANSPORT_OK));
        assert_false(resumes(server, client, "127.0.0.1", TRANSPORT_OK)); /* another host */
        assert_false(resumes(restarted, client, "localhost", TRANSPORT_OK));
        assert_true(resumes(restarted, client, "localhost", TRANSPORT_OK));
        assert_false(resumes(server, with_certificate, "localhost", TRANSPORT_OK));
        assert_false(resumes(server, with_certificate, "localhost", TRANSPORT_OK));
        tls_context_release(server);
        tls_context_release(restarted);
        tls_context_release(client);
        tls_context_release(with_certificate);
    }
}

/* OpenSSL fails a resumed handshake if the server verifies clients and named no session context. */
static void test_failing_sessions_are_given_up(void **state)
{
    (void)state;
    struct tls_server_options s = server_options();
    struct tls_client_options c = {.ca_file = files.ca};
    struct tls_context *server = server_context(&s);
    struct tls_context *client = client_context(&c);
    SSL_CTX_set_session_id_context(tls_context_ssl_ctx(server), (const uint8_t *)"", 0);
    SSL_CTX_set_verify(tls_context_ssl_ctx(server), SSL_VERIFY_PEER, NULL);
    for (int i = 0; i < 3; i++) {
        assert_false(resumes(server, client, "localhost", TRANSPORT_OK));
        assert_false(resumes(server, client, "localhost", TRANSPORT_ERROR));
    }
    for (int i = 0; i < 3; i++)
        assert_false(resumes(server, client, "localhost", TRANSPORT_OK));
    tls_context_release(server);
    tls_context_release(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_transfers),
        cmocka_unit_test(test_plain_end_and_reset),
        cmocka_unit_test(test_tls_transfers),
        cmocka_unit_test(test_tls_pending),
        cmocka_unit_test(test_tls_half_a_record),
        cmocka_unit_test(test_tls_end_and_cut),
        cmocka_unit_test(test_tls_reset),
        cmocka_unit_test(test_tls_renegotiation),
        cmocka_unit_test(test_tls_details),
        cmocka_unit_test(test_sessions_are_resumed),
        cmocka_unit_test(test_failing_sessions_are_given_up),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_plain_client_on_tls_port),
        cmocka_unit_test(test_end_in_the_handshake),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_server_settings_that_are_wrong),
        cmocka_unit_test(test_client_settings_that_are_wrong),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_no_memory_for_a_context),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
