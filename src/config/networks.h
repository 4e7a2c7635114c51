/* The networks of option listen_proxy_protocol: "10.0.0.0/8, fd00::/8". Any thread. */
#ifndef SLUICE_CONFIG_NETWORKS_H
#define SLUICE_CONFIG_NETWORKS_H

#include <stdbool.h>
#include <stdint.h>

/* Each network is an address, or an address with the number of its fixed bits (CIDR), separated by
 * commas. The bits behind the fixed ones must be zero. "" has no network. */
bool networks_are_valid(const char *text);

/* `host` holds 4 bytes of an IPv4 address (AF_INET) or 16 of an IPv6 address (AF_INET6), in network
 * byte order. False for other families. `text` must be valid. */
bool networks_contain(const char *text, int family, const uint8_t *host);

#endif
