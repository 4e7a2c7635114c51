/* Users of the model server. */
#include "server/scripted_client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "application.h"
#include "passwords.h"

/* --- a client's side of SCRAM --- */

static void put_text(char *out, const uint8_t *data, size_t len)
{
    (void)EVP_EncodeBlock((uint8_t *)out, data, (int)len);
}

static void hmac(bool is_sha256, const uint8_t *key, size_t key_len, const char *text,
                 uint8_t out[32])
{
    unsigned len = 0;
    assert_non_null(HMAC(is_sha256 ? EVP_sha256() : EVP_sha1(), key, (int)key_len,
                         (const uint8_t *)text, strlen(text), out, &len));
}

static unsigned password_number; /* of the logins */

static void salted_password(bool is_sha256, unsigned user, const char *salt_text, uint8_t out[32])
{
    uint8_t salt[64];
    uint8_t digest[16];
    char password[80];
    char plain[128];
    size_t len = (size_t)EVP_DecodeBlock(salt, (const uint8_t *)salt_text, (int)strlen(salt_text));
    const char *end = salt_text + strlen(salt_text);
    len -= (size_t)(end[-1] == '=') + (size_t)(end[-2] == '=');
    (void)snprintf(password, sizeof password, APPLICATION_PASS_FORMAT, user, password_number);
    if (!is_sha256) {
        (void)snprintf(plain, sizeof plain, "user%u:mongo:%s", user, password);
        assert_int_equal(EVP_Digest(plain, strlen(plain), digest, NULL, EVP_md5(), NULL), 1);
        for (size_t i = 0; i < sizeof digest; i++)
            (void)snprintf(password + 2 * i, 3, "%02x", digest[i]);
    }
    assert_int_equal(
        PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)len, APPLICATION_ITERATIONS,
                          is_sha256 ? EVP_sha256() : EVP_sha1(), is_sha256 ? 32 : 20, out),
        1);
}

