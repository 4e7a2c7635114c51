#include "config/networks.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

struct network {
    int family;
    unsigned bits;
    uint8_t host[16];
};

enum { NETWORK_TEXT_BYTES = 64 };

static bool read_bits(const char *text, unsigned max, unsigned *bits)
{
    size_t len = strlen(text);
    if (len < 1 || len > 3 || text[strspn(text, "0123456789")] != '\0')
        return false;
    *bits = 0;
    for (size_t i = 0; i < len; i++)
        *bits = *bits * 10 + (unsigned)(text[i] - '0');
    return *bits <= max;
}

static bool is_bit_set(const uint8_t *host, unsigned bit)
{
    return (host[bit / 8] & (0x80U >> bit % 8)) != 0;
}

static bool read_network(const char *text, size_t len, struct network *network)
{
    char copy[NETWORK_TEXT_BYTES];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    *network = (struct network){.family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET};
    unsigned all = network->family == AF_INET6 ? 128 : 32;
    network->bits = all;
    if (inet_pton(network->family, copy, network->host) != 1 ||
        (slash != NULL && !read_bits(slash + 1, all, &network->bits)))
        return false;
    for (unsigned bit = network->bits; bit < all; bit++)
        if (is_bit_set(network->host, bit))
            return false;
    return true;
}

/* Reads the next network at *pos. False at the end or (`broken`) at an invalid one. */
static bool next_network(const char **pos, struct network *network, bool *broken)
{
    *pos += strspn(*pos, " ");
    size_t len = strcspn(*pos, ",");
    const char *begin = *pos;
    if (*begin == '\0')
        return false;
    *pos += len;
    if (**pos == ',')
        (*pos)++;
    while (len > 0 && begin[len - 1] == ' ')
        len--;
    *broken = !read_network(begin, len, network);
    return !*broken;
}

bool networks_are_valid(const char *text)
{
    struct network network;
    bool broken = false;
    while (next_network(&text, &network, &broken))
        ;
    return !broken;
}

static bool contains(const struct network *network, int family, const uint8_t *host)
{
    if (network->family != family)
        return false;
    for (unsigned bit = 0; bit < network->bits; bit++)
        if (is_bit_set(network->host, bit) != is_bit_set(host, bit))
            return false;
    return true;
}

bool networks_contain(const char *text, int family, const uint8_t *host)
{
    struct network network;
    bool broken = false;
    while (next_network(&text, &network, &broken))
        if (contains(&network, family, host))
            return true;
    return false;
}
