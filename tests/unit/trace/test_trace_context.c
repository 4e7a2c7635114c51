/* traceparent: the examples and the rules of W3C Trace Context. */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "trace/trace_context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

static bool reads(const char *text, struct trace_context *out)
{
    /* the exact bytes, so that a sanitizer sees a read past the end */
    size_t len = strlen(text);
    char *exact = malloc(len == 0 ? 1 : len);
    assert_non_null(exact);
    memcpy(exact, text, len);
    bool ok = trace_context_read(exact, len, out);
    free(exact);
    return ok;
}

static void good_ones_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool sampled;
    } good[] = {
        {"00-" TRACE "-" SPAN "-01", true},  {"00-" TRACE "-" SPAN "-00", false},
        {"00-" TRACE "-" SPAN "-03", true},  {"00-" TRACE "-" SPAN "-fe", false},
        {"01-" TRACE "-" SPAN "-01", true},  {"cc-" TRACE "-" SPAN "-01-future", true},
        {"fe-" TRACE "-" SPAN "-01-", true},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct trace_context context;
        assert_true(reads(good[i].text, &context));
        assert_int_equal(context.sampled, good[i].sampled);
        assert_int_equal(context.trace_id[0], 0x4b);
        assert_int_equal(context.trace_id[15], 0x36);
        assert_int_equal(context.span_id[1], 0xf0);
        assert_int_equal(context.span_id[7], 0xb7);
    }
}

static void bad_ones_are_not(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01-more",
        "00-" TRACE "-" SPAN "-011",
        "01-" TRACE "-" SPAN "-01more",
        "ff-" TRACE "-" SPAN "-01",
        "0g-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0x",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        " 00-" TRACE "-" SPAN "-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct trace_context context;
        if (reads(bad[i], &context))
            fail_msg("read: %s", bad[i]);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    char text[TRACE_PARENT_CHARS + 1];
    struct trace_context context;
    assert_true(reads("00-" TRACE "-" SPAN "-01", &context));
    trace_context_write(&context, text);
    assert_string_equal(text, "00-" TRACE "-" SPAN "-01");
    context.sampled = false;
    trace_context_write(&context, text);
    assert_string_equal(text, "00-" TRACE "-" SPAN "-00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_read),
        cmocka_unit_test(bad_ones_are_not),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
