/* The keys of SCRAM, and the functions on them. */
#include "auth/scram_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/assert.h"

const char *const scram_mechanism_names[SCRAM_HASHES] = {
    [SCRAM_SHA_1] = "SCRAM-SHA-1", [SCRAM_SHA_256] = "SCRAM-SHA-256"};

static const EVP_MD *digest_of(enum scram_hash hash)
{
    return hash == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

size_t scram_key_bytes(enum scram_hash hash)
{
    return hash == SCRAM_SHA_1 ? 20 : 32;
}

struct scram_shape scram_default_shape(enum scram_hash hash)
{
    return hash == SCRAM_SHA_1 ? (struct scram_shape){.iterations = 10000, .salt_bytes = 16}
                               : (struct scram_shape){.iterations = 15000, .salt_bytes = 28};
}

bool scram_keys_equal(const struct scram_keys *a, const struct scram_keys *b)
{
    return a->hash == b->hash && a->iterations == b->iterations && a->salt_bytes == b->salt_bytes &&
           memcmp(a->salt, b->salt, a->salt_bytes) == 0 &&
           CRYPTO_memcmp(a->stored_key, b->stored_key, SCRAM_KEY_BYTES) == 0 &&
           CRYPTO_memcmp(a->server_key, b->server_key, SCRAM_KEY_BYTES) == 0;
}

bool scram_hash_key(enum scram_hash hash, const uint8_t key[SCRAM_KEY_BYTES],
                    uint8_t out[SCRAM_KEY_BYTES])
{
    unsigned len = 0;
    return EVP_Digest(key, scram_key_bytes(hash), out, &len, digest_of(hash), NULL) == 1;
}

bool scram_sign(enum scram_hash hash, const uint8_t key[SCRAM_KEY_BYTES], struct bytes message,
                uint8_t out[SCRAM_KEY_BYTES])
{
    unsigned len = 0;
    return HMAC(digest_of(hash), key, (int)scram_key_bytes(hash), message.pos, bytes_left(&message),
                out, &len) != NULL;
}

/* One of the invented values: HMAC-SHA-256 of what it stands for. The lengths before the texts keep
 * the users a@bc and ab@c apart. */
static bool invent(enum scram_hash hash, struct bytes secret, struct bytes name,
                   struct bytes database, uint8_t what, uint8_t out[SCRAM_KEY_BYTES])
{
    uint8_t text[2 * SCRAM_NAME_BYTES + 8] = {what, (uint8_t)hash};
    size_t name_len = bytes_left(&name);
    size_t database_len = bytes_left(&database);
    unsigned len = 0;
    if (name_len > SCRAM_NAME_BYTES || database_len > SCRAM_NAME_BYTES ||
        bytes_left(&secret) > INT32_MAX)
        return false;
    bytes_store_i32(text + 4, (int32_t)name_len);
    if (name_len > 0)
        memcpy(text + 8, name.pos, name_len);
    if (database_len > 0)
        memcpy(text + 8 + name_len, database.pos, database_len);
    return HMAC(EVP_sha256(), secret.pos, (int)bytes_left(&secret), text,
                8 + name_len + database_len, out, &len) != NULL;
}

bool scram_invent_keys(enum scram_hash hash, struct scram_shape shape, struct bytes secret,
                       struct bytes name, struct bytes database, struct scram_keys *out)
{
    sluice_assert(shape.salt_bytes <= SCRAM_SALT_BYTES);
    *out = (struct scram_keys){
        .hash = hash, .iterations = shape.iterations, .salt_bytes = shape.salt_bytes};
    return invent(hash, secret, name, database, 1, out->salt) &&
           invent(hash, secret, name, database, 2, out->salt + SCRAM_KEY_BYTES) &&
           invent(hash, secret, name, database, 3, out->stored_key) &&
           invent(hash, secret, name, database, 4, out->server_key);
}
