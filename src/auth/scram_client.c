/* The client's side of SCRAM. */
#include <openssl/crypto.h>

#include "auth/scram_keys.h"
#include "auth/scram_text.h"
#include "base/assert.h"
#include "base/base64.h"
#include "base/memory.h"
#include "base/text.h"

enum { HEADER_BYTES = 3 /* "n,," */ };

struct scram_client {
    uint8_t expected[SCRAM_KEY_BYTES]; /* the server's signature */
    bool proved;
    size_t nonce_at; /* ours, in the text */
    size_t nonce_len;
    size_t len;
    char text[]; /* the client-first-message */
};

static void append(struct scram_client *client, const void *data, size_t len)
{
    memcpy(client->text + client->len, data, len);
    client->len += len;
}

struct scram_client *scram_client_new(struct bytes name, struct bytes nonce, struct bytes *first)
{
    uint8_t c = 0;
    sluice_assert(bytes_left(&nonce) <= SCRAM_OUR_NONCE_BYTES);
    if (bytes_left(&name) == 0 || bytes_left(&name) > SCRAM_NAME_BYTES)
        return NULL;
    struct scram_client *client =
        memory_zalloc(sizeof *client + 3 * bytes_left(&name) + SCRAM_OUR_NONCE_BYTES + 16);
    if (client == NULL)
        return NULL;
    append(client, "n,,n=", 5);
    while (bytes_read_u8(&name, &c)) {
        if (c == ',')
            append(client, "=2C", 3);
        else if (c == '=')
            append(client, "=3D", 3);
        else
            append(client, &c, 1);
    }
    append(client, ",r=", 3);
    client->nonce_at = client->len;
    client->nonce_len = bytes_left(&nonce);
    append(client, nonce.pos, client->nonce_len);
    *first = bytes_of(client->text, client->len);
    return client;
}

/* A server-first-message. */
struct challenge {
    struct bytes nonce;
    uint8_t salt[SCRAM_SALT_BYTES];
    size_t salt_len;
    int32_t iterations;
};

static bool read_challenge(const struct scram_client *client, struct bytes at,
                           struct challenge *out, struct error *err)
{
    struct bytes salt;
    struct bytes count;
    bool ok = bytes_left(&at) <= SCRAM_TEXT_BYTES && scram_text_take(&at, 'r', &out->nonce) &&
              scram_text_take(&at, 's', &salt) && scram_text_take(&at, 'i', &count) &&
              base64_read(salt, out->salt, sizeof out->salt, &out->salt_len) &&
              scram_text_read_count(count, &out->iterations);
    if (!ok)
        return error_set(err, ERROR_PROTOCOL, "the server's first SCRAM message is malformed");
    if (!scram_text_is_nonce(out->nonce, SCRAM_TEXT_BYTES) ||
        bytes_left(&out->nonce) <= client->nonce_len ||
        memcmp(out->nonce.pos, client->text + client->nonce_at, client->nonce_len) != 0)
        return error_set(err, ERROR_PROTOCOL,
                         "the server's first SCRAM message does not continue our nonce");
    return true;
}

bool scram_client_prove(struct scram_client *client, const struct scram_keys *keys,
                        const uint8_t client_key[SCRAM_KEY_BYTES], struct bytes challenge,
                        char out[SCRAM_FINAL_BYTES], size_t *len, struct error *err)
{
    struct challenge parts = {0};
    uint8_t proof[SCRAM_KEY_BYTES] = {0};
    char text[SCRAM_FIRST_BYTES + SCRAM_TEXT_BYTES + SCRAM_FINAL_BYTES + 2];
    size_t key_bytes = scram_key_bytes(keys->hash);
    if (!read_challenge(client, challenge, &parts, err))
        return false;
    if (parts.iterations != keys->iterations || parts.salt_len != keys->salt_bytes ||
        memcmp(parts.salt, keys->salt, keys->salt_bytes) != 0)
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the server has another salt for this user: the password has changed");
    struct text final = text_over(out, SCRAM_FINAL_BYTES);
    text_add(&final, "c=biws,r=");
    text_add_bytes(&final, (const char *)parts.nonce.pos, bytes_left(&parts.nonce));
    size_t bare_len = client->len - HEADER_BYTES;
    size_t challenge_len = bytes_left(&challenge);
    memcpy(text, client->text + HEADER_BYTES, bare_len);
    text[bare_len] = ',';
    memcpy(text + bare_len + 1, challenge.pos, challenge_len);
    text[bare_len + 1 + challenge_len] = ',';
    memcpy(text + bare_len + 2 + challenge_len, out, final.len);
    struct bytes message = bytes_of(text, bare_len + 2 + challenge_len + final.len);
    client->proved = scram_sign(keys->hash, keys->stored_key, message, proof) &&
                     scram_sign(keys->hash, keys->server_key, message, client->expected);
    if (!client->proved)
        return error_set(err, ERROR_INTERNAL, "OpenSSL computes no HMAC");
    for (size_t i = 0; i < key_bytes; i++)
        proof[i] ^= client_key[i];
    text_add(&final, ",p=");
    *len = final.len + base64_write(proof, key_bytes, out + final.len);
    explicit_bzero(proof, sizeof proof);
    return true;
}

bool scram_client_check(struct scram_client *client, const struct scram_keys *keys,
                        struct bytes payload, struct error *err)
{
    struct bytes value;
    uint8_t signature[SCRAM_KEY_BYTES];
    size_t len = 0;
    size_t key_bytes = scram_key_bytes(keys->hash);
    if (client->proved && scram_text_take(&payload, 'v', &value) &&
        base64_read(value, signature, key_bytes, &len) && len == key_bytes &&
        CRYPTO_memcmp(signature, client->expected, key_bytes) == 0)
        return true;
    return error_set(err, ERROR_PROTOCOL,
                     "the server does not prove that it knows this user's verifier");
}

void scram_client_free(struct scram_client *client)
{
    memory_free(client);
}
