/* Readings in, rates out. */
#include "../cmocka_all.h"

#include <string.h>

#include "admin/sample.h"

static void rates_are_by_second(void **state)
{
    (void)state;
    static struct samples samples;
    static struct metrics_reading reading;
    reading.at_us = 1000000;
    reading.counters[COUNTER_REQUESTS] = 100;
    reading.passed = 50;
    samples_take(&samples, &reading, 5000);
    assert_null(samples_newest(&samples)); /* one reading is no rate */
    reading.at_us = 3000000;
    reading.counters[COUNTER_REQUESTS] = 300;
    reading.counters[COUNTER_TIMEOUTS_CONNECT] = 1;
    reading.counters[COUNTER_CLIENTS_NOW] = 7;
    reading.passed = 60;
    reading.refused = 4;
    reading.running = 2;
    reading.upstream_us.buckets[histogram_index(1000)] = 10;
    reading.upstream_us.count = 10;
    reading.batch_documents.buckets[histogram_index(8)] = 2;
    reading.batch_documents.count = 2;
    reading.batch_documents.sum = 16;
    samples_take(&samples, &reading, 7000);
    const struct sample *sample = samples_newest(&samples);
    assert_true(sample->requests == 100);
    assert_true(sample->errors == 0.5);
    assert_true(sample->passed == 5);
    assert_true(sample->refused == 2);
    assert_true(sample->batches == 1);
    assert_true(sample->batch_documents == 8);
    assert_true(sample->latency_p50_ms > 0.8 && sample->latency_p50_ms <= 1.1);
    assert_int_equal(sample->clients, 7);
    assert_int_equal(sample->running, 2);
    assert_int_equal(sample->at_ms, 7000);
}

/* A removed schema removes its counts. */
static void a_sum_that_went_down_is_no_rate(void **state)
{
    (void)state;
    static struct samples samples;
    static struct metrics_reading reading;
    reading.at_us = 1000000;
    reading.passed = 50;
    samples_take(&samples, &reading, 1);
    reading.at_us = 2000000;
    reading.passed = 10;
    samples_take(&samples, &reading, 2);
    assert_true(samples_newest(&samples)->passed == 0);
}

static size_t count_rows(const struct samples *samples, int64_t after_ms)
{
    struct text out = text_growing();
    size_t rows = 0;
    struct json json = json_over(&out);
    samples_write(samples, after_ms, NULL, &json);
    assert_false(out.cut);
    const char *from = strstr(out.data, "\"rows\":[");
    assert_non_null(from);
    for (const char *c = from + 8; *c != 0; c++)
        rows += *c == '[';
    text_release(&out);
    return rows;
}

static void only_the_last_ones_are_kept(void **state)
{
    (void)state;
    static struct samples samples;
    static struct metrics_reading reading;
    for (int i = 0; i <= SAMPLES_KEPT + 50; i++) {
        reading.at_us = 1000000L * (i + 1);
        samples_take(&samples, &reading, 1000 + i);
    }
    assert_int_equal(count_rows(&samples, 0), SAMPLES_KEPT);
    assert_int_equal(count_rows(&samples, samples_newest(&samples)->at_ms - 3), 3);
    assert_int_equal(count_rows(&samples, INT64_MAX), 0);
}

static void an_object_has_the_columns_of_the_rows(void **state)
{
    (void)state;
    static struct samples samples;
    static struct metrics_reading reading;
    struct text out = text_growing();
    struct json json = json_over(&out);
    sample_write(NULL, NULL, &json);
    assert_string_equal(out.data, "null");
    text_release(&out);
    reading.at_us = 1;
    samples_take(&samples, &reading, 1);
    reading.at_us = 1000001;
    samples_take(&samples, &reading, 2);
    json = json_over(&out);
    sample_write(samples_newest(&samples), NULL, &json);
    assert_non_null(strstr(out.data, "{\"at_ms\":2,\"requests\":0.0"));
    assert_non_null(strstr(out.data, "\"waiting\":0}"));
    text_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_by_second),
        cmocka_unit_test(a_sum_that_went_down_is_no_rate),
        cmocka_unit_test(only_the_last_ones_are_kept),
        cmocka_unit_test(an_object_has_the_columns_of_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
