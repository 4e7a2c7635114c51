/* TLS for libevent's HTTP (the admin endpoint and its client), with the same contexts. */
#ifndef SLUICE_NET_TLS_EVENTS_H
#define SLUICE_NET_TLS_EVENTS_H

#include <stddef.h>

#include "net/tls.h"

struct bufferevent;
struct event_base;

/* Has no descriptor yet: evhttp sets and closes it. Holds one reference for evhttp, which drops it
 * with the connection, and one for the caller, who must call tls_events_free after that. NULL
 * without memory. */
struct bufferevent *tls_events_new_server(const struct tls_context *context,
                                          struct event_base *base);
struct bufferevent *tls_events_new_client(const struct tls_context *context,
                                          struct event_base *base, const char *host);
/* Drops the caller's reference and frees the TLS state. */
void tls_events_free(struct bufferevent *events);
/* The reason of a failed handshake; "" for other failures. */
void tls_events_describe_failure(struct bufferevent *events, char *out, size_t size);

#endif
