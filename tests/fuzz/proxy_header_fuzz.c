/* The first bytes of a connection from a load balancer. A header asks for more bytes only until it
 * is whole, and means the same whatever follows. */
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* The client's address beside one of that family: an IPv4 address is mapped, or nobody is named. */
static void write_beside(const struct address_peer *peer, sa_family_t family)
{
    const struct address_peer other = {.family = family};
    struct proxy_header again;
    struct error err;
    uint8_t out[PROXY_HEADER_WRITTEN_BYTES];
    size_t len = proxy_header_write(peer, &other, out);
    check(proxy_header_read(out, len, &again, &err) == PROXY_HEADER_READ && again.bytes == len);
    check(again.names_client == (family == AF_INET6));
    check(!again.names_client || (again.peer.family == AF_INET6 && again.peer.port == peer->port));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header;
    struct proxy_header again;
    struct error err = {0};
    uint8_t out[PROXY_HEADER_WRITTEN_BYTES];
    switch (proxy_header_read(data, size, &header, &err)) {
    case PROXY_HEADER_MORE:
        check(header.bytes > size && header.bytes <= PROXY_HEADER_MAX_BYTES);
        break;
    case PROXY_HEADER_BROKEN:
        check(err.message[0] != '\0');
        break;
    case PROXY_HEADER_READ:
        check(header.bytes <= size);
        check(proxy_header_read(data, header.bytes, &again, &err) == PROXY_HEADER_READ);
        check(memcmp(&header, &again, sizeof header) == 0);
        if (header.names_client) {
            size_t len = proxy_header_write(&header.peer, &header.peer, out);
            check(proxy_header_read(out, len, &again, &err) == PROXY_HEADER_READ);
            check(memcmp(&header.peer, &again.peer, sizeof again.peer) == 0);
            write_beside(&header.peer, AF_INET6);
            write_beside(&header.peer, AF_UNIX);
        }
        break;
    }
    return 0;
}
