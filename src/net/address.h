/* The two ends of a connected socket, as text for logs and hello. */
#ifndef SLUICE_NET_ADDRESS_H
#define SLUICE_NET_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_BYTES = 80 };

/* The peer of a socket. It is kept because the kernel forgets it once the peer is gone. */
struct address_peer {
    sa_family_t family; /* AF_UNSPEC: unknown (not connected); for AF_UNIX nothing else is set */
    uint16_t port;      /* in network byte order, like all following fields */
    uint32_t scope;     /* of a link-local IPv6 address */
    uint8_t host[16];   /* IPv4: the first 4 bytes */
};

struct address_peer address_peer_of(int fd);
/* The local end instead: the address that the peer dialled. */
struct address_peer address_local_of(int fd);

/* "127.0.0.1:51234", "[::1]:51234", "unix socket", or "unknown". */
void address_describe_peer(const struct address_peer *peer, char out[ADDRESS_TEXT_BYTES]);

/* The local address that the peer dialled, without a port, IPv6 in brackets; "localhost" if
 * unknown. */
void address_describe_local_host(int fd, char out[ADDRESS_TEXT_BYTES]);

/* Equal for all connections from one machine; 0 if unknown. */
uint64_t address_peer_key(const struct address_peer *peer);

#endif
