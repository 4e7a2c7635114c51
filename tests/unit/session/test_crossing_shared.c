/* In the play of tests/fuzz/crossing_fuzz.c in shared mode, clients of a user have a connection one
 * after another, and their inserts are merged. Otherwise it could find no fault. */
#include "../cmocka_all.h"

#include <stdint.h>

/* Whether clients meet in the proxy depends on the scheduling of a play's threads. */
enum { PLAYS_MAX = 500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uint64_t crossing_batches(void);
uint64_t crossing_handed_over(void);

static void test_three_of_alice_share(void **state)
{
    (void)state;
    /* corpus/crossing_shared/three_of_alice */
    static const uint8_t play[] = {0, 4, 0, 12, 0,  28, 0, 0, 5, 0, 5, 0, 8,  5,  0, 5, 0, 24, 5,
                                   0, 5, 0, 24, 8,  0,  5, 0, 5, 0, 5, 0, 24, 8,  0, 5, 0, 5,  0,
                                   5, 0, 0, 8,  24, 5,  0, 5, 0, 5, 0, 0, 8,  24, 5, 0, 5, 0,  5,
                                   0, 0, 8, 24, 5,  0,  5, 0, 5, 0, 0, 8, 24, 5,  0, 5, 0, 5,  0};
    for (int i = 0; i < PLAYS_MAX && (crossing_batches() == 0 || crossing_handed_over() == 0); i++)
        assert_int_equal(LLVMFuzzerTestOneInput(play, sizeof play), 0);
    assert_true(crossing_batches() > 0);
    assert_true(crossing_handed_over() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_three_of_alice_share)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
