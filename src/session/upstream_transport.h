/* The transport of a new connection to a server: plain or TLS. */
#ifndef SLUICE_SESSION_UPSTREAM_TRANSPORT_H
#define SLUICE_SESSION_UPSTREAM_TRANSPORT_H

#include "net/transport.h"

/* `server` is "host:port" or a socket's path. Its host name alone is used for SNI and the check of
 * the certificate. `tls` may be NULL. Takes over the descriptor, also on failure. */
bool upstream_transport_init(struct transport *transport, int fd, const char *server,
                             const struct tls_context *tls, struct error *err);

#endif
