/* The identity watcher, with real exchanges (captured.h) and with ones that no driver makes. */
#include "auth/identity.h"

#include "base/memory.h"
#include "captured.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first. */
#include <bson/bson.h>
#include <cmocka.h>

#define CAPTURED(name) bytes_of(name, sizeof(name) - 1)

static const uint8_t nobody_key[IDENTITY_KEY_BYTES];

static struct bytes bytes_of_bson(const bson_t *document)
{
    return bytes_of(bson_get_data(document), document->len);
}

static enum identity_watch command(struct identity **id, bson_t *document)
{
    enum identity_watch watch = identity_command(id, bytes_of_bson(document), NULL, 0);
    bson_destroy(document);
    return watch;
}

static enum identity_event reply(struct identity *id, bson_t *document)
{
    enum identity_event event = identity_reply(id, bytes_of_bson(document));
    bson_destroy(document);
    return event;
}

static bson_t *sasl_start_binary(const char *mechanism, const char *payload, size_t len,
                                 const char *db)
{
    return BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8(mechanism), "payload",
                    BCON_BIN(BSON_SUBTYPE_BINARY, (const uint8_t *)payload, (uint32_t)len), "$db",
                    BCON_UTF8(db));
}

static bson_t *sasl_start(const char *mechanism, const char *payload, const char *db)
{
    return sasl_start_binary(mechanism, payload, strlen(payload), db);
}

static bson_t *sasl_reply(bool done)
{
    return BCON_NEW("conversationId", BCON_INT32(1), "done", BCON_BOOL(done), "payload",
                    BCON_UTF8(""), "ok", BCON_DOUBLE(1));
}

static bson_t *refusal(void)
{
    return BCON_NEW("ok", BCON_DOUBLE(0), "errmsg", BCON_UTF8("Authentication failed."), "code",
                    BCON_INT32(18));
}

static void expect_description(const struct identity *id, const char *expected)
{
    char text[256];
    assert_string_equal(identity_describe(id, text, sizeof text), expected);
}

/* Logs in with one saslStart that the server accepts at once. */
static void log_in(struct identity **id, const char *mechanism, const char *payload, const char *db)
{
    assert_int_equal(command(id, sasl_start(mechanism, payload, db)), IDENTITY_WATCH);
    assert_int_equal(reply(*id, sasl_reply(true)), IDENTITY_AUTHENTICATED);
}

static void test_speculative_scram_sha_256(void **state)
{
    (void)state;
    struct identity *id = NULL;
    uint8_t key[IDENTITY_KEY_BYTES];
    assert_int_equal(identity_command(&id, CAPTURED(sha256_hello), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(sha256_hello_reply)), IDENTITY_UNCHANGED);
    identity_key(id, 7, key);
    assert_memory_equal(key, nobody_key, sizeof key);
    assert_int_equal(identity_command(&id, CAPTURED(sha256_continue), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(sha256_continue_reply)), IDENTITY_AUTHENTICATED);
    expect_description(id, "alice@admin (SCRAM-SHA-256)");
    identity_free(id);
}

static void test_scram_sha_1_without_speculation(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(identity_command(&id, CAPTURED(sha1_start), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(sha1_start_reply)), IDENTITY_UNCHANGED);
    assert_int_equal(identity_command(&id, CAPTURED(sha1_continue), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(sha1_continue_reply)), IDENTITY_AUTHENTICATED);
    expect_description(id, "alice@admin (SCRAM-SHA-1)");
    identity_free(id);
}

static void test_escaped_name(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(identity_command(&id, CAPTURED(escaped_hello), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(escaped_hello_reply)), IDENTITY_UNCHANGED);
    assert_int_equal(identity_command(&id, CAPTURED(sha256_continue), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(sha256_continue_reply)), IDENTITY_AUTHENTICATED);
    expect_description(id, "o=b,c@admin (SCRAM-SHA-1)");
    identity_free(id);
}

static void test_wrong_password(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(identity_command(&id, CAPTURED(sha256_hello), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(sha256_hello_reply)), IDENTITY_UNCHANGED);
    assert_int_equal(identity_command(&id, CAPTURED(sha256_continue), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(wrong_continue_reply)), IDENTITY_FAILED);
    assert_int_equal(identity_user_count(id), 0);
    expect_description(id, "");
    identity_free(id);
}

