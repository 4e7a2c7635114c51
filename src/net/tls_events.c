#include "net/tls_events.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

/* A peer may close without close_notify: HTTP knows its lengths. */
static struct bufferevent *make(SSL *ssl, struct event_base *base, enum bufferevent_ssl_state state)
{
    /* not BEV_OPT_CLOSE_ON_FREE: evhttp has closed the descriptor by then, and its number may be in
     * use again */
    struct bufferevent *events = bufferevent_openssl_socket_new(base, -1, ssl, state, 0);
    if (events == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    /* libevent waits for the descriptor, and bytes that OpenSSL had read ahead would wait too */
    SSL_set_read_ahead(ssl, 0);
    bufferevent_openssl_set_allow_dirty_shutdown(events, 1);
    bufferevent_incref(events);
    return events;
}

struct bufferevent *tls_events_new_server(const struct tls_context *context,
                                          struct event_base *base)
{
    SSL *ssl = SSL_new(tls_context_ssl_ctx(context));
    return ssl == NULL ? NULL : make(ssl, base, BUFFEREVENT_SSL_ACCEPTING);
}

struct bufferevent *tls_events_new_client(const struct tls_context *context,
                                          struct event_base *base, const char *host)
{
    SSL *ssl = SSL_new(tls_context_ssl_ctx(context));
    if (ssl == NULL || !tls_expect_host(ssl, host, tls_context_checks_hostname(context))) {
        SSL_free(ssl);
        return NULL;
    }
    return make(ssl, base, BUFFEREVENT_SSL_CONNECTING);
}

void tls_events_free(struct bufferevent *events)
{
    SSL *ssl = bufferevent_openssl_get_ssl(events);
    (void)bufferevent_decref(events);
    SSL_free(ssl);
}

void tls_events_describe_failure(struct bufferevent *events, char *out, size_t size)
{
    unsigned long failure = bufferevent_get_openssl_error(events);
    const char *reason = failure == 0 ? NULL : ERR_reason_error_string(failure);
    (void)snprintf(out, size, "%s", reason == NULL ? "" : reason);
}
