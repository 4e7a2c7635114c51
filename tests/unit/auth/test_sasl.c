/* A client's login that the proxy checks, and the proxy's login with the ClientKey that comes out
 * of it: both against each other. */
#include "auth/sasl.h"

#include "auth/login_as.h"
#include "auth/scram_keys.h"
#include "base/locked_memory.h"
#include "base/memory.h"
#include "bson/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first. */
#include <bson/bson.h>
#include <cmocka.h>

static const uint8_t random_bytes[SCRAM_RANDOM_BYTES] = {1, 2, 3};
static const uint8_t client_key[SCRAM_KEY_BYTES] = {7, 7, 7};

static struct bytes text_bytes(const char *text)
{
    return bytes_of(text, strlen(text));
}

static struct verifier *make_verifier(enum scram_hash hash, uint8_t salt)
{
    struct scram_keys keys = {.hash = hash, .iterations = 4096, .salt_bytes = 16, .salt = {salt}};
    assert_true(scram_hash_key(hash, client_key, keys.stored_key));
    struct verifier *verifier = verifier_new(text_bytes("a,nn=1"), text_bytes("admin"), &keys);
    assert_non_null(verifier);
    return verifier;
}

/* The server's side for one test. */
struct side {
    struct verifier *verifier;
    struct scram_keys invented;
    bool unknown;
    bool as_text;
    bool with_empty;
    struct sasl_conversation *conversation;
    struct build reply;
    struct error err;
    enum sasl_step last;
};

static void build_refusal(struct side *side)
{
    build_int32(&side->reply, "ok", 0);
    build_int32(&side->reply, "code", 18);
    build_text(&side->reply, "errmsg", "Authentication failed.");
}

static void start_of(struct side *side, struct bytes command)
{
    struct sasl_start start;
    bool fine = false;
    assert_int_equal(sasl_start_read(command, &start, &fine, &side->err), SASL_SCRAM);
    assert_true(fine);
    assert_memory_equal(start.first.name, "a,nn=1", 6);
    assert_true(start.skip_empty);
    start.skip_empty = !side->with_empty;
    side->conversation = sasl_begin(&start, side->unknown ? NULL : side->verifier, &side->invented,
                                    random_bytes, &side->reply);
    assert_non_null(side->conversation);
}

/* Answers a command of the client. */
static struct bytes serve(struct side *side, struct bytes command)
{
    struct scan_element element;
    struct bytes document;
    build_free(&side->reply);
    build_begin(&side->reply, SIZE_MAX);
    if (scan_find(command, "saslStart", &element)) {
        start_of(side, command);
    } else {
        side->last = sasl_continue(side->conversation, command, &side->err);
        if (side->last != SASL_REFUSED)
            sasl_answer(side->conversation, &side->reply);
    }
    if (side->last == SASL_REFUSED && side->conversation != NULL &&
        !scan_find(command, "saslStart", &element))
        build_refusal(side);
    else
        build_int32(&side->reply, "ok", 1);
    assert_true(build_finish(&side->reply, &document));
    return document;
}

static struct side make_side(struct verifier *verifier)
{
    struct side side = {.verifier = verifier, .last = SASL_REFUSED};
    build_begin(&side.reply, SIZE_MAX);
    return side;
}

static void free_side(struct side *side)
{
    sasl_free(side->conversation);
    side->conversation = NULL;
    build_free(&side->reply);
}

/* Logs in with a verifier at a server's side. */
static enum login_as_step log_in(struct side *side, struct verifier *as, struct error *err)
{
    struct bytes command;
    struct login_as *login = login_as_begin(as, random_bytes, &command);
    assert_non_null(login);
    enum login_as_step step = LOGIN_AS_SEND;
    for (unsigned i = 0; step == LOGIN_AS_SEND; i++) {
        assert_true(i < 4);
        step = login_as_take(login, serve(side, command), &command, err);
    }
    login_as_free(login);
    return step;
}

static void test_both_sides_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct error err = {0};
        enum scram_hash hash = i % 2 == 0 ? SCRAM_SHA_1 : SCRAM_SHA_256;
        struct verifier *servers = make_verifier(hash, 1);
        struct verifier *ours = make_verifier(hash, 1);
        struct side side = make_side(servers);
        side.with_empty = i >= 2;
        assert_null(verifier_client_key(servers));
        verifier_note_client_key(ours, client_key);
        assert_int_equal(log_in(&side, ours, &err), LOGIN_AS_DONE);
        assert_int_equal(side.last, SASL_DONE);
        assert_memory_equal(verifier_client_key(servers), client_key, scram_key_bytes(hash));
        assert_ptr_equal(sasl_verifier(side.conversation), servers);
        free_side(&side);
        verifier_release(servers);
        verifier_release(ours);
    }
    assert_int_equal(locked_memory_used(), 0);
}