static void test_plain(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(identity_command(&id, CAPTURED(plain_start), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(identity_reply(id, CAPTURED(plain_start_reply)), IDENTITY_FAILED);
    assert_int_equal(identity_command(&id, CAPTURED(plain_start), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(reply(id, sasl_reply(true)), IDENTITY_AUTHENTICATED);
    expect_description(id, "alice@$external (PLAIN)");
    identity_free(id);
}

/* libmongoc sends the payload as base64 in a string: NUL carol NUL secret. */
static void test_plain_in_base64(void **state)
{
    (void)state;
    struct identity *id = NULL;
    bson_t *start = BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("PLAIN"), "payload",
                             BCON_UTF8("AGNhcm9sAHNlY3JldA=="), "$db", BCON_UTF8("$external"));
    assert_int_equal(command(&id, start), IDENTITY_WATCH);
    assert_int_equal(reply(id, sasl_reply(true)), IDENTITY_AUTHENTICATED);
    expect_description(id, "carol@$external (PLAIN)");
    identity_free(id);
}

static void test_hello_without_authentication_costs_nothing(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(identity_command(&id, CAPTURED(plain_hello), NULL, 0), IDENTITY_PASS);
    assert_int_equal(command(&id, BCON_NEW("ping", BCON_INT32(1))), IDENTITY_PASS);
    assert_int_equal(command(&id, BCON_NEW("logout", BCON_INT32(1))), IDENTITY_PASS);
    assert_null(id);
    expect_description(id, "");
}

static void test_speculation_that_the_server_ignores(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(identity_command(&id, CAPTURED(sha256_hello), NULL, 0), IDENTITY_WATCH);
    assert_int_equal(reply(id, BCON_NEW("ismaster", BCON_BOOL(true), "ok", BCON_DOUBLE(1))),
                     IDENTITY_UNCHANGED);
    log_in(&id, "SCRAM-SHA-256", "n,,n=dave,r=x", "test");
    expect_description(id, "dave@test (SCRAM-SHA-256)");
    identity_free(id);
}

static bson_t *x509(const char *user)
{
    bson_t *document = BCON_NEW("authenticate", BCON_INT32(1), "mechanism",
                                BCON_UTF8("MONGODB-X509"), "$db", BCON_UTF8("$external"));
    if (user != NULL)
        BSON_APPEND_UTF8(document, "user", user);
    return document;
}

static void test_x509(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(command(&id, x509("CN=app,O=mongosluice")), IDENTITY_WATCH);
    assert_int_equal(reply(id, refusal()), IDENTITY_FAILED);
    assert_int_equal(command(&id, x509("CN=app,O=mongosluice")), IDENTITY_WATCH);
    assert_int_equal(reply(id, BCON_NEW("ok", BCON_DOUBLE(1))), IDENTITY_AUTHENTICATED);
    expect_description(id, "CN=app,O=mongosluice@$external (MONGODB-X509)");
    assert_int_equal(command(&id, x509(NULL)), IDENTITY_WATCH);
    assert_int_equal(
        reply(id, BCON_NEW("dbname", "$external", "user", "CN=b", "ok", BCON_INT32(1))),
        IDENTITY_AUTHENTICATED);
    expect_description(id, "CN=b@$external (MONGODB-X509)");
    identity_free(id);
}

static void test_speculative_x509(void **state)
{
    (void)state;
    struct identity *id = NULL;
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1), "speculativeAuthenticate", "{", "authenticate",
                             BCON_INT32(1), "mechanism", BCON_UTF8("MONGODB-X509"), "db",
                             BCON_UTF8("$external"), "}", "$db", BCON_UTF8("admin"));
    assert_int_equal(command(&id, hello), IDENTITY_WATCH);
    assert_int_equal(
        reply(id, BCON_NEW("speculativeAuthenticate", "{", "dbname", BCON_UTF8("$external"), "user",
                           BCON_UTF8("CN=c"), "}", "ok", BCON_DOUBLE(1))),
        IDENTITY_AUTHENTICATED);
    expect_description(id, "CN=c@$external (MONGODB-X509)");
    identity_free(id);
}

static void test_logout(void **state)
{
    (void)state;
    struct identity *id = NULL;
    uint8_t key[IDENTITY_KEY_BYTES];
    log_in(&id, "SCRAM-SHA-256", "n,,n=dave,r=x", "test");
    assert_int_equal(command(&id, BCON_NEW("logout", BCON_INT32(1), "$db", "other")),
                     IDENTITY_WATCH);
    assert_int_equal(reply(id, BCON_NEW("ok", BCON_DOUBLE(1))), IDENTITY_UNCHANGED);
    assert_int_equal(identity_user_count(id), 1);
    assert_int_equal(command(&id, BCON_NEW("logout", BCON_INT32(1), "$db", "test")),
                     IDENTITY_WATCH);
    assert_int_equal(reply(id, BCON_NEW("ok", BCON_DOUBLE(1))), IDENTITY_LOGGED_OUT);
    assert_int_equal(identity_user_count(id), 0);
    identity_key(id, 7, key);
    assert_memory_equal(key, nobody_key, sizeof key);
    identity_free(id);
}

/* An OP_QUERY command has no $db: the caller names the database. */
static void test_database_from_the_caller(void **state)
{
    (void)state;
    struct identity *id = NULL;
    bson_t *start = BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("SCRAM-SHA-1"),
                             "payload", BCON_BIN(0, (const uint8_t *)"n,,n=e,r=x", 10));
    assert_int_equal(identity_command(&id, bytes_of_bson(start), "legacy", 6), IDENTITY_WATCH);
    bson_destroy(start);
    assert_int_equal(reply(id, sasl_reply(true)), IDENTITY_AUTHENTICATED);
    expect_description(id, "e@legacy (SCRAM-SHA-1)");
    identity_free(id);
}

