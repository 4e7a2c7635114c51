/* The keyed hash against OpenSSL's, and tables under keys that share a hash elsewhere. */
#include "../cmocka_all.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "base/bytes.h"
#include "base/table.h"

enum { LONGEST = 70, FLOOD = 60000, ID_BYTES = 16 };

static uint64_t siphash_1_3(const uint8_t *key, const uint8_t *data, size_t len)
{
    unsigned compress = 1;
    unsigned finalize = 3;
    size_t size = 8;
    size_t got = 0;
    uint8_t out[8];
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &compress),
                               OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &finalize),
                               OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                               OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    assert_int_equal(EVP_MAC_init(context, key, KEYED_HASH_KEY_BYTES, parameters), 1);
    assert_int_equal(EVP_MAC_update(context, data, len), 1);
    assert_int_equal(EVP_MAC_final(context, out, &got, sizeof out), 1);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    return bytes_load_u64(out);
}

static void it_is_siphash_1_3(void **state)
{
    uint8_t key[KEYED_HASH_KEY_BYTES];
    uint8_t data[LONGEST];
    (void)state;
    for (size_t i = 0; i < LONGEST; i++)
        data[i] = (uint8_t)(i * 37 + 200);
    for (uint8_t k = 0; k < 3; k++) {
        memset(key, k * 77, sizeof key);
        key[3] = (uint8_t)(k + 1);
        keyed_hash_set_key(key);
        for (size_t len = 0; len <= LONGEST; len++)
            assert_true(keyed_hash(data, len) == siphash_1_3(key, data, len));
        assert_true(keyed_hash_pair(bytes_load_u64(data), bytes_load_u64(data + 8)) ==
                    siphash_1_3(key, data, 16));
    }
}

/* --- tables -------------------------------------------------------------------------------------
 */

static uint32_t random_word(void)
{
    static uint64_t state = 88172645463325252U;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* The inverse of uthash's HASH_JEN_MIX. */
static void unmix(uint32_t v[3])
{
    static const struct {
        unsigned changed, first, second;
        int shift; /* to the left where it is above 0 */
    } steps[] = {{2, 0, 1, -15}, {1, 2, 0, 10},  {0, 1, 2, -3}, {2, 0, 1, -5}, {1, 2, 0, 16},
                 {0, 1, 2, -12}, {2, 0, 1, -13}, {1, 2, 0, 8},  {0, 1, 2, -13}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        uint32_t by = v[steps[i].second];
        by = steps[i].shift > 0 ? by << steps[i].shift : by >> -steps[i].shift;
        v[steps[i].changed] = (v[steps[i].changed] ^ by) + v[steps[i].first] + v[steps[i].second];
    }
}

/* One of the 2^64 ids of 16 bytes that uthash's own hash, which has no key, takes to 0. */
static void make_colliding_id(uint8_t id[ID_BYTES])
{
    uint32_t v[3] = {random_word(), random_word(), 0};
    uint32_t last = random_word();
    unmix(v);
    v[0] -= last;
    v[2] -= ID_BYTES;
    unmix(v);
    v[0] -= 0x9E3779B9U;
    v[1] -= 0x9E3779B9U;
    v[2] -= 0xFEEDBEEFU;
    for (size_t i = 0; i < 3; i++)
        bytes_store_i32(id + 4 * i, (int32_t)v[i]);
    bytes_store_i32(id + 12, (int32_t)last);
}

struct named {
    UT_hash_handle hh;
    bool unhashed;
    uint8_t id[ID_BYTES];
};

// NOLINTNEXTLINE(readability-function-size)
static void ids_that_collided_do_not(void **state)
{
    struct named *table = NULL;
    struct named *ids = memory_array(FLOOD, sizeof *ids);
    unsigned longest = 0;
    (void)state;
    assert_non_null(ids);
    keyed_hash_set_key((const uint8_t[KEYED_HASH_KEY_BYTES]){"a key of a test"});
    for (size_t i = 0; i < FLOOD; i++) {
        unsigned before = 1;
        make_colliding_id(ids[i].id);
        HASH_JEN(ids[i].id, ID_BYTES, before);
        assert_int_equal(before, 0);
        HASH_ADD(hh, table, id, ID_BYTES, &ids[i]);
        assert_false(ids[i].unhashed);
    }
    assert_int_equal(HASH_COUNT(table), FLOOD);
    for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++)
        if (table->hh.tbl->buckets[i].count > longest)
            longest = table->hh.tbl->buckets[i].count;
    assert_in_range(longest, 1, 24); /* uthash lets a bucket hold 10 before it makes more */
    HASH_CLEAR(hh, table);
    memory_free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_siphash_1_3),
        cmocka_unit_test(ids_that_collided_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