static void test_a_changed_password_is_stale(void **state)
{
    (void)state;
    struct error err = {0};
    struct verifier *servers = make_verifier(SCRAM_SHA_256, 2);
    struct verifier *ours = make_verifier(SCRAM_SHA_256, 1);
    struct side side = make_side(servers);
    verifier_note_client_key(ours, client_key);
    assert_int_equal(log_in(&side, ours, &err), LOGIN_AS_STALE);
    assert_non_null(strstr(err.message, "the password has changed"));
    free_side(&side);
    verifier_release(servers);
    verifier_release(ours);
}

static void test_a_user_that_does_not_exist_is_refused_after_the_proof(void **state)
{
    (void)state;
    struct error err = {0};
    struct verifier *ours = make_verifier(SCRAM_SHA_256, 1);
    struct side side = make_side(NULL);
    side.unknown = true;
    side.invented = *verifier_keys(ours); /* even with a right proof */
    verifier_note_client_key(ours, client_key);
    assert_int_equal(log_in(&side, ours, &err), LOGIN_AS_STALE);
    assert_int_equal(side.last, SASL_REFUSED);
    assert_string_equal(side.err.message, "the user does not exist");
    assert_non_null(strstr(err.message, "code 18"));
    free_side(&side);
    verifier_release(ours);
    assert_int_equal(locked_memory_used(), 0);
}

static void test_other_client_keys_are_ignored(void **state)
{
    (void)state;
    static const uint8_t wrong[SCRAM_KEY_BYTES] = {8};
    struct verifier *verifier = make_verifier(SCRAM_SHA_1, 1);
    verifier_note_client_key(verifier, wrong);
    assert_null(verifier_client_key(verifier));
    verifier_note_client_key(verifier, client_key);
    verifier_note_client_key(verifier, wrong);
    assert_memory_equal(verifier_client_key(verifier), client_key, 20);
    assert_false(verifier_is_stale(verifier));
    verifier_note_stale(verifier);
    assert_true(verifier_is_stale(verifier));
    verifier_release(verifier_retain(verifier));
    assert_memory_equal(verifier_database(verifier).pos, "admin", 5);
    verifier_release(verifier);
}

static enum sasl_kind read_start(bson_t *document, bool *fine, struct sasl_start *start)
{
    struct error err;
    enum sasl_kind kind =
        sasl_start_read(bytes_of(bson_get_data(document), document->len), start, fine, &err);
    bson_destroy(document);
    return kind;
}

static void test_forms_of_sasl_start(void **state)
{
    (void)state;
    struct sasl_start start;
    bool fine = false;
    assert_int_equal(
        read_start(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("SCRAM-SHA-1"),
                            "payload", BCON_UTF8("biwsbj1hLHI9Yg==")),
                   &fine, &start),
        SASL_SCRAM);
    assert_true(fine && start.as_text && !start.skip_empty && start.hash == SCRAM_SHA_1);
    assert_memory_equal(start.first.name, "a", 1);
    static const char *const others[] = {"PLAIN", "MONGODB-X509", "SCRAM-SHA-1-PLUS", "scram-sha-1",
                                         ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(read_start(BCON_NEW("saslStart", BCON_INT32(1), "mechanism",
                                             BCON_UTF8(others[i]), "payload", BCON_UTF8("")),
                                    &fine, &start),
                         SASL_OTHER);
    assert_int_equal(read_start(BCON_NEW("saslStart", BCON_INT32(1), "mechanism",
                                         BCON_UTF8("SCRAM-SHA-1"), "mechanism", BCON_UTF8("PLAIN")),
                                &fine, &start),
                     SASL_OTHER);
    assert_int_equal(
        read_start(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("SCRAM-SHA-1")),
                   &fine, &start),
        SASL_SCRAM);
    assert_false(fine);
    assert_int_equal(read_start(BCON_NEW("saslStart", BCON_INT32(1), "mechanism",
                                         BCON_UTF8("SCRAM-SHA-1"), "payload", BCON_INT32(5)),
                                &fine, &start),
                     SASL_SCRAM);
    assert_false(fine);
}

/* A conversation at its proof. */
static struct side begin_text(struct verifier *verifier, bool with_empty)
{
    struct sasl_start start;
    bool fine = false;
    struct side side = make_side(verifier);
    (void)read_start(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("SCRAM-SHA-1"),
                              "payload", BCON_UTF8("biwsbj1hLHI9Yg==")),
                     &fine, &start);
    start.skip_empty = !with_empty;
    side.conversation = sasl_begin(&start, verifier, NULL, random_bytes, &side.reply);
    assert_non_null(side.conversation);
    return side;
}

