/* TLS for libevent's own HTTP (the admin endpoint and its client), over the same contexts. */
#ifndef SLUICE_NET_TLS_EVENTS_H
#define SLUICE_NET_TLS_EVENTS_H

#include <stddef.h>

#include "net/tls.h"

struct bufferevent;
struct event_base;

/* Without a descriptor yet: evhttp gives it one, and closes that itself. With one reference for
 * evhttp, which it drops with the connection, and one for the caller: tls_events_free is due after
 * that. NULL when memory is out. */
struct bufferevent *tls_events_new_server(const struct tls_context *context,
                                          struct event_base *base);
struct bufferevent *tls_events_new_client(const struct tls_context *context,
                                          struct event_base *base, const char *host);
/* Drops the caller's reference, and frees the TLS state. */
void tls_events_free(struct bufferevent *events);
/* Why its handshake failed; "" for another reason. */
void tls_events_describe_failure(struct bufferevent *events, char *out, size_t size);

#endif