struct login {
    const char *name;
    const char *db;
};

/* The key after these users logged in, in this order; the list ends with a NULL name. */
static void key_of(const struct login *logins, uint8_t key[IDENTITY_KEY_BYTES])
{
    struct identity *id = NULL;
    for (; logins->name != NULL; logins++) {
        char payload[64];
        (void)snprintf(payload, sizeof payload, "n,,n=%s,r=x", logins->name);
        log_in(&id, "SCRAM-SHA-256", payload, logins->db);
    }
    identity_key(id, 1, key);
    identity_free(id);
}

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        struct login one[3];
        struct login other[3];
        bool equal;
    } cases[] = {
        {{{"ann", "x"}}, {{"ann", "x"}}, true},
        {{{"ann", "x"}}, {{"ann", "y"}}, false},
        {{{"ann", "x"}}, {{"nn", "xa"}}, false},
        {{{"ann", "x"}}, {{NULL}}, false},
        /* A set has no order, and the later user of a database replaces the earlier one. */
        {{{"ann", "x"}, {"bob", "y"}}, {{"bob", "y"}, {"ann", "x"}}, true},
        {{{"ann", "x"}, {"bob", "x"}}, {{"bob", "x"}}, true},
        {{{"ann", "x"}, {"bob", "y"}}, {{"bob", "y"}}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t one[IDENTITY_KEY_BYTES];
        uint8_t other[IDENTITY_KEY_BYTES];
        key_of(cases[i].one, one);
        key_of(cases[i].other, other);
        if ((memcmp(one, other, sizeof one) == 0) != cases[i].equal)
            fail_msg("case %zu", i);
    }
}

static void expect_equals_nobody_else(const struct identity *id)
{
    uint8_t a[IDENTITY_KEY_BYTES];
    uint8_t b[IDENTITY_KEY_BYTES];
    identity_key(id, 1, a);
    identity_key(id, 2, b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, nobody_key, sizeof a);
    identity_key(id, 1, b);
    assert_memory_equal(a, b, sizeof a);
}

static void test_principals_that_are_not_known(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism;
        const char *payload;
    } cases[] = {
        {"MONGODB-OIDC", "\x16"},
        {"MONGODB-AWS", "\x16"},
        {"GSSAPI", "ticket"},
        {"SCRAM-SHA-512", "n,,n=a,r=x"},
        {"SCRAM-SHA-256", "n,a=root,n=a,r=x"},
        {"SCRAM-SHA-256", "n,,n=a=00b,r=x"},
        {"SCRAM-SHA-256", "n,,n=a=2"},
        {"SCRAM-SHA-256", "n,,n=a"},
        {"SCRAM-SHA-256", "n,,n=,r=x"},
        {"SCRAM-SHA-256", "n,,m=1,n=a,r=x"},
        {"SCRAM-SHA-256", "nonsense"},
        {"SCRAM-SHA-256", ""},
        {"PLAIN", "no separators"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct identity *id = NULL;
        log_in(&id, cases[i].mechanism, cases[i].payload, "$external");
        assert_int_equal(identity_user_count(id), 1);
        expect_equals_nobody_else(id);
        identity_free(id);
    }
}

