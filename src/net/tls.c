#include "net/tls.h"

#include "base/memory.h"
#include "net/tls_resume.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct tls_context {
    SSL_CTX *ssl_ctx; /* owned */
    atomic_int references;
    bool checks_hostname;
};

static char renegotiates; /* its address marks a connection whose peer asked for it */

struct pem_password {
    const char *password; /* borrowed; NULL: none was given */
    bool wanted;          /* OpenSSL asked for it: the key is encrypted */
};

/* Without a callback OpenSSL would prompt on the terminal. */
static int give_password(char *buf, int cap, int writing, void *arg)
{
    struct pem_password *pem = arg;
    (void)writing;
    pem->wanted = true;
    size_t len = pem->password != NULL ? strlen(pem->password) : 0;
    if (len == 0 || len > (size_t)cap)
        return -1;
    memcpy(buf, pem->password, len);
    return (int)len;
}

static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "no reason given by OpenSSL";
}

/* Reports "No such file" and similar errors better than OpenSSL. */
static bool check_readable(const char *file, const char *what, struct error *err)
{
    if (access(file, R_OK) == 0)
        return true;
    return error_set(err, ERROR_BAD_VALUE, "Cannot read the %s '%.200s': %s", what, file,
                     strerror(errno));
}

static bool explain_key(const char *file, const struct pem_password *pem, struct error *err)
{
    if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return error_set(err, ERROR_BAD_VALUE,
                         "The private key in '%.200s' does not belong to the certificate; use the "
                         "key of this certificate",
                         file);
    if (pem->wanted)
        return error_set(err, ERROR_BAD_VALUE, "The private key in '%.200s' is encrypted and %s",
                         file,
                         pem->password == NULL ? "no password is set for it"
                                               : "the configured password does not open it");
    return error_set(err, ERROR_BAD_VALUE, "No usable private key in PEM form in '%.200s': %s",
                     file, last_reason());
}

static bool load_identity(SSL_CTX *ctx, const char *certificate_file, const char *key_file,
                          const char *password, struct error *err)
{
    struct pem_password pem = {.password = password};
    if (!check_readable(certificate_file, "certificate file", err) ||
        !check_readable(key_file, "private key file", err))
        return false;
    SSL_CTX_set_default_passwd_cb(ctx, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &pem);
    ERR_clear_error();
    bool ok = true;
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate_file) != 1)
        ok = error_set(err, ERROR_BAD_VALUE, "No usable certificate in PEM form in '%.200s': %s",
                       certificate_file, last_reason());
    else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        ok = explain_key(key_file, &pem, err);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    return ok;
}

static bool load_authorities(SSL_CTX *ctx, const char *ca_file, struct error *err)
{
    if (!check_readable(ca_file, "CA file", err))
        return false;
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(ctx, ca_file) == 1)
        return true;
    return error_set(err, ERROR_BAD_VALUE, "No usable CA certificate in PEM form in '%.200s': %s",
                     ca_file, last_reason());
}

static bool load_crl(SSL_CTX *ctx, const char *crl_file, struct error *err)
{
    if (!check_readable(crl_file, "CRL file", err))
        return false;
    ERR_clear_error();
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, crl_file, X509_FILETYPE_PEM) < 1)
        return error_set(err, ERROR_BAD_VALUE,
                         "No usable revocation list in PEM form in '%.200s': %s", crl_file,
                         last_reason());
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

/* With SSL_OP_NO_RENEGOTIATION OpenSSL answers each request for a renegotiation with a warning and
 * continues, without a limit. */
static void note_alert(const SSL *ssl, int where, int value)
{
    if (where == SSL_CB_WRITE_ALERT && (value & 0xff) == SSL_AD_NO_RENEGOTIATION)
        (void)SSL_set_app_data((SSL *)(uintptr_t)ssl, &renegotiates);
}

bool tls_peer_renegotiates(const struct ssl_st *ssl)
{
    return SSL_get_app_data(ssl) != NULL;
}

/* The settings of both sides. A stream that ends without close_notify counts as ended: messages
 * carry their length, so a cut is noticed anyway. */
