#include "net/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

static bool is_internet(const union socket_address *address)
{
    return address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6;
}

/* Shows an IPv4 client of a dual-stack socket as IPv4. */
static void unmap_v4(union socket_address *address)
{
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = address->v6.sin6_port};
    memcpy(&v4.sin_addr, &address->v6.sin6_addr.s6_addr[12], 4);
    address->v4 = v4;
}

static bool describe(union socket_address *address, char host[ADDRESS_TEXT_BYTES], char port[8])
{
    char plain[NI_MAXHOST];
    unmap_v4(address);
    if (!is_internet(address) || getnameinfo(&address->any, sizeof *address, plain, sizeof plain,
                                             port, 8, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    bool v6 = address->any.sa_family == AF_INET6;
    (void)snprintf(host, ADDRESS_TEXT_BYTES, v6 ? "[%.64s]" : "%.64s", plain);
    return true;
}

static struct address_peer peer_from(union socket_address address)
{
    struct address_peer peer = {.family = AF_UNSPEC};
    unmap_v4(&address);
    if (is_internet(&address) || address.any.sa_family == AF_UNIX)
        peer.family = address.any.sa_family;
    if (peer.family == AF_INET) {
        peer.port = address.v4.sin_port;
        memcpy(peer.host, &address.v4.sin_addr, sizeof address.v4.sin_addr);
    } else if (peer.family == AF_INET6) {
        peer.port = address.v6.sin6_port;
        peer.scope = address.v6.sin6_scope_id;
        memcpy(peer.host, &address.v6.sin6_addr, sizeof address.v6.sin6_addr);
    }
    return peer;
}

struct address_peer address_peer_of(int fd)
{
    union socket_address address = {0};
    socklen_t len = sizeof address;
    bool known = getpeername(fd, &address.any, &len) == 0;
    return known ? peer_from(address) : (struct address_peer){.family = AF_UNSPEC};
}

struct address_peer address_local_of(int fd)
{
    union socket_address address = {0};
    socklen_t len = sizeof address;
    bool known = getsockname(fd, &address.any, &len) == 0;
    return known ? peer_from(address) : (struct address_peer){.family = AF_UNSPEC};
}

void address_describe_peer(const struct address_peer *peer, char out[ADDRESS_TEXT_BYTES])
{
    union socket_address address = {0};
    char port[8];
    char host[ADDRESS_TEXT_BYTES];
    address.any.sa_family = peer->family;
    if (peer->family == AF_INET) {
        address.v4.sin_port = peer->port;
        memcpy(&address.v4.sin_addr, peer->host, sizeof address.v4.sin_addr);
    } else {
        address.v6.sin6_port = peer->port;
        address.v6.sin6_scope_id = peer->scope;
        memcpy(&address.v6.sin6_addr, peer->host, sizeof address.v6.sin6_addr);
    }
    if (!describe(&address, host, port))
        (void)snprintf(out, ADDRESS_TEXT_BYTES,
                       peer->family == AF_UNIX ? "unix socket" : "unknown");
    else
        (void)snprintf(out, ADDRESS_TEXT_BYTES, "%.70s:%.7s", host, port);
}

void address_describe_local_host(int fd, char out[ADDRESS_TEXT_BYTES])
{
    union socket_address address = {0};
    socklen_t len = sizeof address;
    char port[8];
    if (getsockname(fd, &address.any, &len) != 0 || !describe(&address, out, port))
        (void)snprintf(out, ADDRESS_TEXT_BYTES, "localhost");
}

uint64_t address_peer_key(const struct address_peer *peer)
{
    uint64_t half[2];
    uint32_t v4 = 0;
    memcpy(&v4, peer->host, sizeof v4);
    memcpy(half, peer->host, sizeof half);
    if (peer->family == AF_UNIX)
        return UINT64_MAX;
    return peer->family == AF_INET ? ntohl(v4) : half[0] ^ half[1];
}
