#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "application.h"
#include "client.h"
#include "passwords.h"

enum { KEY_BYTES = SHA256_DIGEST_LENGTH, NONCE_BYTES = 18, TEXT_BYTES = 512, CACHED_USERS = 64 };

/* The proxy may know an earlier password for so long: auth.verifiers_max_age_ms, and the time until
 * a reading or a look at the file has ended. */
enum { STALE_US = 3000000 };

/* Salted passwords, kept over histories: they cost thousands of hashes. */
struct salted {
    unsigned user;
    unsigned number; /* of the password */
    char salt[64];
    int iterations;
    uint8_t key[KEY_BYTES];
};

static const struct salted *salted_password(unsigned user, unsigned number, const char *salt,
                                            int iterations)
{
    static struct salted cache[CACHED_USERS];
    static unsigned next;
    for (unsigned i = 0; i < CACHED_USERS; i++) {
        struct salted *known = &cache[i];
        if (known->user == user && known->number == number && known->iterations == iterations &&
            strcmp(known->salt, salt) == 0) {
            return known;
        }
    }
    struct salted *made = &cache[next++ % CACHED_USERS];
    char password[32];
    uint8_t raw[64];
    size_t len = strlen(salt);
    if (len >= sizeof made->salt || len % 4 != 0) {
        return NULL;
    }
    int raw_len = EVP_DecodeBlock(raw, (const uint8_t *)salt, (int)len);
    for (size_t i = len; raw_len > 0 && i > 0 && salt[i - 1] == '='; i--) {
        raw_len--;
    }
    snprintf(password, sizeof password, APPLICATION_PASS_FORMAT, user, number);
    if (raw_len <= 0 || !PKCS5_PBKDF2_HMAC(password, -1, raw, raw_len, iterations, EVP_sha256(),
                                           KEY_BYTES, made->key)) {
        return NULL;
    }
    made->user = user;
    made->number = number;
    made->iterations = iterations;
    strcpy(made->salt, salt);
    return made;
}

static void hmac(const uint8_t key[KEY_BYTES], const char *text, uint8_t out[KEY_BYTES])
{
    HMAC(EVP_sha256(), key, KEY_BYTES, (const uint8_t *)text, strlen(text), out, NULL);
}

/* One conversation. */
struct conversation {
    struct connection *connection;
    unsigned password;
    int64_t began_us;
    char nonce[NONCE_BYTES * 2];
    char first_bare[TEXT_BYTES];
    char signature[KEY_BYTES * 2]; /* the server's, as it must be */
    int32_t id;
    int code;
};

static void begin_conversation(struct conversation *conversation, struct client *client)
{
    uint8_t random[NONCE_BYTES];
    conversation->password = passwords_number(client->world, client->what->user);
    conversation->began_us = world_now_us(client->world);
    for (unsigned i = 0; i < NONCE_BYTES; i++) {
        random[i] = (uint8_t)stream_next(&client->stream);
    }
    EVP_EncodeBlock((uint8_t *)conversation->nonce, random, NONCE_BYTES);
    snprintf(conversation->first_bare, TEXT_BYTES, "n=" APPLICATION_USER_FORMAT ",r=%s",
             client->what->user, conversation->nonce);
}

static void append_start(const struct conversation *conversation, bson_t *command, bool with_db)
{
    char payload[TEXT_BYTES + 4];
    snprintf(payload, sizeof payload, "n,,%s", conversation->first_bare);
    BSON_APPEND_INT32(command, "saslStart", 1);
    BSON_APPEND_UTF8(command, "mechanism", "SCRAM-SHA-256");
    BSON_APPEND_BINARY(command, "payload", BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
    BSON_APPEND_INT32(command, "autoAuthorize", 1);
    bson_t options;
    BSON_APPEND_DOCUMENT_BEGIN(command, "options", &options);
    BSON_APPEND_BOOL(&options, "skipEmptyExchange", true);
    bson_append_document_end(command, &options);
    if (with_db) {
        BSON_APPEND_UTF8(command, "db", APPLICATION_USER_DATABASE);
    }
}

/* The text of `payload`. */
static bool read_payload(const bson_t *reply, char out[TEXT_BYTES])
{
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, reply, "payload")) {
        return false;
    }
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (BSON_ITER_HOLDS_BINARY(&iter)) {
        bson_subtype_t subtype;
        bson_iter_binary(&iter, &subtype, &len, &data);
    }
    if (data == NULL || len >= TEXT_BYTES) {
        return false;
    }
    memcpy(out, data, len);
    out[len] = '\0';
    return true;
}

