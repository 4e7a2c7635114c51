/* TLS for libevent's own HTTP (the admin endpoint and its client), over the same contexts. */
#ifndef SLUICE_NET_TLS_EVENTS_H
#define SLUICE_NET_TLS_EVENTS_H

#include <stddef.h>

#include "net/tls.h"

struct bufferevent;
struct event_base;

/* Without a descriptor yet; the event's owner gives it one. Freeing it closes both. NULL when
 * memory is out. */
struct bufferevent *tls_events_new_server(const struct tls_context *context,
                                          struct event_base *base);
struct bufferevent *tls_events_new_client(const struct tls_context *context,
                                          struct event_base *base, const char *host);
/* Why its handshake failed; "" for another reason. */
void tls_events_describe_failure(struct bufferevent *events, char *out, size_t size);

#endif
