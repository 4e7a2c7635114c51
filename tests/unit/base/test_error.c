#include <string.h>

#include "../cmocka_all.h"
#include "base/error.h"

static void message_is_cut_to_fit(void **state)
{
    (void)state;
    struct error err = {0};
    assert_false(error_set(&err, ERROR_BAD_VALUE, "%0600d", 7));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_false(error_set(NULL, ERROR_BAD_VALUE, "nobody asked"));
}

static void memory_has_one_wording_and_one_code(void **state)
{
    (void)state;
    struct error err = {0};
    assert_false(error_no_memory(&err, "the value of option %s", "listen"));
    assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
    assert_string_equal(err.message, "out of memory for the value of option listen");
    assert_false(error_no_memory(NULL, "a worker"));
}

static void codes_have_the_names_of_mongodb(void **state)
{
    (void)state;
    char scratch[32];
    assert_string_equal(error_code_name(ERROR_HOST_UNREACHABLE, scratch), "HostUnreachable");
    assert_string_equal(error_code_name(ERROR_DOCUMENT_VALIDATION_FAILURE, scratch),
                        "DocumentValidationFailure");
    assert_string_equal(error_code_name(51091, scratch), "Location51091");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_cut_to_fit),
        cmocka_unit_test(memory_has_one_wording_and_one_code),
        cmocka_unit_test(codes_have_the_names_of_mongodb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
