/* TLS settings read from files once and then shared: a context never changes, so any thread may use
 * it, and a reload makes a new one while old connections keep theirs. OpenSSL writes with write(2):
 * the process must ignore SIGPIPE. */
#ifndef SLUICE_NET_TLS_H
#define SLUICE_NET_TLS_H

#include "base/error.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* OpenSSL's SSL */

enum tls_client_certificates {
    TLS_CLIENT_CERTIFICATES_NONE,     /* not asked for */
    TLS_CLIENT_CERTIFICATES_OPTIONAL, /* checked when the client sends one */
    TLS_CLIENT_CERTIFICATES_REQUIRED
};

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* All strings are borrowed for the call. Files are PEM. */
struct tls_server_options {
    const char *certificate_file; /* the server's certificate, then its chain */
    const char *key_file;         /* NULL: the key stands in certificate_file */
    const char *key_password;     /* NULL: none */
    const char *ca_file;          /* who may sign client certificates; NULL: nobody */
    enum tls_client_certificates client_certificates;
    enum tls_version min_version;
};

/* The tls… options of a connection string, with their defaults at zero. */
struct tls_client_options {
    const char *ca_file;              /* NULL: the system's authorities */
    const char *certificate_key_file; /* certificate and key in one file; NULL: none is sent */
    const char *key_password;         /* NULL: none */
    const char *crl_file;             /* NULL: revocation is not checked */
    bool allow_invalid_certificates;
    bool allow_invalid_hostnames;
};

struct tls_context;

/* One reference, released with tls_context_release. NULL and *err: which file or option, what is
 * wrong with it, what to do. */
struct tls_context *tls_context_new_server(const struct tls_server_options *options,
                                           struct error *err);
struct tls_context *tls_context_new_client(const struct tls_client_options *options,
                                           struct error *err);

/* Connections do not need the context that they were made from any more (OpenSSL counts its own
 * references). NULL is allowed. Thread-safe. */
struct tls_context *tls_context_retain(struct tls_context *context);
void tls_context_release(struct tls_context *context);

/* For those who make connections of a context: whom a client's handshake names as the server, and,
 * where `check`, who its certificate must be of. */
bool tls_expect_host(struct ssl_st *ssl, const char *host, bool check);

/* Whether the peer asked for another handshake (TLS 1.2), which it was refused. */
bool tls_peer_renegotiates(const struct ssl_st *ssl);

/* For transport.c and tls_events.c: borrowed, lives as long as the context. */
struct ssl_ctx_st *tls_context_ssl_ctx(const struct tls_context *context);
/* Whether it shows a certificate of its own. */
bool tls_context_has_certificate(const struct tls_context *context);
bool tls_context_checks_hostname(const struct tls_context *context);

#endif
