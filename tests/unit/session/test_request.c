/* What the proxy reads of a command. */
#include "../cmocka_all.h"

#include <bson/bson.h>

#include "session/request.h"
#include "wire/reply.h"

static const uint8_t session_id[LSID_BYTES] = {1, 2,  3,  4,  5,  6,  7,  8,
                                               9, 10, 11, 12, 13, 14, 15, 0};

static struct bytes bytes_of_bson(const bson_t *document)
{
    return bytes_of(bson_get_data(document), document->len);
}

static void append_lsid(bson_t *command, bson_subtype_t subtype, uint32_t len)
{
    bson_t lsid;
    BSON_APPEND_DOCUMENT_BEGIN(command, "lsid", &lsid);
    BSON_APPEND_BINARY(&lsid, "id", subtype, session_id, len);
    bson_append_document_end(command, &lsid);
}

static void the_fields_of_a_statement(void **state)
{
    (void)state;
    struct request request;
    struct error err = {0};
    bson_t *command = BCON_NEW("insert", "orders", "$db", "shop", "txnNumber", BCON_INT64(3),
                               "startTransaction", BCON_BOOL(true), "autocommit", BCON_BOOL(false));
    append_lsid(command, BSON_SUBTYPE_UUID, LSID_BYTES);
    assert_true(request_read(bytes_of_bson(command), 2, &request, &err));
    assert_int_equal(err.code, ERROR_NONE);
    assert_ptr_equal(request.body.pos, bson_get_data(command));
    assert_string_equal(request.name, "insert");
    assert_int_equal(request.name_len, 6);
    assert_int_equal(bytes_left(&request.database), 4);
    assert_memory_equal(request.database.pos, "shop", 4);
    assert_non_null(request.lsid);
    assert_memory_equal(request.lsid, session_id, LSID_BYTES);
    assert_int_equal(request.flags, 2);
    assert_false(request.legacy);
    assert_true(request.has_txn_number);
    assert_true(request.in_transaction);
    assert_true(request.starts_transaction);
    bson_destroy(command);
}

static void what_is_absent_is_absent(void **state)
{
    (void)state;
    struct request request;
    bson_t *command = BCON_NEW("ping", BCON_INT32(1));
    assert_true(request_read(bytes_of_bson(command), 0, &request, NULL));
    assert_int_equal(bytes_left(&request.database), 0);
    assert_null(request.lsid);
    assert_false(request.has_txn_number || request.in_transaction || request.starts_transaction);
    assert_int_equal(request_error_labels(&request), 0);
    bson_destroy(command);
}

static void an_empty_body_has_no_name(void **state)
{
    (void)state;
    struct request request;
    bson_t command = BSON_INITIALIZER;
    assert_true(request_read(bytes_of_bson(&command), 0, &request, NULL));
    assert_string_equal(request.name, "");
    assert_int_equal(request.name_len, 0);
    assert_int_equal(request.command, COMMAND_UNKNOWN);
    bson_destroy(&command);
}

/* The first field is the command, whatever it is called. */
static void the_commands_own_field_is_no_option(void **state)
{
    (void)state;
    struct request request;
    bson_t *command = BCON_NEW("autocommit", BCON_BOOL(false), "txnNumberX", BCON_INT64(1), "$dbx",
                               "x", "startTransactio", BCON_BOOL(true));
    assert_true(request_read(bytes_of_bson(command), 0, &request, NULL));
    assert_false(request.in_transaction || request.has_txn_number || request.starts_transaction);
    assert_int_equal(bytes_left(&request.database), 0);
    bson_destroy(command);
}

static void the_command_follows_the_name(void **state)
{
    (void)state;
    struct request request;
    bson_t *command = BCON_NEW("commitTransaction", BCON_INT32(1), "autocommit", BCON_BOOL(false));
    assert_true(request_read(bytes_of_bson(command), 0, &request, NULL));
    assert_int_equal(request.command, COMMAND_COMMIT_TRANSACTION);
    assert_true(request_ends_transaction(request.command));
    bson_destroy(command);
}

