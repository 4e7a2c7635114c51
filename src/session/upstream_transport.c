#include "session/upstream_transport.h"

#include <stdio.h>

#include "net/connector.h"

bool upstream_transport_init(struct transport *transport, int fd, const char *server,
                             const struct tls_context *tls, struct error *err)
{
    char host[256];
    char port[8];
    if (tls == NULL) {
        transport_init_plain(transport, fd);
        return true;
    }
    if (!connector_split_address(server, host, port))
        (void)snprintf(host, sizeof host, "localhost");
    return transport_init_tls_client(transport, fd, tls, host, err);
}
