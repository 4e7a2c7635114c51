/* What clients claim, with real exchanges (captured.h) and with ones that no driver makes. */
#include "auth/claim.h"

#include "base/memory.h"
#include "captured.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first. */
#include <bson/bson.h>
#include <cmocka.h>

#define CAPTURED(name) bytes_of(name, sizeof(name) - 1)

static struct bytes bytes_of_bson(const bson_t *document)
{
    return bytes_of(bson_get_data(document), document->len);
}

static bool command(struct claim **id, bson_t *document)
{
    bool watch = claim_command(id, bytes_of_bson(document), NULL, 0);
    bson_destroy(document);
    return watch;
}

static enum claim_event reply(struct claim *id, bson_t *document)
{
    enum claim_event event = claim_reply(id, bytes_of_bson(document));
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

static void expect_description(const struct claim *id, const char *expected)
{
    char text[256];
    assert_string_equal(claim_describe(id, text, sizeof text), expected);
}

/* Logs in with one saslStart that the server accepts at once. */
static void log_in(struct claim **id, const char *mechanism, const char *payload, const char *db)
{
    assert_true(command(id, sasl_start(mechanism, payload, db)));
    assert_int_equal(reply(*id, sasl_reply(true)), CLAIM_ACCEPTED);
}

static void test_speculative_scram_sha_256(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(claim_command(&id, CAPTURED(sha256_hello), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(sha256_hello_reply)), CLAIM_UNCHANGED);
    expect_description(id, "");
    assert_true(claim_command(&id, CAPTURED(sha256_continue), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(sha256_continue_reply)), CLAIM_ACCEPTED);
    expect_description(id, "alice@admin (SCRAM-SHA-256, claimed)");
    claim_free(id);
}

static void test_scram_sha_1_without_speculation(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(claim_command(&id, CAPTURED(sha1_start), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(sha1_start_reply)), CLAIM_UNCHANGED);
    assert_true(claim_command(&id, CAPTURED(sha1_continue), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(sha1_continue_reply)), CLAIM_ACCEPTED);
    expect_description(id, "alice@admin (SCRAM-SHA-1, claimed)");
    claim_free(id);
}

static void test_escaped_name(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(claim_command(&id, CAPTURED(escaped_hello), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(escaped_hello_reply)), CLAIM_UNCHANGED);
    assert_true(claim_command(&id, CAPTURED(sha256_continue), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(sha256_continue_reply)), CLAIM_ACCEPTED);
    expect_description(id, "o=b,c@admin (SCRAM-SHA-1, claimed)");
    claim_free(id);
}

static void test_wrong_password(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(claim_command(&id, CAPTURED(sha256_hello), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(sha256_hello_reply)), CLAIM_UNCHANGED);
    assert_true(claim_command(&id, CAPTURED(sha256_continue), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(wrong_continue_reply)), CLAIM_REFUSED);
    expect_description(id, "");
    claim_free(id);
}

static void test_plain(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(claim_command(&id, CAPTURED(plain_start), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(plain_start_reply)), CLAIM_REFUSED);
    assert_true(claim_command(&id, CAPTURED(plain_start), NULL, 0));
    assert_int_equal(reply(id, sasl_reply(true)), CLAIM_ACCEPTED);
    expect_description(id, "alice@$external (PLAIN, claimed)");
    claim_free(id);
}

/* libmongoc sends the payload as base64 in a string: NUL carol NUL secret. */
static void test_plain_in_base64(void **state)
{
    (void)state;
    struct claim *id = NULL;
    bson_t *start = BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("PLAIN"), "payload",
                             BCON_UTF8("AGNhcm9sAHNlY3JldA=="), "$db", BCON_UTF8("$external"));
    assert_true(command(&id, start));
    assert_int_equal(reply(id, sasl_reply(true)), CLAIM_ACCEPTED);
    expect_description(id, "carol@$external (PLAIN, claimed)");
    claim_free(id);
}

static void test_hello_without_authentication_costs_nothing(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_false(claim_command(&id, CAPTURED(plain_hello), NULL, 0));
    assert_false(command(&id, BCON_NEW("ping", BCON_INT32(1))));
    assert_false(command(&id, BCON_NEW("logout", BCON_INT32(1))));
    assert_null(id);
    expect_description(id, "");
}

