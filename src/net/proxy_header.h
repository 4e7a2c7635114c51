/* The header of the PROXY protocol, version 2, which a load balancer sends before the bytes of a
 * connection: it names the client behind it. Source: HAProxy's proxy-protocol.txt, section 2.2.
 * Pure. */
#ifndef SLUICE_NET_PROXY_HEADER_H
#define SLUICE_NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "net/address.h"

enum {
    PROXY_HEADER_START_BYTES = 16, /* enough to know its length */
    PROXY_HEADER_MAX_BYTES = 4096, /* with its extensions (TLVs); longer ones are refused */
    PROXY_HEADER_WRITTEN_BYTES = PROXY_HEADER_START_BYTES + 36
};

enum proxy_header_step {
    PROXY_HEADER_READ,  /* whole and valid */
    PROXY_HEADER_MORE,  /* *bytes are needed */
    PROXY_HEADER_BROKEN /* err names the reason */
};

struct proxy_header {
    size_t bytes;             /* its length, and with MORE the bytes that are needed */
    bool names_client;        /* false: LOCAL, or no TCP over IP */
    struct address_peer peer; /* with names_client; family AF_INET or AF_INET6 */
};

/* Reads a header at the beginning of `data`. */
enum proxy_header_step proxy_header_read(const uint8_t *data, size_t len, struct proxy_header *out,
                                         struct error *err);

/* Writes a header that names `from` as the client and `to` as the address that it dialled; a LOCAL
 * one if one of them is no internet address. Returns its length. */
size_t proxy_header_write(const struct address_peer *from, const struct address_peer *to,
                          uint8_t out[PROXY_HEADER_WRITTEN_BYTES]);

#endif
