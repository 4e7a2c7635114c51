/* The play of tests/fuzz/crossing_fuzz.c merges inserts. Otherwise it could find no fault. */
#include "../cmocka_all.h"

#include <stdint.h>

/* Whether inserts meet in the proxy depends on the scheduling of a play's threads. */
enum { PLAYS_MAX = 500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uint64_t crossing_batches(void);

static void test_three_of_alice_go_together(void **state)
{
    (void)state;
    /* corpus/crossing/three_of_alice: three clients log in, and insert together again and again.
     * Whichever the proxy reads first, the two behind it are known at last. */
    static const uint8_t play[] = {0, 4, 0, 12, 0,  28, 0, 0, 5, 0, 5, 0, 8,  5,  0, 5, 0, 24, 5,
                                   0, 5, 0, 24, 8,  0,  5, 0, 5, 0, 5, 0, 24, 8,  0, 5, 0, 5,  0,
                                   5, 0, 0, 8,  24, 5,  0, 5, 0, 5, 0, 0, 8,  24, 5, 0, 5, 0,  5,
                                   0, 0, 8, 24, 5,  0,  5, 0, 5, 0, 0, 8, 24, 5,  0, 5, 0, 5,  0};
    uint64_t before = crossing_batches();
    for (int i = 0; i < PLAYS_MAX && crossing_batches() == before; i++)
        assert_int_equal(LLVMFuzzerTestOneInput(play, sizeof play), 0);
    assert_true(crossing_batches() > before);
}

/* As before, but the second is bob, and the third has no user. */
static void test_alice_bob_and_nobody_do_not(void **state)
{
    (void)state;
    static const uint8_t play[] = {0, 4, 0, 12, 1,  26, 11, 0, 5, 0, 5, 0, 8,  5,  0, 5, 0, 24, 5,
                                   0, 5, 0, 24, 8,  0,  5,  0, 5, 0, 5, 0, 24, 8,  0, 5, 0, 5,  0,
                                   5, 0, 0, 8,  24, 5,  0,  5, 0, 5, 0, 0, 8,  24, 5, 0, 5, 0,  5,
                                   0, 0, 8, 24, 5,  0,  5,  0, 5, 0, 0, 8, 24, 5,  0, 5, 0, 5,  0};
    uint64_t before = crossing_batches();
    assert_int_equal(LLVMFuzzerTestOneInput(play, sizeof play), 0);
    assert_int_equal(crossing_batches(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_of_alice_go_together),
        cmocka_unit_test(test_alice_bob_and_nobody_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
