#include "net/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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

/* An IPv4 client of a dual-stack socket is shown as what it is. */
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

void address_describe_peer(int fd, char out[ADDRESS_TEXT_BYTES])
{
    union socket_address address = {0};
    socklen_t len = sizeof address;
    char port[8];
    char host[ADDRESS_TEXT_BYTES];
    if (getpeername(fd, &address.any, &len) != 0 || !describe(&address, host, port))
        (void)snprintf(out, ADDRESS_TEXT_BYTES, "unknown");
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

uint64_t address_peer_key(int fd)
{
    union socket_address address = {0};
    socklen_t len = sizeof address;
    uint64_t half[2];
    if (getpeername(fd, &address.any, &len) != 0)
        return 0;
    unmap_v4(&address);
    if (address.any.sa_family == AF_INET)
        return ntohl(address.v4.sin_addr.s_addr);
    memcpy(half, &address.v6.sin6_addr, sizeof half);
    return half[0] ^ half[1];
}