static void test_messages_out_of_order_are_refused(void **state)
{
    (void)state;
    struct verifier *verifier = make_verifier(SCRAM_SHA_1, 1);
    bson_t *wrong[] = {
        BCON_NEW("saslContinue", BCON_INT32(1), "payload", BCON_UTF8("")),
        BCON_NEW("saslContinue", BCON_INT32(1), "conversationId", BCON_INT32(2), "payload",
                 BCON_UTF8("")),
        BCON_NEW("saslContinue", BCON_INT32(1), "conversationId", BCON_UTF8("1"), "payload",
                 BCON_UTF8("")),
        BCON_NEW("saslContinue", BCON_INT32(1), "conversationId", BCON_INT32(1)),
        BCON_NEW("saslContinue", BCON_INT32(1), "conversationId", BCON_INT32(1), "payload",
                 BCON_UTF8("!")),
        BCON_NEW("saslContinue", BCON_INT32(1), "conversationId", BCON_INT32(1), "payload",
                 BCON_UTF8("")),
        BCON_NEW("saslContinue", BCON_INT32(1), "conversationId", BCON_INT32(1), "payload",
                 BCON_UTF8("biwsbj1hLHI9Yg==")), /* the first message again */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct side side = begin_text(verifier, false);
        assert_int_equal(sasl_continue(side.conversation,
                                       bytes_of(bson_get_data(wrong[i]), wrong[i]->len), &side.err),
                         SASL_REFUSED);
        assert_int_equal(side.err.code, ERROR_AUTHENTICATION_FAILED);
        free_side(&side);
        bson_destroy(wrong[i]);
    }
    verifier_release(verifier);
}

static void test_a_conversation_is_over_after_a_wrong_proof(void **state)
{
    (void)state;
    struct error err = {0};
    struct verifier *servers = make_verifier(SCRAM_SHA_1, 1);
    struct side side = begin_text(servers, true);
    bson_t *empty = BCON_NEW("saslContinue", BCON_INT32(1), "conversationId", BCON_INT32(1),
                             "payload", BCON_UTF8(""));
    struct bytes body = bytes_of(bson_get_data(empty), empty->len);
    assert_int_equal(sasl_continue(side.conversation, body, &err), SASL_REFUSED);
    assert_int_equal(sasl_continue(side.conversation, body, &err), SASL_REFUSED);
    assert_null(verifier_client_key(servers));
    bson_destroy(empty);
    free_side(&side);
    verifier_release(servers);
}

static void test_servers_that_break_the_login(void **state)
{
    (void)state;
    bson_t *replies[] = {
        BCON_NEW("ok", BCON_INT32(1)),
        BCON_NEW("ok", BCON_INT32(1), "conversationId", BCON_INT32(1), "done", BCON_BOOL(true),
                 "payload", BCON_BIN(BSON_SUBTYPE_BINARY, (const uint8_t *)"", 0)),
        BCON_NEW("ok", BCON_INT32(1), "conversationId", BCON_INT32(1), "done", BCON_BOOL(false),
                 "payload", BCON_UTF8("")),
        BCON_NEW("ok", BCON_INT32(0), "code", BCON_INT32(11600), "errmsg", BCON_UTF8("shutdown")),
        BCON_NEW("nothing", BCON_INT32(0)),
    };
    struct verifier *verifier = make_verifier(SCRAM_SHA_256, 1);
    verifier_note_client_key(verifier, client_key);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct bytes command;
        struct error err = {0};
        struct login_as *login = login_as_begin(verifier, random_bytes, &command);
        assert_int_equal(login_as_take(login, bytes_of(bson_get_data(replies[i]), replies[i]->len),
                                       &command, &err),
                         LOGIN_AS_FAILED);
        assert_int_not_equal(err.code, 0);
        login_as_free(login);
        bson_destroy(replies[i]);
    }
    verifier_release(verifier);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct verifier *servers = make_verifier(SCRAM_SHA_1, 1);
    struct verifier *ours = make_verifier(SCRAM_SHA_1, 1);
    struct sasl_start start;
    struct build reply;
    bool fine = false;
    verifier_note_client_key(ours, client_key);
    (void)read_start(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("SCRAM-SHA-1"),
                              "payload", BCON_UTF8("biwsbj1hLHI9Yg==")),
                     &fine, &start);
    build_begin(&reply, SIZE_MAX);
    for (long n = 1; n < 6; n++) {
        struct bytes command;
        memory_fail_after(n);
        struct sasl_conversation *conversation =
            sasl_begin(&start, servers, NULL, random_bytes, &reply);
        memory_fail_after(n);
        struct login_as *login = login_as_begin(ours, random_bytes, &command);
        memory_fail_never();
        sasl_free(conversation);
        login_as_free(login);
    }
    build_free(&reply);
    verifier_release(servers);
    verifier_release(ours);
    verifier_release(NULL);
    assert_int_equal(locked_memory_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_agree),
        cmocka_unit_test(test_a_changed_password_is_stale),
        cmocka_unit_test(test_a_user_that_does_not_exist_is_refused_after_the_proof),
        cmocka_unit_test(test_other_client_keys_are_ignored),
        cmocka_unit_test(test_forms_of_sasl_start),
        cmocka_unit_test(test_messages_out_of_order_are_refused),
        cmocka_unit_test(test_a_conversation_is_over_after_a_wrong_proof),
        cmocka_unit_test(test_servers_that_break_the_login),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