static void a_session_id_is_a_uuid(void **state)
{
    (void)state;
    static const struct {
        bson_subtype_t subtype;
        uint32_t len;
    } wrong[] = {{BSON_SUBTYPE_BINARY, LSID_BYTES},
                 {BSON_SUBTYPE_UUID_DEPRECATED, LSID_BYTES},
                 {BSON_SUBTYPE_UUID, LSID_BYTES - 1},
                 {BSON_SUBTYPE_UUID, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct request request;
        bson_t *command = BCON_NEW("find", "c");
        append_lsid(command, wrong[i].subtype, wrong[i].len);
        assert_true(request_read(bytes_of_bson(command), 0, &request, NULL));
        assert_null(request.lsid);
        bson_destroy(command);
    }
    bson_t *other_kinds[] = {BCON_NEW("find", "c", "lsid", "x"),
                             BCON_NEW("find", "c", "lsid", "{", "}"),
                             BCON_NEW("find", "c", "lsid", "{", "id", "sixteen bytes...", "}")};
    for (size_t i = 0; i < sizeof other_kinds / sizeof other_kinds[0]; i++) {
        struct request request;
        assert_true(request_read(bytes_of_bson(other_kinds[i]), 0, &request, NULL));
        assert_null(request.lsid);
        bson_destroy(other_kinds[i]);
    }
}

static void wrong_types_are_not_read(void **state)
{
    (void)state;
    struct request request;
    bson_t *command = BCON_NEW("find", "c", "$db", BCON_INT32(1), "startTransaction", "true",
                               "autocommit", BCON_INT32(1));
    assert_true(request_read(bytes_of_bson(command), 0, &request, NULL));
    assert_int_equal(bytes_left(&request.database), 0);
    assert_false(request.starts_transaction);
    assert_false(request.in_transaction);
    bson_destroy(command);
}

static void broken_bodies_are_refused(void **state)
{
    (void)state;
    bson_t *command = BCON_NEW("insert", "orders", "$db", "shop", "autocommit", BCON_BOOL(false));
    for (uint32_t len = 0; len < command->len; len++) {
        struct request request;
        struct error err = {0};
        uint8_t *cut = malloc(len == 0 ? 1 : len);
        assert_non_null(cut);
        memcpy(cut, bson_get_data(command), len);
        assert_false(request_read(bytes_of(cut, len), 0, &request, &err));
        assert_int_equal(err.code, ERROR_INVALID_BSON);
        assert_non_null(request.name);
        /* the same with a length and an end that pretend it is whole */
        if (len >= 5) {
            bytes_store_i32(cut, (int32_t)len);
            cut[len - 1] = 0;
            (void)request_read(bytes_of(cut, len), 0, &request, &err);
        }
        free(cut);
    }
    bson_destroy(command);
}

static void an_error_says_what_a_driver_may_do(void **state)
{
    (void)state;
    struct request request = {.command = COMMAND_INSERT};
    assert_int_equal(request_error_labels(&request), 0);
    request.has_txn_number = true;
    assert_int_equal(request_error_labels(&request), WIRE_LABEL_RETRYABLE_WRITE);
    request.in_transaction = true;
    assert_int_equal(request_error_labels(&request), WIRE_LABEL_TRANSIENT_TRANSACTION);
}

static void a_lost_commit_is_not_a_lost_transaction(void **state)
{
    (void)state;
    static const char *const names[] = {"commitTransaction", "abortTransaction"};
    for (size_t i = 0; i < 2; i++) {
        struct request request;
        bson_t *command = BCON_NEW(names[i], BCON_INT32(1), "txnNumber", BCON_INT64(3),
                                   "autocommit", BCON_BOOL(false));
        assert_true(request_read(bytes_of_bson(command), 0, &request, NULL));
        assert_true(request.in_transaction);
        assert_int_equal(request_error_labels(&request), WIRE_LABEL_RETRYABLE_WRITE);
        bson_destroy(command);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fields_of_a_statement),
        cmocka_unit_test(what_is_absent_is_absent),
        cmocka_unit_test(an_empty_body_has_no_name),
        cmocka_unit_test(the_commands_own_field_is_no_option),
        cmocka_unit_test(the_command_follows_the_name),
        cmocka_unit_test(a_session_id_is_a_uuid),
        cmocka_unit_test(wrong_types_are_not_read),
        cmocka_unit_test(broken_bodies_are_refused),
        cmocka_unit_test(an_error_says_what_a_driver_may_do),
        cmocka_unit_test(a_lost_commit_is_not_a_lost_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