static struct tls_context *context_new(const SSL_METHOD *method, struct error *err)
{
    struct tls_context *context = memory_zalloc(sizeof *context);
    if (context == NULL) {
        error_no_memory(err, "a TLS context");
        return NULL;
    }
    ERR_clear_error();
    context->ssl_ctx = SSL_CTX_new(method);
    if (context->ssl_ctx == NULL) {
        error_set(err, ERROR_INTERNAL, "OpenSSL cannot create a TLS context: %s", last_reason());
        memory_free(context);
        return NULL;
    }
    atomic_init(&context->references, 1);
    SSL_CTX_set_mode(context->ssl_ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                           SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context->ssl_ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                              SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_info_callback(context->ssl_ctx, note_alert);
    /* One read(2) per record instead of two. */
    SSL_CTX_set_read_ahead(context->ssl_ctx, 1);
    (void)SSL_CTX_set_min_proto_version(context->ssl_ctx, TLS1_2_VERSION);
    return context;
}

static bool set_server(struct tls_context *context, const struct tls_server_options *options,
                       struct error *err)
{
    static const unsigned char session_context[] = "mongosluice";
    SSL_CTX *ctx = context->ssl_ctx;
    if (options->client_certificates != TLS_CLIENT_CERTIFICATES_NONE && options->ca_file == NULL)
        return error_set(err, ERROR_BAD_VALUE,
                         "The proxy requests client certificates, but no CA file names their "
                         "authorities; set a CA file");
    if (options->min_version == TLS_VERSION_1_3)
        (void)SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    /* Tickets keep resumable sessions at the client; the proxy holds none. */
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1);
    /* A second ticket takes a twentieth of the handshake's time. */
    (void)SSL_CTX_set_num_tickets(ctx, 1);
    (void)SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    const char *key_file =
        options->key_file != NULL ? options->key_file : options->certificate_file;
    if (!load_identity(ctx, options->certificate_file, key_file, options->key_password, err))
        return false;
    if (options->client_certificates == TLS_CLIENT_CERTIFICATES_NONE)
        return true;
    if (!load_authorities(ctx, options->ca_file, err))
        return false;
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(options->ca_file));
    SSL_CTX_set_verify(ctx,
                       options->client_certificates == TLS_CLIENT_CERTIFICATES_REQUIRED
                           ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                           : SSL_VERIFY_PEER,
                       NULL);
    return true;
}

struct tls_context *tls_context_new_server(const struct tls_server_options *options,
                                           struct error *err)
{
    struct tls_context *context = context_new(TLS_server_method(), err);
    if (context != NULL && !set_server(context, options, err)) {
        tls_context_release(context);
        return NULL;
    }
    return context;
}

static bool set_client(struct tls_context *context, const struct tls_client_options *options,
                       struct error *err)
{
    SSL_CTX *ctx = context->ssl_ctx;
    context->checks_hostname =
        !options->allow_invalid_hostnames && !options->allow_invalid_certificates;
    SSL_CTX_set_verify(ctx, options->allow_invalid_certificates ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       NULL);
    if (options->ca_file != NULL) {
        if (!load_authorities(ctx, options->ca_file, err))
            return false;
    } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return error_set(err, ERROR_INTERNAL,
                         "Cannot load the system's certificate authorities: %s; set a CA file "
                         "with tlsCAFile",
                         last_reason());
    }
    if (options->crl_file != NULL && !load_crl(ctx, options->crl_file, err))
        return false;
    if (options->certificate_key_file != NULL)
        return load_identity(ctx, options->certificate_key_file, options->certificate_key_file,
                             options->key_password, err);
    tls_resume_enable(ctx); /* not with a certificate: the server reads users in it */
    return true;
}

struct tls_context *tls_context_new_client(const struct tls_client_options *options,
                                           struct error *err)
{
    struct tls_context *context = context_new(TLS_client_method(), err);
    if (context != NULL && !set_client(context, options, err)) {
        tls_context_release(context);
        return NULL;
    }
    return context;
}

struct tls_context *tls_context_retain(struct tls_context *context)
{
    if (context != NULL)
        atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (context == NULL ||
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(context->ssl_ctx);
    memory_free(context);
}

struct ssl_ctx_st *tls_context_ssl_ctx(const struct tls_context *context)
{
    return context->ssl_ctx;
}

bool tls_context_has_certificate(const struct tls_context *context)
{
    return SSL_CTX_get0_certificate(context->ssl_ctx) != NULL;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts = {0};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static void narrow(const X509 *certificate, struct tls_validity *out)
{
    int64_t from_s = seconds_of(X509_get0_notBefore(certificate));
    int64_t until_s = seconds_of(X509_get0_notAfter(certificate));
    out->from_s = from_s > out->from_s ? from_s : out->from_s;
    out->until_s = until_s < out->until_s ? until_s : out->until_s;
}

bool tls_context_validity(const struct tls_context *context, struct tls_validity *out)
{
    STACK_OF(X509) *chain = NULL;
    const X509 *own = context == NULL ? NULL : SSL_CTX_get0_certificate(context->ssl_ctx);
    if (own == NULL)
        return false;
    *out = (struct tls_validity){.from_s = INT64_MIN, .until_s = INT64_MAX};
    narrow(own, out);
    if (SSL_CTX_get0_chain_certs(context->ssl_ctx, &chain) == 1)
        for (int i = 0; i < sk_X509_num(chain); i++)
            narrow(sk_X509_value(chain, i), out);
    return true;
}

bool tls_context_checks_hostname(const struct tls_context *context)
{
    return context->checks_hostname;
}

static bool is_ip_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

bool tls_expect_host(SSL *ssl, const char *host, bool check)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (is_ip_address(host))
        return !check || X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 &&
           (!check || X509_VERIFY_PARAM_set1_host(param, host, 0) == 1);
}