static bool read_server_first(const char *text, const char *nonce, char server_nonce[128],
                              char salt[64], int *iterations)
{
    return sscanf(text, "r=%127[^,],s=%63[^,],i=%d", server_nonce, salt, iterations) == 3 &&
           strncmp(server_nonce, nonce, strlen(nonce)) == 0 &&
           strlen(server_nonce) > strlen(nonce) && *iterations >= APPLICATION_ITERATIONS;
}

/* The client's last message; the server's first one is `text`. */
static bool make_proof(struct conversation *conversation, const char *text, char out[TEXT_BYTES])
{
    char server_nonce[128], salt[64], without_proof[160];
    int iterations;
    if (!read_server_first(text, conversation->nonce, server_nonce, salt, &iterations)) {
        return false;
    }
    const struct salted *salted = salted_password(conversation->connection->client->what->user,
                                                  conversation->password, salt, iterations);
    if (salted == NULL) {
        return false;
    }
    snprintf(without_proof, sizeof without_proof, "c=biws,r=%s", server_nonce);
    char message[3 * TEXT_BYTES];
    snprintf(message, sizeof message, "%s,%s,%s", conversation->first_bare, text, without_proof);
    uint8_t client_key[KEY_BYTES], stored_key[KEY_BYTES], server_key[KEY_BYTES], mac[KEY_BYTES];
    hmac(salted->key, "Client Key", client_key);
    hmac(salted->key, "Server Key", server_key);
    SHA256(client_key, KEY_BYTES, stored_key);
    hmac(stored_key, message, mac);
    for (unsigned i = 0; i < KEY_BYTES; i++) {
        client_key[i] ^= mac[i];
    }
    hmac(server_key, message, mac);
    EVP_EncodeBlock((uint8_t *)conversation->signature, mac, KEY_BYTES);
    char proof[KEY_BYTES * 2];
    EVP_EncodeBlock((uint8_t *)proof, client_key, KEY_BYTES);
    snprintf(out, TEXT_BYTES, "%s,p=%s", without_proof, proof);
    return true;
}

static enum login_result from_call(enum call_result result)
{
    switch (result) {
    case CALL_ANSWERED:
        return LOGIN_DONE;
    case CALL_CANCELLED:
        return LOGIN_CANCELLED;
    case CALL_TIMED_OUT:
        return LOGIN_TIMED_OUT;
    default:
        return LOGIN_LOST;
    }
}

/* Sends one command of the conversation. */
static enum login_result ask(struct conversation *conversation, const char *name, bson_t *command,
                             bson_t **reply)
{
    struct connection *connection = conversation->connection;
    BSON_APPEND_UTF8(command, "$db", APPLICATION_USER_DATABASE);
    struct frame_bytes bytes = {0};
    int32_t id = client_connection_next_id(connection);
    frame_write_msg(&bytes, id, 0, command, NULL, 0);
    client_trace(connection->client, "#%u sends %s %d", connection->number, name, id);
    enum call_result result =
        client_connection_call(connection, &bytes, id, name, client_connect_timeout_us, reply);
    frame_release(&bytes);
    if (result == CALL_ANSWERED && !reply_is_ok(*reply)) {
        conversation->code = reply_code(*reply);
        bson_destroy(*reply);
        *reply = NULL;
        return LOGIN_REFUSED;
    }
    return from_call(result);
}

static enum login_result wrong(struct conversation *conversation, const char *what)
{
    world_fail(conversation->connection->client->world, "login answer",
               "%s got %s on connection #%u", conversation->connection->client->actor, what,
               conversation->connection->number);
    return LOGIN_LOST;
}

