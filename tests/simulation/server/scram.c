/* The server's side of SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "server/operation.h"
#include "server/users.h"

enum { PAYLOAD_MAX = 1024, NONCE_BYTES = 24 };

struct scram {
    bool is_sha256;
    bool skips_empty;
    bool is_proven; /* only the empty exchange is left */
    unsigned user;
    unsigned incarnation;
    int conversation;
    char first[PAYLOAD_MAX];  /* client-first-message-bare */
    char second[PAYLOAD_MAX]; /* server-first-message */
    char nonce[PAYLOAD_MAX];
};

void scram_free(struct scram *scram)
{
    free(scram);
}

/* The value of an attribute ("n=") of a SCRAM message. */
static bool find_attribute(const char *message, char name, char *out, size_t bytes)
{
    for (const char *at = message; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (at[0] != name || at[1] != '=')
            continue;
        size_t len = strcspn(at + 2, ",");
        if (len >= bytes)
            return false;
        memcpy(out, at + 2, len);
        out[len] = 0;
        return true;
    }
    return false;
}

static bool read_payload(const bson_t *document, char out[PAYLOAD_MAX])
{
    bson_iter_t iter;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!bson_iter_init_find(&iter, document, "payload") || !BSON_ITER_HOLDS_BINARY(&iter))
        return false;
    bson_iter_binary(&iter, NULL, &len, &data);
    if (len >= PAYLOAD_MAX || memchr(data, 0, len) != NULL)
        return false;
    memcpy(out, data, len);
    out[len] = 0;
    return true;
}

static bool read_start(const bson_t *start, struct scram *scram, char payload[PAYLOAD_MAX])
{
    bson_iter_t iter;
    bson_iter_t option;
    if (!bson_iter_init_find(&iter, start, "mechanism") || !BSON_ITER_HOLDS_UTF8(&iter))
        return false;
    const char *mechanism = bson_iter_utf8(&iter, NULL);
    scram->is_sha256 = strcmp(mechanism, "SCRAM-SHA-256") == 0;
    if (!scram->is_sha256 && strcmp(mechanism, "SCRAM-SHA-1") != 0)
        return false;
    if (bson_iter_init_find(&iter, start, "options") && bson_iter_recurse(&iter, &option) &&
        bson_iter_find(&option, "skipEmptyExchange"))
        scram->skips_empty = bson_iter_as_bool(&option);
    return read_payload(start, payload) && strncmp(payload, "n,,", 3) == 0;
}

static void make_nonce(struct connection *connection, const char *theirs, char *out)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
    size_t len = strlen(theirs);
    memcpy(out, theirs, len);
    for (int i = 0; i < NONCE_BYTES; i++)
        out[len++] = letters[stream_below(&connection->stream, sizeof letters - 1)];
    out[len] = 0;
}

