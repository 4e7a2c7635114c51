/* The server's side of SCRAM. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "auth/scram_keys.h"
#include "auth/scram_text.h"
#include "base/assert.h"
#include "base/base64.h"
#include "base/memory.h"

enum { HEADER_BYTES = 4 /* "n,," in base64 */ };

struct scram_server {
    char header[HEADER_BYTES]; /* the value of `c` in the client-final-message */
    size_t nonce_at;           /* of both sides, in the text */
    size_t nonce_len;
    size_t len;
    char text[]; /* client-first-message-bare "," server-first-message */
};

static void append(struct scram_server *server, const void *data, size_t len)
{
    memcpy(server->text + server->len, data, len);
    server->len += len;
}

struct scram_server *scram_server_new(const struct scram_first *first,
                                      const struct scram_keys *keys, struct bytes nonce,
                                      struct bytes *challenge)
{
    char salt[BASE64_TEXT_BYTES(SCRAM_SALT_BYTES)];
    char count[24];
    size_t bare_len = bytes_left(&first->bare);
    struct scram_server *server = memory_zalloc(sizeof *server + bare_len + 1 + SCRAM_TEXT_BYTES);
    if (server == NULL)
        return NULL;
    sluice_assert(bytes_left(&first->header) == 3 && bytes_left(&nonce) <= SCRAM_OUR_NONCE_BYTES);
    (void)base64_write(first->header.pos, 3, server->header);
    append(server, first->bare.pos, bare_len);
    append(server, ",", 1);
    size_t begin = server->len;
    append(server, "r=", 2);
    server->nonce_at = server->len;
    append(server, first->nonce.pos, bytes_left(&first->nonce));
    append(server, nonce.pos, bytes_left(&nonce));
    server->nonce_len = server->len - server->nonce_at;
    append(server, ",s=", 3);
    append(server, salt, base64_write(keys->salt, keys->salt_bytes, salt));
    append(server, count, (size_t)snprintf(count, sizeof count, ",i=%d", (int)keys->iterations));
    *challenge = bytes_of(server->text + begin, server->len - begin);
    return server;
}

/* A client-final-message. */
struct final {
    struct bytes without_proof;
    uint8_t proof[SCRAM_KEY_BYTES];
};

static bool is_value(struct bytes value, const char *text, size_t len)
{
    return bytes_left(&value) == len && memcmp(value.pos, text, len) == 0;
}

/* "c=…,r=…[,extensions],p=…": the proof is the last attribute. */
static bool read_final(const struct scram_server *server, size_t key_bytes, struct bytes payload,
                       struct final *out, struct error *err)
{
    struct bytes at = payload;
    struct bytes value;
    size_t proof_len = 0;
    if (bytes_left(&payload) > SCRAM_FINAL_BYTES || !scram_text_take(&at, 'c', &value) ||
        !is_value(value, server->header, HEADER_BYTES))
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the second SCRAM message does not repeat the header of the first");
    if (!scram_text_take(&at, 'r', &value) ||
        !is_value(value, server->text + server->nonce_at, server->nonce_len))
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the second SCRAM message has another nonce");
    while (bytes_left(&at) > 0 && at.pos[0] != 'p')
        if (!scram_text_take(&at, (char)at.pos[0], &value))
            break;
    const uint8_t *before = at.pos;
    if (!scram_text_take(&at, 'p', &value) || bytes_left(&at) != 0 || value.end != payload.end ||
        !base64_read(value, out->proof, key_bytes, &proof_len) || proof_len != key_bytes)
        return error_set(err, ERROR_AUTHENTICATION_FAILED,
                         "the second SCRAM message has no proof of %zu bytes", key_bytes);
    out->without_proof = (struct bytes){payload.pos, before - 1};
    return true;
}

/* client_key = proof XOR HMAC(StoredKey, message). True if it is the right one. */
static bool find_client_key(const struct scram_keys *keys, struct bytes message,
                            const uint8_t *proof, uint8_t client_key[SCRAM_KEY_BYTES])
{
    uint8_t signature[SCRAM_KEY_BYTES] = {0};
    uint8_t stored[SCRAM_KEY_BYTES] = {0};
    size_t key_bytes = scram_key_bytes(keys->hash);
    bool ok = scram_sign(keys->hash, keys->stored_key, message, signature);
    for (size_t i = 0; i < key_bytes; i++)
        client_key[i] = proof[i] ^ signature[i];
    ok = scram_hash_key(keys->hash, client_key, stored) && ok;
    ok = CRYPTO_memcmp(stored, keys->stored_key, key_bytes) == 0 && ok;
    explicit_bzero(signature, sizeof signature);
    return ok;
}

bool scram_server_finish(struct scram_server *server, const struct scram_keys *keys,
                         struct bytes payload, uint8_t client_key[SCRAM_KEY_BYTES],
                         char out[SCRAM_TEXT_BYTES], size_t *len, struct error *err)
{
    struct final final = {0};
    uint8_t signature[SCRAM_KEY_BYTES] = {0};
    char text[SCRAM_FIRST_BYTES + SCRAM_TEXT_BYTES + SCRAM_FINAL_BYTES + 2];
    size_t key_bytes = scram_key_bytes(keys->hash);
    memset(client_key, 0, SCRAM_KEY_BYTES);
    if (!read_final(server, key_bytes, payload, &final, err) || final.without_proof.pos == NULL)
        return false;
    size_t final_len = bytes_left(&final.without_proof);
    memcpy(text, server->text, server->len);
    text[server->len] = ',';
    memcpy(text + server->len + 1, final.without_proof.pos, final_len);
    struct bytes message = bytes_of(text, server->len + 1 + final_len);
    bool right = find_client_key(keys, message, final.proof, client_key);
    right = scram_sign(keys->hash, keys->server_key, message, signature) && right;
    explicit_bzero(&final, sizeof final);
    if (!right) {
        explicit_bzero(client_key, SCRAM_KEY_BYTES);
        return error_set(err, ERROR_AUTHENTICATION_FAILED, "the proof is wrong");
    }
    out[0] = 'v';
    out[1] = '=';
    *len = 2 + base64_write(signature, key_bytes, out + 2);
    return true;
}

void scram_server_free(struct scram_server *server)
{
    memory_free(server);
}