static bson_t *sasl(const char *first, int64_t value, const char *mechanism, const char *payload,
                    bool skips)
{
    bson_t *body = bson_new();
    bson_t options;
    bson_append_int32(body, first, -1, (int32_t)value);
    if (mechanism != NULL)
        bson_append_utf8(body, "mechanism", -1, mechanism, -1);
    else
        bson_append_int32(body, "conversationId", -1, 1);
    bson_append_binary(body, "payload", -1, BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
    if (mechanism != NULL && skips) {
        bson_append_document_begin(body, "options", -1, &options);
        bson_append_bool(&options, "skipEmptyExchange", -1, true);
        bson_append_document_end(body, &options);
    }
    bson_append_utf8(body, "$db", -1, "admin", -1);
    return body;
}

static void read_payload(const bson_t *reply, char out[512])
{
    bson_iter_t iter;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    assert_true(bson_iter_init_find(&iter, reply, "payload"));
    bson_iter_binary(&iter, NULL, &len, &data);
    assert_true(len < 512);
    memcpy(out, data, len);
    out[len] = 0;
}

static bson_t *send_body(struct peer *peer, bson_t *body)
{
    peer_send(peer, 0, body);
    bson_destroy(body);
    bson_t *reply = peer_receive(peer);
    assert_non_null(reply);
    return reply;
}

/* Writes the client's final message. */
static void prove(bool is_sha256, unsigned user, const char *bare, const char *second,
                  bool is_wrong, char out[1024])
{
    char nonce[256];
    char salt[128];
    char auth[2048];
    char without[512];
    char proof_text[64];
    uint8_t salted[32];
    uint8_t key[32];
    uint8_t stored[32];
    uint8_t signature[32];
    size_t len = is_sha256 ? 32 : 20;
    assert_int_equal(sscanf(second, "r=%255[^,],s=%127[^,]", nonce, salt), 2);
    salted_password(is_sha256, user, salt, salted);
    hmac(is_sha256, salted, len, "Client Key", key);
    (void)EVP_Digest(key, len, stored, NULL, is_sha256 ? EVP_sha256() : EVP_sha1(), NULL);
    (void)snprintf(without, sizeof without, "c=biws,r=%s", nonce);
    (void)snprintf(auth, sizeof auth, "%s,%s,%s", bare, second, without);
    hmac(is_sha256, stored, len, auth, signature);
    for (size_t i = 0; i < len; i++)
        key[i] ^= signature[i];
    key[0] ^= is_wrong;
    put_text(proof_text, key, len);
    (void)snprintf(out, 1024, "%s,p=%s", without, proof_text);
}

static int64_t log_in(struct peer *peer, bool is_sha256, unsigned user, bool skips, bool is_wrong)
{
    char first[128];
    char second[512];
    char final[1024];
    (void)snprintf(first, sizeof first, "n,,n=user%u,r=clientnonce", user);
    bson_t *reply = send_body(
        peer, sasl("saslStart", 1, is_sha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-1", first, skips));
    if (has_field(reply, "code")) {
        int64_t code = field(reply, "code");
        bson_destroy(reply);
        return code;
    }
    read_payload(reply, second);
    bson_destroy(reply);
    prove(is_sha256, user, first + 3, second, is_wrong, final);
    reply = send_body(peer, sasl("saslContinue", 1, NULL, final, skips));
    if (has_field(reply, "code")) {
        int64_t code = field(reply, "code");
        bson_destroy(reply);
        return code;
    }
    assert_int_equal(field(reply, "done"), skips);
    bson_destroy(reply);
    if (!skips) {
        reply = send_body(peer, sasl("saslContinue", 1, NULL, "", false));
        assert_int_equal(field(reply, "done"), 1);
        bson_destroy(reply);
    }
    return 0;
}

#define STATUS "{\"connectionStatus\": 1, \"$db\": \"admin\"}"
#define FIND   "{\"find\": \"open\", \"$db\": \"app\"}"

static void assert_user(struct peer *peer, const char *name)
{
    bson_t *reply = peer_ask(peer, STATUS);
    assert_string_equal(text_field(reply, "authInfo.authenticatedUsers.0.user"), name);
    bson_destroy(reply);
}

static struct plan plan_of(enum plan_server server)
{
    return (struct plan){.topology = PLAN_REPLICA_SET, .members = 1, .server = server, .users = 2};
}

static void test_login(void **state)
{
    struct scene scene;
    (void)state;
    for (int i = 0; i < 4; i++) {
        scene_open(&scene, plan_of(i < 2 ? PLAN_SERVER_4_4 : PLAN_SERVER_CURRENT));
        struct peer *peer = peer_dial(&scene, "a:27017");
        expect(peer, FIND, "code", 13);
        assert_user(peer, "");
        assert_int_equal(log_in(peer, i % 2, 1, true, true), 18);
        assert_int_equal(log_in(peer, i % 2, 9, true, false), 18);
        assert_user(peer, "");
        assert_int_equal(log_in(peer, i % 2, 1, i < 2, false), 0);
        assert_user(peer, "user1");
        expect(peer, FIND, "ok", 1);
        expect(peer, "{\"find\": \"open\", \"$db\": \"other\"}", "code", 13);
        /* A second login replaces the first on 4.4. Current servers refuse another user. */
        assert_int_equal(log_in(peer, i % 2, 2, true, false), i < 2 ? 0 : 18);
        assert_user(peer, i < 2 ? "user2" : "user1");
        expect(peer, "{\"logout\": 1, \"$db\": \"admin\"}", "ok", 1);
        expect(peer, FIND, "code", 13);
        peer_free(peer);
        scene_close(&scene);
    }
}

static void test_dropped_user(void **state)
{
    struct scene scene;
    struct cluster_user_keys keys;
    (void)state;
    scene_open(&scene, plan_of(PLAN_SERVER_4_4));
    struct peer *peer = peer_dial(&scene, "a:27017");
    assert_int_equal(log_in(peer, true, 1, true, false), 0);
    assert_true(cluster_user_keys(scene.cluster, 1, true, &keys));
    assert_int_equal(keys.key_len, 32);
    cluster_drop_user(scene.cluster, 1, world_now_us(scene.world) + 1000000);
    assert_false(cluster_user_keys(scene.cluster, 1, true, &keys));
    expect(peer, FIND, "code", 13);
    assert_int_equal(log_in(peer, true, 1, true, false), 18);
    scene_run(&scene, 1100000);
    assert_user(peer, ""); /* the user exists, but this connection is not logged in */
    assert_int_equal(log_in(peer, true, 1, true, false), 18); /* it has another password */
    password_number = passwords_number(scene.world, 1);
    assert_int_equal(log_in(peer, true, 1, true, false), 0);
    password_number = 0;
    assert_user(peer, "user1");
    peer_free(peer);
    scene_close(&scene);
}

static void test_speculative_login(void **state)
{
    char second[512];
    char final[1024];
    struct scene scene;
    (void)state;
    scene_open(&scene, plan_of(PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    bson_t *start = sasl("saslStart", 1, "SCRAM-SHA-256", "n,,n=user2,r=abc", true);
    bson_t *hello = from_json("{\"hello\": 1, \"saslSupportedMechs\": \"admin.user2\", "
                              "\"$db\": \"admin\"}");
    bson_append_document(hello, "speculativeAuthenticate", -1, start);
    bson_destroy(start);
    bson_t *reply = send_body(peer, hello);
    assert_string_equal(text_field(reply, "saslSupportedMechs.1"), "SCRAM-SHA-256");
    bson_iter_t iter;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    bson_t inner;
    assert_true(bson_iter_init_find(&iter, reply, "speculativeAuthenticate"));
    bson_iter_document(&iter, &len, &data);
    assert_true(bson_init_static(&inner, data, len));
    read_payload(&inner, second);
    bson_destroy(reply);
    prove(true, 2, "n=user2,r=abc", second, false, final);
    reply = send_body(peer, sasl("saslContinue", 1, NULL, final, true));
    assert_int_equal(field(reply, "done"), 1);
    assert_fields(reply, "conversationId done payload ok $clusterTime operationTime");
    bson_destroy(reply);
    assert_user(peer, "user2");
    peer_free(peer);
    scene_close(&scene);
}

static void test_sessions_belong_to_users(void **state)
{
    static const char insert[] = "{\"insert\": \"open\", \"documents\": [{\"_id\": 1}], " LSID
                                 ", " NUMBER(1) ", \"$db\": \"app\"}";
    struct scene scene;
    struct cluster_document document;
    (void)state;
    scene_open(&scene, plan_of(PLAN_SERVER_4_4));
    struct peer *one = peer_dial(&scene, "a:27017");
    struct peer *two = peer_dial(&scene, "a:27017");
    assert_int_equal(log_in(one, true, 1, true, false), 0);
    assert_int_equal(log_in(two, true, 2, true, false), 0);
    expect(one, insert, "n", 1);
    expect(one, insert, "n", 1);
    expect(two, insert, "writeErrors.0.code", 11000);
    assert_true(cluster_find(scene.cluster, "open", 1, &document));
    assert_int_equal(document.user, 1);
    assert_int_equal(document.writers, 2);
    assert_int_equal(document.written, 1);
    peer_free(two);
    peer_free(one);
    scene_close(&scene);
}

static void test_forged_cluster_time(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene, plan_of(PLAN_SERVER_CURRENT));
    struct peer *peer = peer_dial(&scene, "a:27017");
    assert_int_equal(log_in(peer, true, 1, true, false), 0);
    bson_t *reply = peer_ask(peer, FIND);
    bson_t *body = from_json(FIND);
    bson_iter_t iter;
    assert_true(bson_iter_init_find(&iter, reply, "$clusterTime"));
    bson_append_iter(body, "$clusterTime", -1, &iter);
    bson_destroy(reply);
    reply = send_body(peer, body);
    assert_int_equal(field(reply, "ok"), 1);
    bson_destroy(reply);
    expect(peer,
           "{\"find\": \"open\", \"$clusterTime\": {\"clusterTime\": {\"$timestamp\": "
           "{\"t\": 9, \"i\": 9}}, \"signature\": {\"hash\": {\"$binary\": {\"base64\": "
           "\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"subType\": \"00\"}}, \"keyId\": 1}}, "
           "\"$db\": \"app\"}",
           "code", 204);
    peer_free(peer);
    scene_close(&scene);
}

static void test_overload(void **state)
{
    struct scene scene;
    struct plan plan = {.topology = PLAN_REPLICA_SET, .members = 1, .server = PLAN_SERVER_CURRENT};
    (void)state;
    scene_open(&scene, plan);
    struct peer *peer = peer_dial(&scene, "a:27017");
    cluster_overload(scene.cluster, 1000, 1000000);
    expect(peer, FIND, "ok", 1); /* it said nothing */
    expect(peer, "{\"hello\": 1, \"backpressure\": \"2\", \"$db\": \"admin\"}", "ok", 1);
    bson_t *reply = peer_ask(peer, FIND);
    assert_int_equal(field(reply, "code"), 462);
    assert_string_equal(text_field(reply, "errorLabels.0"), "SystemOverloadedError");
    assert_string_equal(text_field(reply, "errorLabels.1"), "RetryableError");
    bson_destroy(reply);
    scene_run(&scene, 1000000);
    expect(peer, FIND, "ok", 1);
    peer_free(peer);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_dropped_user),
        cmocka_unit_test(test_speculative_login),
        cmocka_unit_test(test_sessions_belong_to_users),
        cmocka_unit_test(test_forged_cluster_time),
        cmocka_unit_test(test_overload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