static void test_plain_for_somebody_else(void **state)
{
    (void)state;
    struct identity *id = NULL;
    (void)command(&id, sasl_start_binary("PLAIN", "root\0al\0pw", 10, "$external"));
    assert_int_equal(reply(id, sasl_reply(true)), IDENTITY_AUTHENTICATED);
    expect_equals_nobody_else(id);
    (void)command(&id, sasl_start_binary("PLAIN", "al\0al\0pw", 8, "$external"));
    assert_int_equal(reply(id, sasl_reply(true)), IDENTITY_AUTHENTICATED);
    expect_description(id, "al@$external (PLAIN)");
    identity_free(id);
}

static void test_long_names(void **state)
{
    (void)state;
    for (size_t len = IDENTITY_NAME_MAX; len <= IDENTITY_NAME_MAX + 1; len++) {
        struct identity *id = NULL;
        uint8_t first[IDENTITY_KEY_BYTES];
        uint8_t second[IDENTITY_KEY_BYTES];
        char payload[IDENTITY_NAME_MAX + 32] = "n,,n=";
        memset(payload + 5, 'a', len);
        memcpy(payload + 5 + len, ",r=x", 5);
        log_in(&id, "SCRAM-SHA-256", payload, "admin");
        identity_key(id, 1, first);
        identity_key(id, 2, second);
        if (len == IDENTITY_NAME_MAX)
            assert_memory_equal(first, second, sizeof first);
        else
            expect_equals_nobody_else(id);
        identity_free(id);
    }
}

/* Which of two equal fields a server takes is not ours to guess. */
static void test_repeated_fields(void **state)
{
    (void)state;
    struct identity *id = NULL;
    bson_t *start = sasl_start("SCRAM-SHA-256", "n,,n=me,r=x", "admin");
    BSON_APPEND_BINARY(start, "payload", BSON_SUBTYPE_BINARY, (const uint8_t *)"n,,n=you,r=x", 12);
    assert_int_equal(command(&id, start), IDENTITY_WATCH);
    assert_int_equal(reply(id, sasl_reply(true)), IDENTITY_AUTHENTICATED);
    expect_equals_nobody_else(id);
    identity_free(id);
}

/* Somebody logs in as himself and sends a second attempt, as another, before the first is
 * answered: the first answer must not make him the other. */
static void test_crossing_commands(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(command(&id, sasl_start("SCRAM-SHA-256", "n,,n=me,r=x", "admin")),
                     IDENTITY_WATCH);
    assert_int_equal(command(&id, sasl_start("SCRAM-SHA-256", "n,,n=root,r=x", "admin")),
                     IDENTITY_WATCH);
    (void)reply(id, sasl_reply(true));
    expect_equals_nobody_else(id);
    (void)reply(id, refusal());
    expect_equals_nobody_else(id);
    identity_free(id);
}

/* A refused attempt as another in the middle of a conversation leaves nothing of its name. */
static void test_claim_ends_with_its_refusal(void **state)
{
    (void)state;
    struct identity *id = NULL;
    (void)command(&id, sasl_start("SCRAM-SHA-256", "n,,n=me,r=x", "admin"));
    (void)reply(id, sasl_reply(false));
    (void)command(&id, x509("CN=root"));
    assert_int_equal(reply(id, refusal()), IDENTITY_FAILED);
    assert_int_equal(identity_command(&id, CAPTURED(sha256_continue), NULL, 0), IDENTITY_WATCH);
    (void)identity_reply(id, CAPTURED(sha256_continue_reply));
    expect_equals_nobody_else(id);
    identity_free(id);
}

static void test_failed_login_keeps_the_earlier_user(void **state)
{
    (void)state;
    struct identity *id = NULL;
    log_in(&id, "SCRAM-SHA-256", "n,,n=dave,r=x", "test");
    (void)command(&id, sasl_start("SCRAM-SHA-256", "n,,n=root,r=x", "admin"));
    assert_int_equal(reply(id, refusal()), IDENTITY_FAILED);
    expect_description(id, "dave@test (SCRAM-SHA-256)");
    identity_free(id);
}

