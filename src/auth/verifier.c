#include "auth/verifier.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sched.h>
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
    uint8_t users[IDENTITY_KEY_BYTES];
    uint8_t key[EVP_MAX_MD_SIZE]; /* VERIFIER_KEY_BYTES of it */
    size_t user_len;
    size_t database_len;
    uint8_t text[]; /* user, database */
};

/* The lengths before the names keep the users a@bc and ab@c apart. */
static bool make_key(struct verifier *verifier)
{
    const struct scram_keys *keys = &verifier->secrets->keys;
    uint8_t front[16] = {(uint8_t)keys->hash, keys->salt_bytes};
    bytes_store_i32(front + 4, keys->iterations);
    bytes_store_i32(front + 8, (int32_t)verifier->user_len);
    bytes_store_i32(front + 12, (int32_t)verifier->database_len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok =
        ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(ctx, front, sizeof front) == 1 &&
        EVP_DigestUpdate(ctx, verifier->text, verifier->user_len + verifier->database_len) == 1 &&
        EVP_DigestUpdate(ctx, keys->salt, keys->salt_bytes) == 1 &&
        EVP_DigestUpdate(ctx, keys->stored_key, SCRAM_KEY_BYTES) == 1 &&
        EVP_DigestUpdate(ctx, keys->server_key, SCRAM_KEY_BYTES) == 1 &&
        EVP_DigestFinal_ex(ctx, verifier->key, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

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
    if (identity_of_user(user, database, verifier->users) && make_key(verifier))
        return verifier;
    verifier_release(verifier);
    return NULL;
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

const uint8_t *verifier_key(const struct verifier *verifier)
{
    return verifier->key;
}

const uint8_t *verifier_users(const struct verifier *verifier)
{
    return verifier->users;
}

bool verifier_equal(const struct verifier *a, const struct verifier *b)
{
    return a == b || (a != NULL && b != NULL && memcmp(a->key, b->key, VERIFIER_KEY_BYTES) == 0);
}

bool verifier_is_of(const struct verifier *verifier, const struct identity *identity)
{
    return !identity->nobody &&
           memcmp(identity->users, verifier->users, sizeof verifier->users) == 0;
}

void verifier_note_client_key(struct verifier *verifier, const uint8_t client_key[SCRAM_KEY_BYTES])
{
    const struct scram_keys *keys = &verifier->secrets->keys;
    uint8_t stored[SCRAM_KEY_BYTES] = {0};
    int none = PROOF_NONE;
    if (!scram_hash_key(keys->hash, client_key, stored) ||
        CRYPTO_memcmp(stored, keys->stored_key, scram_key_bytes(keys->hash)) != 0)
        return;
    if (!atomic_compare_exchange_strong(&verifier->proof, &none, PROOF_BEING_WRITTEN)) {
        while (verifier_client_key(verifier) == NULL) /* another thread copies it just now */
            (void)sched_yield();
        return;
    }
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
