/* uniqueItems over items that were chosen to be slow. */
#include "../cmocka_all.h"

#include <bson/bson.h>
#include <stdio.h>
#include <string.h>

#include "base/keyed_hash.h"
#include "base/memory.h"
#include "schema/unique.h"

enum { FLOOD = 6250 };

/* --- a hash without a key ----------------------------------------------------------------------
 */

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product =
        (unsigned __int128)(a ^ 0x2D358DCCAA6C78A5U) * (b ^ 0x8BB84B93962EACC9U);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_word(uint64_t hash, uint64_t word)
{
    return fold(hash ^ word, 0x9FB21C651E98DF25U);
}

/* 16 bytes with that hash before the length's and the last step, none of them 0. */
static void make_colliding_text(uint64_t number, char out[17])
{
    const uint64_t wanted = 0x4141414141414141U;
    uint64_t first = 0x4242424200000000U | number * 0x010001U % 0xFFFFFFFFU;
    uint64_t second = hash_word(fold(16, 0x4B33A62ED433D4A3U), first) ^ wanted;
    memcpy(out, &first, 8);
    memcpy(out + 8, &second, 8);
    out[16] = 0;
    assert_true((hash_word(fold(16, 0x4B33A62ED433D4A3U), first) ^ second) == wanted);
}

/* --- floods -------------------------------------------------------------------------------------
 */

struct flood {
    bson_t *document;
    uint32_t count;
};

static void add(struct flood *flood, uint8_t kind, const void *value, size_t len)
{
    char key[16];
    (void)snprintf(key, sizeof key, "%u", flood->count++);
    if (kind == BSON_KIND_STRING)
        bson_append_utf8(flood->document, key, -1, value, (int)len);
    if (kind == BSON_KIND_DOUBLE)
        bson_append_double(flood->document, key, -1, *(const double *)value);
    if (kind == BSON_KIND_DECIMAL128)
        bson_append_decimal128(flood->document, key, -1, value);
}

/* Comparisons that it took to find all items different. */
static uint64_t work_of(const struct flood *flood)
{
    enum { BUDGET = 1000000000 };
    uint64_t work = BUDGET;
    struct schema_scratch *scratch = schema_scratch_new();
    struct bytes array = bytes_of(bson_get_data(flood->document), flood->document->len);
    assert_non_null(scratch);
    assert_int_equal(unique_check(array, flood->count, scratch, &work, NULL), UNIQUE_YES);
    schema_scratch_free(scratch);
    return BUDGET - work;
}

static int begin(void **state)
{
    static struct flood flood;
    flood = (struct flood){bson_new(), 0};
    *state = &flood;
    keyed_hash_set_key((const uint8_t[KEYED_HASH_KEY_BYTES]){"a key of a test"});
    return 0;
}

static int end(void **state)
{
    bson_destroy(((struct flood *)*state)->document);
    return 0;
}

static void strings_cannot_be_chosen_to_collide(void **state)
{
    struct flood *flood = *state;
    char text[17];
    for (uint64_t i = 0; flood->count < FLOOD; i++) {
        make_colliding_text(i, text);
        if (memchr(text, 0, 16) == NULL)
            add(flood, BSON_KIND_STRING, text, 16);
    }
    assert_in_range(work_of(flood), 1, 4 * FLOOD);
}

/* Too large, or too close to 0, to equal any number of another type. */
static void numbers_far_from_one_have_hashes_of_their_own(void **state)
{
    struct flood *flood = *state;
    for (int i = 0; i < FLOOD; i++) {
        double large = (1 + i / 65536.0) * 1e300;
        double small = (1 + i / 65536.0) * 1e-300;
        bson_decimal128_t decimal = {.high = 0x3040000000000000U + ((uint64_t)1 << 60),
                                     .low = (uint64_t)i * 2 + 1};
        add(flood, BSON_KIND_DOUBLE, &large, 0);
        add(flood, BSON_KIND_DOUBLE, &small, 0);
        add(flood, BSON_KIND_DECIMAL128, &decimal, 0);
    }
    assert_in_range(work_of(flood), 1, 4 * 3 * FLOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(strings_cannot_be_chosen_to_collide, begin, end),
        cmocka_unit_test_setup_teardown(numbers_far_from_one_have_hashes_of_their_own, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
