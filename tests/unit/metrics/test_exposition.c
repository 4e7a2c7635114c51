#include "../cmocka_all.h"

#include <string.h>

#include "base/memory.h"
#include "metrics/exposition.h"

static void families_and_samples(void **state)
{
    (void)state;
    struct text out = text_growing();
    struct exposition_label labels[] = {{"schema", "a.\"b\"\\\n"}, {"outcome", "refused"}};
    exposition_family(&out, "x_total", "counter", "Things.");
    exposition_count(&out, "x_total", (struct exposition_label){"kind", "find"}, UINT64_MAX);
    exposition_labelled(&out, "x_total", labels, 2, 7);
    exposition_single(&out, "y", "gauge", "Seconds.", 0.25);
    assert_string_equal(out.data, "# HELP x_total Things.\n"
                                  "# TYPE x_total counter\n"
                                  "x_total{kind=\"find\"} 18446744073709551615\n"
                                  "x_total{schema=\"a.\\\"b\\\"\\\\\\n\",outcome=\"refused\"} 7\n"
                                  "# HELP y Seconds.\n"
                                  "# TYPE y gauge\n"
                                  "y 0.25\n");
    text_release(&out);
}

static void histogram_buckets_are_cumulative(void **state)
{
    (void)state;
    static struct histogram histogram;
    static struct histogram_totals totals;
    struct text out = text_growing();
    histogram_note(&histogram, 1);
    histogram_note(&histogram, 4);
    histogram_note(&histogram, 5);
    histogram_note(&histogram, 1000);
    histogram_add(&histogram, &totals);
    exposition_histogram(&out, "h", (struct exposition_label){0}, &totals,
                         (struct exposition_buckets){1, 3, 1, NULL});
    assert_string_equal(out.data, "h_bucket{le=\"2\"} 1\n"
                                  "h_bucket{le=\"4\"} 2\n"
                                  "h_bucket{le=\"8\"} 3\n"
                                  "h_bucket{le=\"+Inf\"} 4\n"
                                  "h_sum 1010\n"
                                  "h_count 4\n");
    text_release(&out);
    exposition_histogram(&out, "h", (struct exposition_label){"of", "a\"b"}, &totals,
                         (struct exposition_buckets){2, 2, 1e-6, NULL});
    assert_string_equal(out.data, "h_bucket{of=\"a\\\"b\",le=\"4e-06\"} 2\n"
                                  "h_bucket{of=\"a\\\"b\",le=\"+Inf\"} 4\n"
                                  "h_sum{of=\"a\\\"b\"} 0.00101\n"
                                  "h_count{of=\"a\\\"b\"} 4\n");
    text_release(&out);
}

/* The largest value of each power of two, and one beyond the last bucket. */
static void exemplars_stand_at_their_buckets(void **state)
{
    (void)state;
    static struct exemplars of[2];
    static struct histogram_totals totals;
    static struct exemplar newest[EXEMPLAR_SLOTS];
    struct text out = text_growing();
    struct exemplar exemplar = {.trace_id = {0x0101010101010101, 0x0202020202020202},
                                .span_id = 0x0303030303030303};
    static const uint64_t values[] = {1, 3, 4, 5, 5000, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        exemplar.value = values[i];
        exemplar.wall_ms = 1000 + (int64_t)i;
        exemplars_note(&of[i % 2], &exemplar);
    }
    exemplars_merge(&of[0], newest);
    exemplars_merge(&of[1], newest);
    exemplars_merge(NULL, newest);
    exposition_histogram(&out, "h", (struct exposition_label){0}, &totals,
                         (struct exposition_buckets){1, 3, 1, newest});
#define IDS " # {trace_id=\"01010101010101010202020202020202\",span_id=\"0303030303030303\"}"
    assert_string_equal(out.data, "h_bucket{le=\"2\"} 0" IDS " 1 1.000\n"
                                  "h_bucket{le=\"4\"} 0" IDS " 4 1.002\n"
                                  "h_bucket{le=\"8\"} 0" IDS " 5 1.003\n"
                                  "h_bucket{le=\"+Inf\"} 0" IDS " 1.844674407e+19 1.005\n"
                                  "h_sum 0\nh_count 0\n");
    text_release(&out);
}

static void openmetrics(void **state)
{
    (void)state;
    struct text from = text_growing();
    struct text out = text_growing();
    exposition_single(&from, "a_total", "counter", "The _total of a_total.", 5);
    exposition_single(&from, "b", "gauge", "B.", 1);
    exposition_to_openmetrics(&from, &out);
    assert_string_equal(out.data, "# HELP a The _total of a_total.\n# TYPE a counter\na_total 5\n"
                                  "# HELP b B.\n# TYPE b gauge\nb 1\n# EOF\n");
    assert_false(out.cut);
    text_release(&out);
    from.cut = true;
    exposition_to_openmetrics(&from, &out);
    assert_true(out.cut);
    text_release(&from);
    text_release(&out);
}

static void out_of_memory_is_told(void **state)
{
    (void)state;
    struct text out = text_growing();
    memory_fail_after(1);
    exposition_family(&out, "x", "gauge", "X.");
    memory_fail_never();
    assert_true(out.cut);
    text_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_and_samples),
        cmocka_unit_test(histogram_buckets_are_cumulative),
        cmocka_unit_test(exemplars_stand_at_their_buckets),
        cmocka_unit_test(openmetrics),
        cmocka_unit_test(out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