static void test_speculation_that_the_server_ignores(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(claim_command(&id, CAPTURED(sha256_hello), NULL, 0));
    assert_int_equal(reply(id, BCON_NEW("ismaster", BCON_BOOL(true), "ok", BCON_DOUBLE(1))),
                     CLAIM_UNCHANGED);
    log_in(&id, "SCRAM-SHA-256", "n,,n=dave,r=x", "test");
    expect_description(id, "dave@test (SCRAM-SHA-256, claimed)");
    claim_free(id);
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
    struct claim *id = NULL;
    assert_true(command(&id, x509("CN=app,O=mongosluice")));
    assert_int_equal(reply(id, refusal()), CLAIM_REFUSED);
    assert_true(command(&id, x509("CN=app,O=mongosluice")));
    assert_int_equal(reply(id, BCON_NEW("ok", BCON_DOUBLE(1))), CLAIM_ACCEPTED);
    expect_description(id, "CN=app,O=mongosluice@$external (MONGODB-X509, claimed)");
    assert_true(command(&id, x509(NULL)));
    assert_int_equal(
        reply(id, BCON_NEW("dbname", "$external", "user", "CN=b", "ok", BCON_INT32(1))),
        CLAIM_ACCEPTED);
    expect_description(id, "CN=b@$external (MONGODB-X509, claimed)");
    claim_free(id);
}

static void test_speculative_x509(void **state)
{
    (void)state;
    struct claim *id = NULL;
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1), "speculativeAuthenticate", "{", "authenticate",
                             BCON_INT32(1), "mechanism", BCON_UTF8("MONGODB-X509"), "db",
                             BCON_UTF8("$external"), "}", "$db", BCON_UTF8("admin"));
    assert_true(command(&id, hello));
    assert_int_equal(
        reply(id, BCON_NEW("speculativeAuthenticate", "{", "dbname", BCON_UTF8("$external"), "user",
                           BCON_UTF8("CN=c"), "}", "ok", BCON_DOUBLE(1))),
        CLAIM_ACCEPTED);
    expect_description(id, "CN=c@$external (MONGODB-X509, claimed)");
    claim_free(id);
}

static void test_logout(void **state)
{
    (void)state;
    struct claim *id = NULL;
    log_in(&id, "SCRAM-SHA-256", "n,,n=dave,r=x", "test");
    assert_true(command(&id, BCON_NEW("logout", BCON_INT32(1), "$db", "test")));
    assert_int_equal(reply(id, refusal()), CLAIM_UNCHANGED);
    expect_description(id, "dave@test (SCRAM-SHA-256, claimed)");
    assert_true(command(&id, BCON_NEW("logout", BCON_INT32(1), "$db", "test")));
    assert_int_equal(reply(id, BCON_NEW("ok", BCON_DOUBLE(1))), CLAIM_LOGGED_OUT);
    expect_description(id, "");
    assert_true(command(&id, BCON_NEW("logout", BCON_INT32(1), "$db", "test")));
    assert_int_equal(reply(id, BCON_NEW("ok", BCON_DOUBLE(1))), CLAIM_UNCHANGED);
    claim_free(id);
}

/* An OP_QUERY command has no $db: the caller names the database. */
static void test_database_from_the_caller(void **state)
{
    (void)state;
    struct claim *id = NULL;
    bson_t *start = BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("SCRAM-SHA-1"),
                             "payload", BCON_BIN(0, (const uint8_t *)"n,,n=e,r=x", 10));
    assert_true(claim_command(&id, bytes_of_bson(start), "legacy", 6));
    bson_destroy(start);
    assert_int_equal(reply(id, sasl_reply(true)), CLAIM_ACCEPTED);
    expect_description(id, "e@legacy (SCRAM-SHA-1, claimed)");
    claim_free(id);
}

static void expect_unclear_name(const struct claim *id)
{
    const char *name = NULL;
    const char *db = NULL;
    const char *mechanism = NULL;
    claim_accepted(id, &name, &db, &mechanism);
    assert_string_equal(name, "?");
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
        struct claim *id = NULL;
        log_in(&id, cases[i].mechanism, cases[i].payload, "$external");
        expect_unclear_name(id);
        claim_free(id);
    }
}

