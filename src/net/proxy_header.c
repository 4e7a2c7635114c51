#include "net/proxy_header.h"

#include <string.h>

/* The parts of the start: signature, version and command, family and protocol, length. */
enum { SIGNATURE_BYTES = 12, VERSION_AT = 12, FAMILY_AT = 13, LENGTH_AT = 14 };
enum { VERSION = 0x20, COMMAND_LOCAL = 0x0, COMMAND_PROXY = 0x1 };
enum { FAMILY_UNSPEC = 0x0, FAMILY_IPV4 = 0x1, FAMILY_IPV6 = 0x2 };
enum { PROTOCOL_STREAM = 0x1 };
enum { IPV4_BYTES = 12, IPV6_BYTES = 36 };

static const uint8_t signature[SIGNATURE_BYTES] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                   0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

static enum proxy_header_step broken(struct error *err, const char *reason)
{
    (void)error_set(err, ERROR_PROTOCOL,
                    "the connection must begin with a PROXY protocol header of version 2, because "
                    "option listen_proxy_protocol names its network, but %s",
                    reason);
    return PROXY_HEADER_BROKEN;
}

/* The length of both addresses with their ports; 0: they name nobody. */
static size_t address_bytes(uint8_t family)
{
    switch (family) {
    case FAMILY_IPV4 << 4 | PROTOCOL_STREAM:
        return IPV4_BYTES;
    case FAMILY_IPV6 << 4 | PROTOCOL_STREAM:
        return IPV6_BYTES;
    default:
        return 0;
    }
}

static void read_peer(uint8_t family, const uint8_t *addresses, struct address_peer *peer)
{
    bool v6 = family >> 4 == FAMILY_IPV6;
    size_t host = v6 ? 16 : 4;
    *peer = (struct address_peer){.family = v6 ? AF_INET6 : AF_INET};
    memcpy(peer->host, addresses, host);
    memcpy(&peer->port, addresses + 2 * host, sizeof peer->port);
}

enum proxy_header_step proxy_header_read(const uint8_t *data, size_t len, struct proxy_header *out,
                                         struct error *err)
{
    *out = (struct proxy_header){.bytes = PROXY_HEADER_START_BYTES};
    size_t common = len < SIGNATURE_BYTES ? len : SIGNATURE_BYTES;
    if (memcmp(data, signature, common) != 0)
        return broken(err, "it begins otherwise");
    if (len < PROXY_HEADER_START_BYTES)
        return PROXY_HEADER_MORE;
    uint8_t command = data[VERSION_AT] & 0x0F;
    uint8_t family = data[FAMILY_AT];
    size_t rest = (size_t)data[LENGTH_AT] << 8 | data[LENGTH_AT + 1];
    if ((data[VERSION_AT] & 0xF0) != VERSION || command > COMMAND_PROXY)
        return broken(err, "its version or command is unknown");
    if (rest > PROXY_HEADER_MAX_BYTES - PROXY_HEADER_START_BYTES)
        return broken(err, "the header is too long");
    if (command == COMMAND_PROXY && rest < address_bytes(family))
        return broken(err, "the header is too short for its addresses");
    out->bytes += rest;
    if (len < out->bytes)
        return PROXY_HEADER_MORE;
    if (command == COMMAND_LOCAL || address_bytes(family) == 0)
        return PROXY_HEADER_READ;
    out->names_client = true;
    read_peer(family, data + PROXY_HEADER_START_BYTES, &out->peer);
    return PROXY_HEADER_READ;
}

static bool is_internet(const struct address_peer *peer)
{
    return peer->family == AF_INET || peer->family == AF_INET6;
}

/* An IPv4 address beside an IPv6 one is written as ::ffff:A.B.C.D. */
static void write_host(const struct address_peer *peer, bool v4, uint8_t *out)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    if (v4 || peer->family == AF_INET6) {
        memcpy(out, peer->host, v4 ? 4 : 16);
        return;
    }
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + sizeof mapped, peer->host, 4);
}

size_t proxy_header_write(const struct address_peer *from, const struct address_peer *to,
                          uint8_t out[PROXY_HEADER_WRITTEN_BYTES])
{
    bool named = is_internet(from) && is_internet(to);
    bool v4 = from->family == AF_INET && to->family == AF_INET;
    size_t host = v4 ? 4 : 16;
    size_t rest = named ? 2 * host + 4 : 0;
    uint8_t *at = out + PROXY_HEADER_START_BYTES;
    memcpy(out, signature, sizeof signature);
    out[VERSION_AT] = (uint8_t)(VERSION | (named ? COMMAND_PROXY : COMMAND_LOCAL));
    out[FAMILY_AT] = (uint8_t)(FAMILY_UNSPEC << 4);
    out[LENGTH_AT] = 0;
    out[LENGTH_AT + 1] = (uint8_t)rest;
    if (!named)
        return PROXY_HEADER_START_BYTES;
    out[FAMILY_AT] = (uint8_t)((host == 16 ? FAMILY_IPV6 : FAMILY_IPV4) << 4 | PROTOCOL_STREAM);
    write_host(from, v4, at);
    write_host(to, v4, at + host);
    memcpy(at + 2 * host, &from->port, 2);
    memcpy(at + 2 * host + 2, &to->port, 2);
    return PROXY_HEADER_START_BYTES + rest;
}