static void append_step(bson_t *reply, int conversation, bool done, const char *payload)
{
    bson_append_int32(reply, "conversationId", -1, conversation);
    bson_append_bool(reply, "done", -1, done);
    bson_append_binary(reply, "payload", -1, BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
}

bool scram_begin(struct connection *connection, const bson_t *start, bson_t *reply)
{
    const struct cluster *cluster = connection->front->cluster;
    struct scram *scram = calloc(1, sizeof *scram);
    char payload[PAYLOAD_MAX];
    char name[PAYLOAD_MAX / 4] = "";
    char nonce[PAYLOAD_MAX / 4] = "";
    char salt[64];
    if (scram == NULL)
        abort();
    scram_free(connection->scram);
    connection->scram = NULL;
    bool ok = read_start(start, scram, payload) && strlen(payload) < PAYLOAD_MAX / 2 &&
              find_attribute(payload + 3, 'n', name, sizeof name) &&
              find_attribute(payload + 3, 'r', nonce, sizeof nonce);
    scram->user = ok ? user_of_name(cluster, name, false) : 0;
    if (scram->user == 0) {
        scram_free(scram);
        return false;
    }
    scram->incarnation = cluster->users[scram->user].incarnation;
    scram->conversation = 1;
    const struct user_keys *keys = user_keys(scram->user, scram->incarnation, scram->is_sha256);
    make_nonce(connection, nonce, scram->nonce);
    encode_base64(keys->salt, keys->salt_len, salt);
    (void)snprintf(scram->first, sizeof scram->first, "%s", payload + 3);
    (void)snprintf(scram->second, sizeof scram->second, "r=%.700s,s=%s,i=%d", scram->nonce, salt,
                   APPLICATION_ITERATIONS);
    connection->scram = scram;
    append_step(reply, scram->conversation, false, scram->second);
    return true;
}

/* The client's proof is ClientKey XOR HMAC(StoredKey, AuthMessage). */
static bool check_proof(const struct scram *scram, const char *message, char *out, size_t bytes)
{
    const struct user_keys *keys = user_keys(scram->user, scram->incarnation, scram->is_sha256);
    char auth[3 * PAYLOAD_MAX];
    char nonce[PAYLOAD_MAX];
    char proof_text[128];
    uint8_t proof[64];
    uint8_t signature[32];
    uint8_t key[32];
    char text[64];
    size_t len = keys->key_len;
    const char *end = strstr(message, ",p=");
    if (end == NULL || !find_attribute(message, 'r', nonce, sizeof nonce) ||
        strcmp(nonce, scram->nonce) != 0 ||
        !find_attribute(message, 'p', proof_text, sizeof proof_text) ||
        decode_base64(proof_text, proof, sizeof proof) != len)
        return false;
    (void)snprintf(auth, sizeof auth, "%s,%s,%.*s", scram->first, scram->second,
                   (int)(end - message), message);
    user_hmac(scram->is_sha256, keys->stored_key, len, auth, signature);
    for (size_t i = 0; i < len; i++)
        key[i] = proof[i] ^ signature[i];
    user_hash(scram->is_sha256, key, len, signature);
    if (CRYPTO_memcmp(signature, keys->stored_key, len) != 0)
        return false;
    user_hmac(scram->is_sha256, keys->server_key, len, auth, signature);
    encode_base64(signature, len, text);
    (void)snprintf(out, bytes, "v=%s", text);
    return true;
}

static enum step refuse(struct operation *operation)
{
    scram_free(operation->connection->scram);
    operation->connection->scram = NULL;
    return operation_fail(operation, 18, "Authentication failed.");
}

static enum step log_in(struct operation *operation)
{
    struct connection *connection = operation->connection;
    const struct cluster *cluster = operation->cluster;
    unsigned user = connection->scram->user;
    unsigned before = server_connection_user(connection);
    if (cluster->users[user].incarnation != connection->scram->incarnation)
        return refuse(operation); /* dropped meanwhile */
    if (cluster->plan->server == PLAN_SERVER_CURRENT && before != 0 && before != user)
        return refuse(operation); /* one user a connection */
    connection->user = user;
    connection->incarnation = connection->scram->incarnation;
    scram_free(connection->scram);
    connection->scram = NULL;
    world_trace(cluster->world, connection->front->address, "connection %d is user %u",
                connection->id, user);
    return STEP_DONE;
}

enum step run_sasl_start(struct operation *operation)
{
    if (!scram_begin(operation->connection, &operation->body, &operation->reply))
        return refuse(operation);
    return STEP_DONE;
}

enum step run_sasl_continue(struct operation *operation)
{
    struct scram *scram = operation->connection->scram;
    char payload[PAYLOAD_MAX];
    char answer[PAYLOAD_MAX] = "";
    if (scram == NULL)
        return operation_fail(operation, 17, "No SASL session state found");
    if (operation_int(operation, "conversationId", 0) != scram->conversation ||
        !read_payload(&operation->body, payload))
        return refuse(operation);
    if (scram->is_proven) {
        append_step(&operation->reply, scram->conversation, true, "");
        return payload[0] == 0 ? log_in(operation) : refuse(operation);
    }
    if (!check_proof(scram, payload, answer, sizeof answer))
        return refuse(operation);
    scram->is_proven = true;
    append_step(&operation->reply, scram->conversation, scram->skips_empty, answer);
    return scram->skips_empty ? log_in(operation) : STEP_DONE;
}
