/* Who is at the two ends of a connected socket, as text for logs and for hello. */
#ifndef SLUICE_NET_ADDRESS_H
#define SLUICE_NET_ADDRESS_H

#include <stdint.h>

enum { ADDRESS_TEXT_BYTES = 80 };

/* "127.0.0.1:51234", "[::1]:51234", or "unknown" (not connected, or a Unix socket). */
void address_describe_peer(int fd, char out[ADDRESS_TEXT_BYTES]);

/* The address that the peer dialled, without port, IPv6 in brackets; "localhost" when unknown. */
void address_describe_local_host(int fd, char out[ADDRESS_TEXT_BYTES]);

/* The same for all connections from one machine; 0 when unknown. */
uint64_t address_peer_key(int fd);

#endif
