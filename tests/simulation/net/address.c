/* net/address.h: host "c3" has the address 10.99.0.3, and its port is the connection's number. */
#include "net/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "process.h"

static struct address_peer of_host(const char *host, unsigned port)
{
    return (struct address_peer){
        .family = AF_INET,
        .port = htons((uint16_t)port),
        .host = {10, (uint8_t)host[0], 0, (uint8_t)(host[0] != 0 ? atoi(host + 1) : 0)}};
}

struct address_peer address_peer_of(int fd)
{
    const struct descriptor *descriptor = descriptor_find(fd);
    return descriptor == NULL ? (struct address_peer){.family = AF_UNSPEC}
                              : of_host(descriptor->peer, descriptor->connection);
}

struct address_peer address_local_of(int fd)
{
    (void)fd;
    return of_host(the_process->host, 27017);
}

void address_describe_peer(const struct address_peer *peer, char out[ADDRESS_TEXT_BYTES])
{
    if (peer->family == AF_INET)
        (void)snprintf(out, ADDRESS_TEXT_BYTES, "%u.%u.%u.%u:%u", peer->host[0], peer->host[1],
                       peer->host[2], peer->host[3], ntohs(peer->port));
    else
        (void)snprintf(out, ADDRESS_TEXT_BYTES, "unknown");
}

void address_describe_local_host(int fd, char out[ADDRESS_TEXT_BYTES])
{
    (void)fd;
    (void)snprintf(out, ADDRESS_TEXT_BYTES, "%s", the_process->host);
}

uint64_t address_peer_key(const struct address_peer *peer)
{
    return peer->family == AF_INET ? (uint64_t)peer->host[1] << 8 | peer->host[3] : 0;
}
