/* Comparisons of sixteen bytes, and the form of them for machines without SSE2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bson/block.h"

static void test_bits(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= BLOCK_BITS; bits++) {
        uint8_t bytes[BLOCK_BYTES];
        for (unsigned i = 0; i < BLOCK_BYTES; i++)
            bytes[i] = (uint8_t)((bits >> i & 1) << 7 | (bits * 31 + i) % 128);
        assert_int_equal(block_high_bits(block_load(bytes)), bits);
        assert_int_equal(block_high_bits_by_words(block_load(bytes)), bits);
    }
}

static void test_ranges(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t bytes[BLOCK_BYTES];
        uint8_t low[BLOCK_BYTES];
        uint8_t span[BLOCK_BYTES];
        uint32_t expected = 0;
        for (unsigned i = 0; i < BLOCK_BYTES; i++) {
            bytes[i] = (uint8_t)byte;
            low[i] = (uint8_t)(i * 17);
            span[i] = (uint8_t)((255 - low[i]) * i / 15);
            expected |= (uint32_t)(byte >= low[i] && byte - low[i] <= span[i]) << i;
        }
        block16 in = block_in_range(block_load(bytes), block_load(low), block_load(span));
        assert_int_equal(block_high_bits(in), expected);
    }
}

static void test_equal(void **state)
{
    (void)state;
    static const uint8_t text[] = "name\0age\0city\0xyz";
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        uint8_t other[BLOCK_BYTES];
        memcpy(other, text, sizeof other);
        other[i] ^= 0x80;
        assert_int_equal(block_equal_bits(block_load(text), block_load(other)),
                         BLOCK_BITS ^ 1U << i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