static void test_users_stand_in_the_order_of_their_logins(void **state)
{
    (void)state;
    struct identity *id = NULL;
    log_in(&id, "SCRAM-SHA-256", "n,,n=zoe,r=x", "z");
    log_in(&id, "SCRAM-SHA-1", "n,,n=ann,r=x", "a");
    log_in(&id, "SCRAM-SHA-256", "n,,n=bob,r=x", "b");
    expect_description(id, "zoe@z (SCRAM-SHA-256), ann@a (SCRAM-SHA-1), bob@b (SCRAM-SHA-256)");
    log_in(&id, "SCRAM-SHA-256", "n,,n=yan,r=x", "z");
    expect_description(id, "ann@a (SCRAM-SHA-1), bob@b (SCRAM-SHA-256), yan@z (SCRAM-SHA-256)");
    identity_free(id);
}

static void test_too_many_users(void **state)
{
    (void)state;
    struct identity *id = NULL;
    for (int i = 0; i <= IDENTITY_USERS_MAX; i++) {
        char db[8];
        (void)snprintf(db, sizeof db, "db%d", i);
        log_in(&id, "SCRAM-SHA-256", "n,,n=a,r=x", db);
    }
    assert_int_equal(identity_user_count(id), IDENTITY_USERS_MAX);
    expect_equals_nobody_else(id);
    char small[20];
    (void)identity_describe(id, small, sizeof small);
    assert_int_equal(strlen(small), sizeof small - 1);
    identity_free(id);
}

static void test_malformed_bodies(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof sha256_hello - 1; len++) {
        struct identity *id = NULL;
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, sha256_hello, len);
        (void)identity_command(&id, bytes_of(exact, len), NULL, 0);
        (void)identity_reply(id, bytes_of(exact, len));
        assert_int_equal(identity_user_count(id), 0);
        identity_free(id);
        free(exact);
    }
}

static void test_failing_allocations(void **state)
{
    (void)state;
    bool complete = false;
    for (long i = 1; !complete; i++) {
        struct identity *id = NULL;
        assert_in_range(i, 1, 100);
        memory_fail_after(i);
        enum identity_watch watch = identity_command(&id, CAPTURED(sha256_hello), NULL, 0);
        memory_fail_never();
        complete = watch == IDENTITY_WATCH;
        if (!complete)
            assert_int_equal(watch, IDENTITY_NO_MEMORY);
        if (!complete && id != NULL)
            expect_equals_nobody_else(id);
        identity_free(id);
    }
}

/* A name that only the reply says and that cannot be kept must not turn into nobody. */
static void test_failing_allocation_in_a_reply(void **state)
{
    (void)state;
    struct identity *id = NULL;
    assert_int_equal(command(&id, x509(NULL)), IDENTITY_WATCH);
    bson_t *answer =
        BCON_NEW("dbname", BCON_UTF8("$external"), "user", BCON_UTF8("CN=b"), "ok", BCON_INT32(1));
    memory_fail_after(1);
    enum identity_event event = identity_reply(id, bytes_of_bson(answer));
    memory_fail_never();
    bson_destroy(answer);
    assert_int_equal(event, IDENTITY_AUTHENTICATED);
    expect_equals_nobody_else(id);
    identity_free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speculative_scram_sha_256),
        cmocka_unit_test(test_scram_sha_1_without_speculation),
        cmocka_unit_test(test_escaped_name),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_in_base64),
        cmocka_unit_test(test_hello_without_authentication_costs_nothing),
        cmocka_unit_test(test_speculation_that_the_server_ignores),
        cmocka_unit_test(test_x509),
        cmocka_unit_test(test_speculative_x509),
        cmocka_unit_test(test_logout),
        cmocka_unit_test(test_database_from_the_caller),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_principals_that_are_not_known),
        cmocka_unit_test(test_plain_for_somebody_else),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_repeated_fields),
        cmocka_unit_test(test_crossing_commands),
        cmocka_unit_test(test_claim_ends_with_its_refusal),
        cmocka_unit_test(test_failed_login_keeps_the_earlier_user),
        cmocka_unit_test(test_users_stand_in_the_order_of_their_logins),
        cmocka_unit_test(test_too_many_users),
        cmocka_unit_test(test_malformed_bodies),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_failing_allocation_in_a_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