static enum login_result continue_with(struct conversation *conversation, const char *payload,
                                       bson_t **reply)
{
    bson_t command = BSON_INITIALIZER;
    BSON_APPEND_INT32(&command, "saslContinue", 1);
    BSON_APPEND_INT32(&command, "conversationId", conversation->id);
    BSON_APPEND_BINARY(&command, "payload", BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
    enum login_result result = ask(conversation, "saslContinue", &command, reply);
    bson_destroy(&command);
    return result;
}

static bool is_done(const bson_t *reply)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, reply, "done") && bson_iter_as_bool(&iter);
}

/* From the server's first message on. */
static enum login_result finish_conversation(struct conversation *conversation,
                                             const bson_t *server_first)
{
    char text[TEXT_BYTES], last[TEXT_BYTES];
    conversation->id = (int32_t)reply_integer(server_first, "conversationId", 0);
    if (!read_payload(server_first, text) || !make_proof(conversation, text, last)) {
        return wrong(conversation, "an impossible first message of SCRAM");
    }
    bson_t *reply;
    enum login_result result = continue_with(conversation, last, &reply);
    if (result != LOGIN_DONE) {
        return result;
    }
    bool right = read_payload(reply, text) && strncmp(text, "v=", 2) == 0 &&
                 strcmp(text + 2, conversation->signature) == 0;
    bool done = is_done(reply);
    bson_destroy(reply);
    if (!right) {
        return wrong(conversation, "a wrong signature of the server");
    }
    if (done) {
        return LOGIN_DONE;
    }
    result = continue_with(conversation, "", &reply);
    if (result == LOGIN_DONE) {
        done = is_done(reply);
        bson_destroy(reply);
        return done ? LOGIN_DONE : wrong(conversation, "a conversation without an end");
    }
    return result;
}

void login_append_metadata(const struct client *client, bson_t *hello)
{
    bson_t metadata, part;
    BSON_APPEND_DOCUMENT_BEGIN(hello, "client", &metadata);
    BSON_APPEND_DOCUMENT_BEGIN(&metadata, "application", &part);
    BSON_APPEND_UTF8(&part, "name", client->index % 2 == 0 ? "shop" : "till");
    bson_append_document_end(&metadata, &part);
    BSON_APPEND_DOCUMENT_BEGIN(&metadata, "driver", &part);
    BSON_APPEND_UTF8(&part, "name", "model");
    BSON_APPEND_UTF8(&part, "version", "1");
    bson_append_document_end(&metadata, &part);
    bson_append_document_end(hello, &metadata);
}

static void make_hello(struct client *client, bool says_hello, bson_t *hello)
{
    BSON_APPEND_INT32(hello, says_hello ? "hello" : "isMaster", 1);
    BSON_APPEND_BOOL(hello, "helloOk", true);
    if (client->what->backpressure) {
        BSON_APPEND_UTF8(hello, "backpressure", "2");
    }
    login_append_metadata(client, hello);
}

/* Sends the first hello, as OP_QUERY if the client is such a driver. */
static enum call_result send_hello(struct connection *connection, bson_t *hello, bson_t **reply)
{
    struct client *client = connection->client;
    struct frame_bytes bytes = {0};
    int32_t id = client_connection_next_id(connection);
    if (client->legacy_first && !connection->server->says_hello) {
        frame_write_query(&bytes, id, hello);
    } else {
        BSON_APPEND_UTF8(hello, "$db", "admin");
        frame_write_msg(&bytes, id, 0, hello, NULL, 0);
    }
    client_trace(client, "#%u sends hello %d", connection->number, id);
    enum call_result result =
        client_connection_call(connection, &bytes, id, "hello", client_connect_timeout_us, reply);
    frame_release(&bytes);
    return result;
}

enum call_result login_hello(struct connection *connection, bson_t **reply)
{
    bson_t hello = BSON_INITIALIZER;
    make_hello(connection->client, connection->server->says_hello, &hello);
    enum call_result result = send_hello(connection, &hello, reply);
    bson_destroy(&hello);
    return result;
}

