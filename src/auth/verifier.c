#include "auth/verifier.h"

#include <openssl/crypto.h>
#include <stdatomic.h>

#include "auth/scram_keys.h"
#include "base/locked_memory.h"
#include "base/memory.h"

enum proof { PROOF_NONE, PROOF_BEING_WRITTEN, PROOF_KNOWN };

/* In locked memory. */
struct verifier_secrets {
    struct scram_keys keys;
    uint8_t client_key[SCRAM_KEY_BYTES];
};
_Static_assert(sizeof(struct verifier_secrets) <= LOCKED_BLOCK_BYTES, "one block");

struct verifier {
    atomic_uint references;
    atomic_int proof; /* enum proof: one thread writes client_key, once */
    atomic_bool stale;
    struct verifier_secrets *secrets;
    size_t user_len;
    size_t database_len;
    uint8_t text[]; /* user, database */
};

struct verifier *verifier_new(struct bytes user, struct bytes database,
                              const struct scram_keys *keys)
{
    size_t user_len = bytes_left(&user);
    size_t database_len = bytes_left(&database);
    struct verifier *verifier = memory_zalloc(sizeof *verifier + user_len + database_len + 1);
    if (verifier == NULL)
        return NULL;
    verifier->secrets = locked_memory_alloc();
    if (verifier->secrets == NULL) {
        memory_free(verifier);
        return NULL;
    }
    atomic_init(&verifier->references, 1);
    verifier->secrets->keys = *keys;
    verifier->user_len = user_len;
    verifier->database_len = database_len;
    if (user_len > 0)
        memcpy(verifier->text, user.pos, user_len);
    if (database_len > 0)
        memcpy(verifier->text + user_len, database.pos, database_len);
    return verifier;
}

struct verifier *verifier_retain(struct verifier *verifier)
{
    (void)atomic_fetch_add_explicit(&verifier->references, 1, memory_order_relaxed);
    return verifier;
}

void verifier_release(struct verifier *verifier)
{
    if (verifier == NULL ||
        atomic_fetch_sub_explicit(&verifier->references, 1, memory_order_acq_rel) != 1)
        return;
    locked_memory_free(verifier->secrets);
    memory_free(verifier);
}

struct bytes verifier_user(const struct verifier *verifier)
{
    return bytes_of(verifier->text, verifier->user_len);
}

struct bytes verifier_database(const struct verifier *verifier)
{
    return bytes_of(verifier->text + verifier->user_len, verifier->database_len);
}

const struct scram_keys *verifier_keys(const struct verifier *verifier)
{
    return &verifier->secrets->keys;
}

void verifier_note_client_key(struct verifier *verifier, const uint8_t client_key[SCRAM_KEY_BYTES])
{
    const struct scram_keys *keys = &verifier->secrets->keys;
    uint8_t stored[SCRAM_KEY_BYTES] = {0};
    int none = PROOF_NONE;
    if (!scram_hash_key(keys->hash, client_key, stored) ||
        CRYPTO_memcmp(stored, keys->stored_key, scram_key_bytes(keys->hash)) != 0 ||
        !atomic_compare_exchange_strong(&verifier->proof, &none, PROOF_BEING_WRITTEN))
        return;
    memcpy(verifier->secrets->client_key, client_key, scram_key_bytes(keys->hash));
    atomic_store_explicit(&verifier->proof, PROOF_KNOWN, memory_order_release);
}

const uint8_t *verifier_client_key(const struct verifier *verifier)
{
    bool known = atomic_load_explicit(&verifier->proof, memory_order_acquire) == PROOF_KNOWN;
    return known ? verifier->secrets->client_key : NULL;
}

void verifier_note_stale(struct verifier *verifier)
{
    atomic_store(&verifier->stale, true);
}

bool verifier_is_stale(const struct verifier *verifier)
{
    return atomic_load(&verifier->stale);
}