static void test_plain_for_somebody_else(void **state)
{
    (void)state;
    struct claim *id = NULL;
    (void)command(&id, sasl_start_binary("PLAIN", "root\0al\0pw", 10, "$external"));
    assert_int_equal(reply(id, sasl_reply(true)), CLAIM_ACCEPTED);
    expect_unclear_name(id);
    (void)command(&id, sasl_start_binary("PLAIN", "al\0al\0pw", 8, "$external"));
    assert_int_equal(reply(id, sasl_reply(true)), CLAIM_ACCEPTED);
    expect_description(id, "al@$external (PLAIN, claimed)");
    claim_free(id);
}

static void test_long_names(void **state)
{
    (void)state;
    for (size_t len = CLAIM_NAME_MAX; len <= CLAIM_NAME_MAX + 1; len++) {
        struct claim *id = NULL;
        const char *name = NULL;
        const char *db = NULL;
        const char *mechanism = NULL;
        char payload[CLAIM_NAME_MAX + 32] = "n,,n=";
        memset(payload + 5, 'a', len);
        memcpy(payload + 5 + len, ",r=x", 5);
        log_in(&id, "SCRAM-SHA-256", payload, "admin");
        claim_accepted(id, &name, &db, &mechanism);
        assert_int_equal(strlen(name), len == CLAIM_NAME_MAX ? len : 1);
        char small[20];
        (void)claim_describe(id, small, sizeof small);
        assert_in_range(strlen(small), 1, sizeof small - 1);
        claim_free(id);
    }
}

/* The proxy cannot know which of two equal fields a server uses. */
static void test_repeated_fields(void **state)
{
    (void)state;
    struct claim *id = NULL;
    bson_t *start = sasl_start("SCRAM-SHA-256", "n,,n=me,r=x", "admin");
    BSON_APPEND_BINARY(start, "payload", BSON_SUBTYPE_BINARY, (const uint8_t *)"n,,n=you,r=x", 12);
    assert_true(command(&id, start));
    assert_int_equal(reply(id, sasl_reply(true)), CLAIM_ACCEPTED);
    expect_unclear_name(id);
    claim_free(id);
}

/* Somebody logs in as himself and sends a second attempt, as another, before the first is
 * answered: the first answer must not make him the other. */
static void test_crossing_commands(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(command(&id, sasl_start("SCRAM-SHA-256", "n,,n=me,r=x", "admin")));
    assert_true(command(&id, sasl_start("SCRAM-SHA-256", "n,,n=root,r=x", "admin")));
    (void)reply(id, sasl_reply(true));
    expect_unclear_name(id);
    (void)reply(id, refusal());
    expect_unclear_name(id);
    claim_free(id);
}

/* A refused attempt as another in the middle of a conversation leaves nothing of its name. */
static void test_claim_ends_with_its_refusal(void **state)
{
    (void)state;
    struct claim *id = NULL;
    (void)command(&id, sasl_start("SCRAM-SHA-256", "n,,n=me,r=x", "admin"));
    (void)reply(id, sasl_reply(false));
    (void)command(&id, x509("CN=root"));
    assert_int_equal(reply(id, refusal()), CLAIM_REFUSED);
    assert_true(claim_command(&id, CAPTURED(sha256_continue), NULL, 0));
    (void)claim_reply(id, CAPTURED(sha256_continue_reply));
    expect_unclear_name(id);
    claim_free(id);
}

static void test_failed_login_keeps_the_earlier_user(void **state)
{
    (void)state;
    struct claim *id = NULL;
    log_in(&id, "SCRAM-SHA-256", "n,,n=dave,r=x", "test");
    (void)command(&id, sasl_start("SCRAM-SHA-256", "n,,n=root,r=x", "admin"));
    assert_int_equal(reply(id, refusal()), CLAIM_REFUSED);
    expect_description(id, "dave@test (SCRAM-SHA-256, claimed)");
    claim_free(id);
}