static enum login_result log_in(struct conversation *conversation, const bson_t *hello_reply)
{
    bson_iter_t iter;
    const uint8_t *data;
    uint32_t len;
    bson_t speculative;
    if (bson_iter_init_find(&iter, hello_reply, "speculativeAuthenticate") &&
        BSON_ITER_HOLDS_DOCUMENT(&iter)) {
        bson_iter_document(&iter, &len, &data);
        if (bson_init_static(&speculative, data, len)) {
            return finish_conversation(conversation, &speculative);
        }
    }
    bson_t command = BSON_INITIALIZER;
    append_start(conversation, &command, false);
    bson_t *reply;
    enum login_result result = ask(conversation, "saslStart", &command, &reply);
    bson_destroy(&command);
    if (result == LOGIN_DONE) {
        result = finish_conversation(conversation, reply);
        bson_destroy(reply);
    }
    return result;
}

/* A login with the right password may be refused while the user changes, and at the proxy soon
 * after it. While the upstream does not tell users, one refusal makes the proxy doubt what it
 * knows. */
static void check_judgement(const struct conversation *conversation, enum login_result result)
{
    const struct client *client = conversation->connection->client;
    const struct plan *plan = client->plan;
    unsigned user = client->what->user;
    bool refused = result == LOGIN_REFUSED && conversation->code == 18;
    bool at_proxy = plan->login == PLAN_LOGIN_VERIFIER && !plan->direct;
    bool first = !passwords_was_judged(client->world, user, conversation->began_us);
    if ((refused || result == LOGIN_DONE) &&
        passwords_number(client->world, user) == conversation->password) {
        passwords_note_judged(client->world, user);
    }
    if (!refused ||
        (at_proxy &&
         (first || plan_has_fault(plan, FAULT_MEMORY) || plan_has_fault(plan, FAULT_CLOCK_STAND) ||
          plan_has_fault(plan, FAULT_CLOCK_LEAP) || plan_has_fault(plan, FAULT_PROXY_SLEEP)))) {
        return;
    }
    int64_t since_us = conversation->began_us - (at_proxy ? STALE_US : 0);
    if (passwords_were_settled(client->world, user, since_us)) {
        world_fail(client->world, "right password", "%s is refused as user %u on connection #%u",
                   client->actor, user, conversation->connection->number);
    }
}

enum login_result login_handshake(struct connection *connection, int *code)
{
    struct client *client = connection->client;
    struct conversation conversation = {.connection = connection};
    bson_t hello = BSON_INITIALIZER;
    make_hello(client, connection->server->says_hello, &hello);
    if (client->what->user > 0) {
        char name[64];
        snprintf(name, sizeof name, APPLICATION_USER_DATABASE "." APPLICATION_USER_FORMAT,
                 client->what->user);
        BSON_APPEND_UTF8(&hello, "saslSupportedMechs", name);
        begin_conversation(&conversation, client);
        if (client->speculates) {
            bson_t start;
            BSON_APPEND_DOCUMENT_BEGIN(&hello, "speculativeAuthenticate", &start);
            append_start(&conversation, &start, true);
            bson_append_document_end(&hello, &start);
        }
    }
    bson_t *reply;
    enum login_result result = from_call(send_hello(connection, &hello, &reply));
    bson_destroy(&hello);
    if (result != LOGIN_DONE) {
        return result;
    }
    if (!reply_is_ok(reply)) {
        *code = reply_code(reply);
        bson_destroy(reply);
        return LOGIN_REFUSED;
    }
    connection->is_standalone = topology_read_type(reply) == SERVER_STANDALONE;
    connection->has_sessions = reply_integer(reply, "logicalSessionTimeoutMinutes", 0) > 0;
    if (client->what->user > 0) {
        result = log_in(&conversation, reply);
        *code = conversation.code;
        check_judgement(&conversation, result);
    }
    bson_destroy(reply);
    return result;
}
