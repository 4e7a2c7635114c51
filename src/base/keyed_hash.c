#include "base/keyed_hash.h"

#include "base/bytes.h"

static struct {
    uint64_t low, high;
} hash_key;

void keyed_hash_set_key(const uint8_t key[KEYED_HASH_KEY_BYTES])
{
    hash_key.low = bytes_load_u64(key);
    hash_key.high = bytes_load_u64(key + 8);
}

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void round_once(struct state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static inline struct state begin(void)
{
    return (struct state){hash_key.low ^ 0x736F6D6570736575U, hash_key.high ^ 0x646F72616E646F6DU,
                          hash_key.low ^ 0x6C7967656E657261U, hash_key.high ^ 0x7465646279746573U};
}

static inline void take(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    round_once(s);
    s->v0 ^= word;
}

static inline uint64_t end(struct state *s)
{
    s->v2 ^= 0xFF;
    round_once(s);
    round_once(s);
    round_once(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* The last len % 8 bytes in little-endian order. The loads overlap, so no loop is needed. */
static inline uint64_t tail(const uint8_t *at, size_t len)
{
    if (len >= 4)
        return bytes_load_u32(at) | (uint64_t)bytes_load_u32(at + len - 4) << (8 * (len - 4));
    if (len == 0)
        return 0;
    return (uint64_t)at[0] | (uint64_t)at[len / 2] << (8 * (len / 2)) |
           (uint64_t)at[len - 1] << (8 * (len - 1));
}

uint64_t keyed_hash(const void *data, size_t len)
{
    struct state s = begin();
    const uint8_t *at = data;
    size_t left = len;
    for (; left >= 8; at += 8, left -= 8)
        take(&s, bytes_load_u64(at));
    take(&s, (uint64_t)len << 56 | tail(at, left));
    return end(&s);
}

uint64_t keyed_hash_pair(uint64_t a, uint64_t b)
{
    struct state s = begin();
    take(&s, a);
    take(&s, b);
    take(&s, (uint64_t)16 << 56);
    return end(&s);
}