/* The server starts SCRAM only, whatever other fields the hello has. */
static void test_speculation_that_only_begins(void **state)
{
    (void)state;
    struct claim *id = NULL;
    bson_t *hello =
        BCON_NEW("hello", BCON_INT32(1), "speculativeAuthenticate", "{", "authenticate",
                 BCON_INT32(1), "saslStart", BCON_INT32(1), "user", BCON_UTF8("alice"), "mechanism",
                 BCON_UTF8("SCRAM-SHA-256"), "db", BCON_UTF8("admin"), "}");
    assert_true(command(&id, hello));
    assert_int_equal(
        reply(id, BCON_NEW("speculativeAuthenticate", "{", "conversationId", BCON_INT32(1), "done",
                           BCON_BOOL(false), "}", "ok", BCON_DOUBLE(1))),
        CLAIM_UNCHANGED);
    expect_description(id, "");
    claim_free(id);
}

/* A second conversation, which one of two hellos in one began, ends as its own user. */
static void test_two_speculations_after_a_start_as_another(void **state)
{
    (void)state;
    struct claim *id = NULL;
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1), "speculativeAuthenticate", BCON_INT32(1),
                             "speculativeAuthenticate", "{", "saslStart", BCON_INT32(1), "}");
    assert_true(command(&id, sasl_start("SCRAM-SHA-256", "n,,n=alice,r=x", "admin")));
    (void)reply(id, sasl_reply(false));
    assert_true(command(&id, hello));
    (void)reply(id, BCON_NEW("ok", BCON_DOUBLE(1)));
    assert_true(claim_command(&id, CAPTURED(sha256_continue), NULL, 0));
    assert_int_equal(claim_reply(id, CAPTURED(sha256_continue_reply)), CLAIM_ACCEPTED);
    expect_unclear_name(id);
    claim_free(id);
}

static void test_malformed_bodies(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof sha256_hello - 1; len++) {
        struct claim *id = NULL;
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, sha256_hello, len);
        (void)claim_command(&id, bytes_of(exact, len), NULL, 0);
        (void)claim_reply(id, bytes_of(exact, len));
        expect_description(id, "");
        claim_free(id);
        free(exact);
    }
}

/* Without memory for a name there is none. */
static void test_failing_allocations(void **state)
{
    (void)state;
    for (long i = 1; i <= 4; i++) {
        struct claim *id = NULL;
        memory_fail_after(i);
        bool watch = claim_command(&id, CAPTURED(sha256_hello), NULL, 0);
        memory_fail_never();
        assert_int_equal(watch, id != NULL);
        if (id == NULL)
            continue;
        (void)claim_reply(id, CAPTURED(sha256_hello_reply));
        assert_true(claim_command(&id, CAPTURED(sha256_continue), NULL, 0));
        assert_int_equal(claim_reply(id, CAPTURED(sha256_continue_reply)), CLAIM_ACCEPTED);
        claim_free(id);
    }
}

/* A name that only the reply contains and that cannot be kept is not clear. */
static void test_failing_allocation_in_a_reply(void **state)
{
    (void)state;
    struct claim *id = NULL;
    assert_true(command(&id, x509(NULL)));
    bson_t *answer =
        BCON_NEW("dbname", BCON_UTF8("$external"), "user", BCON_UTF8("CN=b"), "ok", BCON_INT32(1));
    memory_fail_after(1);
    enum claim_event event = claim_reply(id, bytes_of_bson(answer));
    memory_fail_never();
    bson_destroy(answer);
    assert_int_equal(event, CLAIM_ACCEPTED);
    expect_unclear_name(id);
    claim_free(id);
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
        cmocka_unit_test(test_principals_that_are_not_known),
        cmocka_unit_test(test_plain_for_somebody_else),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_repeated_fields),
        cmocka_unit_test(test_crossing_commands),
        cmocka_unit_test(test_claim_ends_with_its_refusal),
        cmocka_unit_test(test_failed_login_keeps_the_earlier_user),
        cmocka_unit_test(test_speculation_that_only_begins),
        cmocka_unit_test(test_two_speculations_after_a_start_as_another),
        cmocka_unit_test(test_malformed_bodies),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_failing_allocation_in_a_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
