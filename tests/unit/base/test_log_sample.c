/* The log writes these lines, and counts the others. */
#include "../cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log_sample.h"

enum { ID = 3010, PERIOD_MS = 1000 };

static int output[2];
static char said[65536];

/* What was written since. */
static const char *read_said(void)
{
    ssize_t len = read(output[0], said, sizeof said - 1);
    said[len > 0 ? len : 0] = 0;
    return said;
}

static int begin(void **state)
{
    (void)state;
    log_sample_flush_at(0, true);
    log_sample_configure(2, PERIOD_MS);
    if (pipe2(output, O_NONBLOCK) != 0)
        return -1;
    log_configure(output[1], LOG_FORMAT_JSON, LOG_INFO);
    return 0;
}

static int end(void **state)
{
    (void)state;
    log_sample_flush_at(0, true);
    log_configure(STDERR_FILENO, LOG_FORMAT_TEXT, LOG_FATAL);
    close(output[0]);
    close(output[1]);
    return 0;
}

static bool take(int64_t now_ms, const char *kind)
{
    return log_sample_take_at(now_ms, LOG_WARNING, ID, kind, "refused");
}

static void the_first_are_written_and_the_rest_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(take(5000 + i, "d.c"), i < 2);
    assert_true(take(5000, "d.other")); /* a kind of its own */
    log_sample_flush_at(5000 + PERIOD_MS - 1, false);
    assert_string_equal(read_said(), "");
    log_sample_flush_at(5000 + PERIOD_MS, false);
    assert_non_null(strstr(read_said(), "\"id\":3010,\"kind\":\"d.c\",\"msg\":\"refused\","
                                        "\"leftOut\":98,\"written\":2,\"periodMs\":1000"));
    assert_null(strstr(said, "d.other")); /* nothing of it was left out */
    log_sample_flush_at(9000, true);
    assert_string_equal(read_said(), "");
}

static void the_next_period_begins_with_its_next_line(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        (void)take(1000, "d.c");
    assert_true(take(1000 + PERIOD_MS, "d.c"));
    assert_non_null(strstr(read_said(), "\"leftOut\":3"));
    assert_true(take(1000 + PERIOD_MS, "d.c"));
    assert_false(take(1000 + PERIOD_MS, "d.c"));
    log_sample_flush_at(1001 + PERIOD_MS, true);
    assert_non_null(strstr(read_said(), "\"leftOut\":1"));
}

/* The lines stay bounded for any number of kinds, and the log counts every one. */
static void kinds_without_a_place_share_one(void **state)
{
    (void)state;
    uint64_t written = 0;
    uint64_t left_out = 0;
    enum { KINDS = 5000, EACH = 3 };
    for (int i = 0; i < KINDS * EACH; i++) {
        char kind[16];
        (void)snprintf(kind, sizeof kind, "%d", i % KINDS);
        written += take(1000, kind);
    }
    assert_true(written <= 2 * (256 + 16));
    log_configure(STDERR_FILENO, LOG_FORMAT_TEXT, LOG_FATAL);
    FILE *file = tmpfile();
    assert_non_null(file);
    log_configure(fileno(file), LOG_FORMAT_JSON, LOG_INFO);
    log_sample_flush_at(1000, true);
    rewind(file);
    while (fgets(said, sizeof said, file) != NULL) {
        const char *at = strstr(said, "\"leftOut\":");
        assert_non_null(at);
        left_out += strtoull(at + strlen("\"leftOut\":"), NULL, 10);
    }
    assert_int_equal(written + left_out, KINDS * EACH);
    log_configure(output[1], LOG_FORMAT_JSON, LOG_INFO);
    fclose(file);
}

static void nothing_is_left_out_where_that_is_wanted(void **state)
{
    (void)state;
    log_sample_configure(0, PERIOD_MS);
    for (int i = 0; i < 100; i++)
        assert_true(take(1000, "d.c"));
    log_sample_flush_at(9000, true);
    assert_string_equal(read_said(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_are_written_and_the_rest_counted, begin, end),
        cmocka_unit_test_setup_teardown(the_next_period_begins_with_its_next_line, begin, end),
        cmocka_unit_test_setup_teardown(kinds_without_a_place_share_one, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_left_out_where_that_is_wanted, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
