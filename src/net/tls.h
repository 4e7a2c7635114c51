/* TLS settings, read from files once and then shared. A context never changes, so any thread may
 * use it; a reload makes a new one, and old connections keep theirs. OpenSSL writes with write(2):
 * the process must ignore SIGPIPE. */
#ifndef SLUICE_NET_TLS_H
#define SLUICE_NET_TLS_H

#include <stdint.h>

#include "base/error.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* OpenSSL's SSL */

enum tls_client_certificates {
    TLS_CLIENT_CERTIFICATES_NONE,     /* not requested */
    TLS_CLIENT_CERTIFICATES_OPTIONAL, /* checked if the client sends one */
    TLS_CLIENT_CERTIFICATES_REQUIRED
};

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* All strings are borrowed during the call. Files are in PEM form. */
struct tls_server_options {
    const char *certificate_file; /* the server's certificate, then its chain */
    const char *key_file;         /* NULL: the key is in certificate_file */
    const char *key_password;     /* NULL: none */
    const char *ca_file;          /* the authorities of client certificates; NULL: none */
    enum tls_client_certificates client_certificates;
    enum tls_version min_version;
};

/* The tls… options of a connection string; zero means the default. */
struct tls_client_options {
    const char *ca_file;              /* NULL: the system's authorities */
    const char *certificate_key_file; /* certificate and key in one file; NULL: none */
    const char *key_password;         /* NULL: none */
    const char *crl_file;             /* NULL: no revocation check */
    bool allow_invalid_certificates;
    bool allow_invalid_hostnames;
};

struct tls_context;

/* Returns one reference; release it with tls_context_release. On NULL, *err names the file or
 * option, the fault, and the remedy. */
struct tls_context *tls_context_new_server(const struct tls_server_options *options,
                                           struct error *err);
struct tls_context *tls_context_new_client(const struct tls_client_options *options,
                                           struct error *err);

/* Connections no longer need their context (OpenSSL counts its own references). NULL is allowed.
 * Thread-safe. */
struct tls_context *tls_context_retain(struct tls_context *context);
void tls_context_release(struct tls_context *context);

/* Sets the server name that a client's handshake sends. With `check`, the server's certificate must
 * have this name. */
bool tls_expect_host(struct ssl_st *ssl, const char *host, bool check);

/* True if the peer asked for a renegotiation (TLS 1.2), which OpenSSL refused. */
bool tls_peer_renegotiates(const struct ssl_st *ssl);

/* Seconds since 1970. */
struct tls_validity {
    int64_t from_s;
    int64_t until_s;
};
/* The time in which all certificates that the context sends are valid. False if it sends none. */
bool tls_context_validity(const struct tls_context *context, struct tls_validity *out);

/* For transport.c and tls_events.c: borrowed; lives as long as the context. */
struct ssl_ctx_st *tls_context_ssl_ctx(const struct tls_context *context);
/* True if it sends its own certificate. */
bool tls_context_has_certificate(const struct tls_context *context);
bool tls_context_checks_hostname(const struct tls_context *context);

#endif
