/* What an error to a command may say. */
#include "../cmocka_all.h"

#include <bson/bson.h>

#include "session/request.h"
#include "wire/reply.h"

static void an_error_says_what_a_driver_may_do(void **state)
{
    (void)state;
    struct wire_command request = {.known = COMMAND_INSERT};
    assert_int_equal(request_error_labels(&request), 0);
    request.number_kind = BSON_KIND_INT64;
    assert_int_equal(request_error_labels(&request), WIRE_LABEL_RETRYABLE_WRITE);
    request.in_transaction = true;
    assert_int_equal(request_error_labels(&request), WIRE_LABEL_TRANSIENT_TRANSACTION);
}

static void a_lost_commit_is_not_a_lost_transaction(void **state)
{
    (void)state;
    static const char *const names[] = {"commitTransaction", "abortTransaction"};
    for (size_t i = 0; i < 2; i++) {
        struct wire_command request;
        bson_t *body = BCON_NEW(names[i], BCON_INT32(1), "txnNumber", BCON_INT64(3), "autocommit",
                                BCON_BOOL(false));
        assert_true(wire_command_read_legacy(bytes_of(bson_get_data(body), body->len),
                                             bytes_of("admin", 5), &request, NULL));
        assert_true(request.in_transaction);
        assert_int_equal(request_error_labels(&request), WIRE_LABEL_RETRYABLE_WRITE);
        bson_destroy(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_what_a_driver_may_do),
        cmocka_unit_test(a_lost_commit_is_not_a_lost_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
