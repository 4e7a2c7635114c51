/* Operations on sixteen bytes at once, with the vectors that GCC and clang offer on every machine:
 * SSE2 on x86-64, NEON on ARM. Without SSE2, words replace missing vector operations. */
#ifndef SLUICE_BSON_BLOCK_H
#define SLUICE_BSON_BLOCK_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK_BYTES 16
#define BLOCK_BITS  0xFFFFU /* a bit for each byte */

typedef uint8_t block16 __attribute__((vector_size(BLOCK_BYTES)));

static inline block16 block_load(const uint8_t *p)
{
    block16 b;
    memcpy(&b, p, sizeof b);
    return b;
}

/* Each byte from low to low + span becomes all ones, every other byte zero. */
static inline block16 block_in_range(block16 b, block16 low, block16 span)
{
    return (block16)(b - low <= span);
}

/* The high bits of the bytes, the first byte's bit lowest, computed with words. */
static inline uint32_t block_high_bits_by_words(block16 b)
{
    uint64_t words[2];
    uint32_t bits = 0;
    memcpy(words, &b, sizeof words);
    for (unsigned i = 0; i < 2; i++) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        words[i] = __builtin_bswap64(words[i]);
#endif
        uint64_t ones = words[i] >> 7 & 0x0101010101010101U;
        /* shifts each byte's bit to a separate place in the uppermost byte */
        bits |= (uint32_t)(ones * 0x0102040810204080U >> 56) << 8 * i;
    }
    return bits;
}

static inline uint32_t block_high_bits(block16 b)
{
#ifdef __SSE2__
    return (uint32_t)_mm_movemask_epi8((__m128i)b);
#else
    return block_high_bits_by_words(b);
#endif
}

/* One bit for each byte that is equal in both. */
static inline uint32_t block_equal_bits(block16 a, block16 b)
{
    return block_high_bits((block16)(a == b));
}

#endif
