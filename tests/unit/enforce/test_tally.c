/* What workers count by version: bounds, sums, memory. */
#include "support.h"

#include <stdio.h>

#include "base/memory.h"

#define FILE_TEXT "{\"ns\":\"d.c\",\"schema\":{},\"candidate\":{\"schema\":{\"minimum\":1}}}"

static struct tally_reason reason_of(const char *path, const char *text)
{
    struct tally_reason reason;
    memset(&reason, 0, sizeof reason);
    (void)snprintf(reason.path, sizeof reason.path, "%s", path);
    (void)snprintf(reason.text, sizeof reason.text, "%s", text);
    return reason;
}

static void refuse(struct tally *tally, const struct registry_entry *entry, const char *text,
                   int64_t at_ms, struct bytes info)
{
    const struct tally_writer writer = {"shop", "node"};
    struct tally_reason reason = reason_of("x", text);
    tally_refuse(tally, entry, &entry->file.candidate, &writer, &reason, at_ms, info);
}

static void test_sums(void **state)
{
    (void)state;
    struct registry_entry *entry = support_entry(FILE_TEXT, REGISTRY_FILE);
    const struct schema_version *candidate = &entry->file.candidate;
    struct tally *tallies[2] = {tally_new(), tally_new()};
    struct tally_report report = {0};
    const struct bytes none = {0};
    tally_add(tallies[0], entry, candidate, TALLY_PASSED, 3);
    tally_add(tallies[1], entry, candidate, TALLY_PASSED, 4);
    tally_add(tallies[1], entry, candidate, TALLY_UNDECIDED, 1);
    refuse(tallies[0], entry, "one", 10, none);
    refuse(tallies[1], entry, "two", 30, none);
    refuse(tallies[1], entry, "one", 20, bytes_of("info", 4));
    for (int i = 0; i < 2; i++)
        tally_report_add(&report, tallies[i], entry, candidate);
    tally_report_finish(&report);
    assert_int_equal(report.counts[TALLY_PASSED], 7);
    assert_int_equal(report.counts[TALLY_REFUSED], 3);
    assert_int_equal(report.counts[TALLY_UNDECIDED], 1);
    assert_int_equal(report.row_count, 2);
    assert_string_equal(report.rows[0].reason.text, "one");
    assert_int_equal(report.rows[0].count, 2);
    assert_int_equal(report.sample_count, 3);
    assert_string_equal(report.samples[0].reason.text, "two");
    assert_int_equal(report.samples[1].at_ms, 20);
    assert_memory_equal(report.samples[1].info, "info", 4);
    assert_int_equal(report.samples[2].at_ms, 10);
    tally_report_release(&report);
    /* the accepted version has its own record */
    uint64_t counts[TALLY_COUNTS] = {0};
    tally_sum(tallies[0], entry, &entry->file.versions[0], counts);
    assert_int_equal(counts[TALLY_PASSED], 0);
    for (int i = 0; i < 2; i++)
        tally_free(tallies[i]);
    registry_entry_release(entry);
}

/* Applications and paths as many as a client likes. */
static void test_bounds(void **state)
{
    (void)state;
    static uint8_t info[4096];
    struct registry_entry *entry = support_entry(FILE_TEXT, REGISTRY_FILE);
    struct tally *tally = tally_new();
    struct tally_report report = {0};
    char text[300];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof text, "%0*d", i % 300, i);
        refuse(tally, entry, text, i, bytes_of(info, i % 2 == 0 ? 2048 : 2049));
    }
    tally_report_add(&report, tally, entry, &entry->file.candidate);
    assert_int_equal(report.counts[TALLY_REFUSED], 1000);
    assert_int_equal(report.row_count, TALLY_ROWS_MAX);
    uint64_t counted = report.other;
    for (size_t i = 0; i < report.row_count; i++)
        counted += report.rows[i].count;
    assert_int_equal(counted, 1000);
    assert_int_equal(report.sample_count, TALLY_SAMPLES_KEPT);
    for (size_t i = 0; i < report.sample_count; i++)
        assert_int_equal(report.samples[i].info_len, report.samples[i].at_ms % 2 == 0 ? 2048 : 0);
    tally_report_release(&report);
    tally_free(tally);
    registry_entry_release(entry);
}

/* Many namespaces share the memory of one tally; the counts of each stay complete. */
static void test_bytes(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    char text[300];
    uint64_t rows = 0;
    enum { NAMESPACES = 200, EACH = 100 };
    for (int n = 0; n < NAMESPACES; n++) {
        char file[200];
        struct tally_report report = {0};
        (void)snprintf(
            file, sizeof file,
            "{\"ns\":\"d.c%d\",\"schema\":{},\"candidate\":{\"schema\":{\"minimum\":1}}}", n);
        struct registry_entry *entry = support_entry(file, REGISTRY_FILE);
        for (int i = 0; i < EACH; i++) {
            (void)snprintf(text, sizeof text, "%0250d", i);
            refuse(tally, entry, text, i, (struct bytes){0});
        }
        tally_report_add(&report, tally, entry, &entry->file.candidate);
        assert_int_equal(report.counts[TALLY_REFUSED], EACH);
        assert_int_equal(report.row_count + report.other, EACH);
        rows += report.row_count;
        tally_report_release(&report);
        registry_entry_release(entry);
    }
    assert_in_range(rows, TALLY_BYTES_MAX / 400, TALLY_BYTES_MAX / 250);
    tally_trim(tally, NULL); /* nothing is in force any more */
    struct registry_entry *entry = support_entry(FILE_TEXT, REGISTRY_FILE);
    struct tally_report report = {0};
    refuse(tally, entry, "again", 1, (struct bytes){0});
    tally_report_add(&report, tally, entry, &entry->file.candidate);
    assert_int_equal(report.row_count, 1);
    tally_report_release(&report);
    registry_entry_release(entry);
    tally_free(tally);
}

static void test_memory(void **state)
{
    (void)state;
    struct registry_entry *entry = support_entry(FILE_TEXT, REGISTRY_FILE);
    bool whole = false;
    for (long i = 1; i < 50 && !whole; i++) {
        struct tally_report report = {0};
        memory_fail_after(i);
        struct tally *tally = tally_new();
        if (tally != NULL) {
            refuse(tally, entry, "a", 1, bytes_of("info", 4));
            tally_report_add(&report, tally, entry, &entry->file.candidate);
        }
        memory_fail_never();
        whole = report.row_count == 1 && report.samples[0].info != NULL;
        tally_report_release(&report);
        tally_free(tally);
    }
    assert_true(whole);
    registry_entry_release(entry);
}

static void test_time(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    assert_true(tally_may_explain(tally));
    tally_pay(tally, 200000000);
    assert_false(tally_may_explain(tally));
    tally_earn(tally, 6400, 6400); /* all of it was spent on explanations */
    assert_false(tally_may_explain(tally));
    tally_earn(tally, 6400, 0);
    assert_true(tally_may_explain(tally));
    tally_pay(tally, 100);
    assert_false(tally_may_explain(tally));
    tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),   cmocka_unit_test(test_bounds), cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
