/* Random numbers: xoroshiro128+, seeded by splitmix64. */
#include "world.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

struct stream stream_make(uint64_t seed, const char *name, uint64_t number)
{
    uint64_t state = seed;
    uint64_t hash = splitmix(&state);
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001B3U;
    state = hash ^ (number + 1) * 0xD6E8FEB86659FD93U;
    struct stream stream;
    stream.state[0] = splitmix(&state);
    stream.state[1] = splitmix(&state) | 1;
    return stream;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

uint64_t stream_next(struct stream *stream)
{
    uint64_t a = stream->state[0];
    uint64_t b = stream->state[1];
    uint64_t result = a + b;
    b ^= a;
    stream->state[0] = rotate(a, 24) ^ b ^ b << 16;
    stream->state[1] = rotate(b, 37);
    return result;
}

uint32_t stream_below(struct stream *stream, uint32_t below)
{
    return (uint32_t)(((stream_next(stream) >> 32) * below) >> 32);
}

bool stream_chance(struct stream *stream, unsigned per_mille)
{
    return stream_below(stream, 1000) < per_mille;
}

int64_t stream_skewed(struct stream *stream, int64_t from, int64_t to)
{
    uint64_t span = (uint64_t)(to - from) + 1;
    unsigned bits = 0;
    while (bits < 63 && span >> bits > 1)
        bits++;
    uint64_t cap = UINT64_C(1) << stream_below(stream, bits + 2);
    if (cap > span || cap == 0)
        cap = span;
    return from + (int64_t)((stream_next(stream) >> 1) % cap);
}
