/* A candidate beside the accepted versions: its verdicts are counted, and it refuses no document.
 */
#include "support.h"

#include "base/memory.h"

#define INSERT "{\"insert\":\"c\",\"ordered\":false,\"$db\":\"d\"}"
#define UPDATE "{\"update\":\"c\",\"ordered\":false,\"$db\":\"d\"}"
#define TRIED(x)                                                                                   \
    "{\"ns\":\"d.c\"," x "\"schema\":{\"properties\":{\"n\":{\"bsonType\":\"int\"}}},"             \
    "\"candidate\":{\"schema\":{\"required\":[\"a\"],\"properties\":{\"n\":{\"maximum\":5},"       \
    "\"items\":{\"items\":{\"properties\":{\"price\":{\"minimum\":0}}}}}}}}"

static struct support_message insert(const char *documents)
{
    return (struct support_message){.body = INSERT, .name = "documents", .documents = documents};
}

static struct support_message update(const char *updates)
{
    return (struct support_message){.body = UPDATE, .name = "updates", .documents = updates};
}

static void open_tried(struct fixture *f, const char *file)
{
    fixture_open(f, file);
    f->tally = tally_new();
    assert_non_null(f->tally);
    f->wall_ms = 5;
    f->writer.application = "shop";
    f->writer.driver = "PyMongo";
}

static void close_both(struct fixture *f)
{
    tally_free(f->tally);
    fixture_close(f);
}

static struct tally_report report_of(struct fixture *f)
{
    struct tally_report report = {0};
    const struct registry_entry *entry = registry_find(f->registry, "d.c", 3);
    tally_report_add(&report, f->tally, entry, &entry->file.candidate);
    tally_report_finish(&report);
    assert_false(report.no_memory);
    return report;
}

static void expect_counts(struct fixture *f, uint64_t passed, uint64_t refused, uint64_t undecided)
{
    struct tally_report report = report_of(f);
    assert_int_equal(report.counts[TALLY_PASSED], passed);
    assert_int_equal(report.counts[TALLY_REFUSED], refused);
    assert_int_equal(report.counts[TALLY_UNDECIDED], undecided);
    tally_report_release(&report);
}

static void expect_row(const struct tally_row *row, const char *path, const char *text,
                       const char *application, uint64_t count)
{
    assert_string_equal(row->reason.path, path);
    assert_string_equal(row->reason.text, text);
    assert_string_equal(row->client.application, application);
    assert_string_equal(row->client.driver, "PyMongo");
    assert_int_equal(row->count, count);
}

static void test_inserts(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m =
        insert("[{\"_id\":1,\"a\":1},{\"_id\":2},{\"a\":1,\"n\":7},{\"a\":1,\"items\":[{},{"
               "\"price\":-1}]},{\"n\":9}]");
    open_tried(&f, TRIED(""));
    fixture_forwards(&f, &m);
    assert_string_equal(f.told, "");
    fixture_counted(&f, REGISTRY_PASSED, 5);
    f.writer.application = "jobs";
    m = insert("[{\"a\":1,\"items\":[{\"price\":-2}]},{\"a\":1,\"items\":[{},{},{\"price\":-2}]}]");
    fixture_forwards(&f, &m);

    struct tally_report report = report_of(&f);
    assert_int_equal(report.counts[TALLY_PASSED], 1);
    assert_int_equal(report.counts[TALLY_REFUSED], 6);
    assert_int_equal(report.row_count, 4);
    /* whichever item it is, and of two faults the first */
    expect_row(&report.rows[0], "items.$[].price", "minimum", "jobs", 2);
    expect_row(&report.rows[1], "n", "maximum", "shop", 2);
    expect_row(&report.rows[2], "", "required a", "shop", 1);
    expect_row(&report.rows[3], "items.$[].price", "minimum", "shop", 1);
    assert_int_equal(report.sample_count, 6);
    assert_int_equal(report.samples[0].at_ms, 5);
    assert_non_null(report.samples[0].info);
    tally_report_release(&report);
    close_both(&f);
}

/* Documents that do not go upstream, and documents that are not checked. */
static void test_left_out(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m = insert("[{\"n\":\"x\"}]");
    open_tried(&f, TRIED(""));
    assert_true(fixture_check(&f, &m));
    assert_int_equal(f.result.outcome, ENFORCE_ANSWER);
    m = (struct support_message){
        .body = "{\"insert\":\"c\",\"bypassDocumentValidation\":true,\"$db\":\"d\"}",
        .name = "documents",
        .documents = "[{}]"};
    fixture_forwards(&f, &m);
    expect_counts(&f, 0, 0, 0);
    close_both(&f);

    open_tried(&f, TRIED("\"action\":\"warn\","));
    m = insert("[{\"n\":\"x\"}]");
    fixture_forwards(&f, &m); /* it is written all the same */
    expect_counts(&f, 0, 1, 0);
    close_both(&f);

    open_tried(&f, TRIED("\"level\":\"off\","));
    fixture_forwards(&f, &m);
    expect_counts(&f, 0, 0, 0);
    close_both(&f);
}

static void expect_update(const char *statement, uint64_t passed, uint64_t refused,
                          uint64_t undecided)
{
    struct fixture f;
    char updates[512] = "[";
    (void)strcat(strcat(updates, statement), "]");
    struct support_message m = update(updates);
    open_tried(&f, TRIED(""));
    fixture_forwards(&f, &m);
    expect_counts(&f, passed, refused, undecided);
    close_both(&f);
    open_tried(&f, TRIED("\"level\":\"moderate\","));
    fixture_forwards(&f, &m);
    expect_counts(&f, passed, 0, refused + undecided);
    close_both(&f);
}

static void test_updates(void **state)
{
    (void)state;
    expect_update("{\"q\":{},\"u\":{\"a\":1,\"n\":5}}", 1, 0, 0);
    expect_update("{\"q\":{},\"u\":{\"n\":5}}", 0, 1, 0);
    expect_update("{\"q\":{},\"u\":{\"$set\":{\"n\":5}}}", 1, 0, 0);
    expect_update("{\"q\":{},\"u\":{\"$set\":{\"n\":6}}}", 0, 1, 0);
    expect_update("{\"q\":{},\"u\":{\"$unset\":{\"a\":1}}}", 0, 1, 0);
    expect_update("{\"q\":{},\"u\":{\"$inc\":{\"n\":1}}}", 0, 0, 1);
    expect_update("{\"q\":{},\"u\":[{\"$set\":{\"n\":1}}]}", 0, 0, 1);
    expect_update("{\"q\":{\"a\":1},\"u\":{\"$set\":{\"n\":5}},\"upsert\":true}", 1, 0, 0);
    expect_update("{\"q\":{},\"u\":{\"$set\":{\"n\":5}},\"upsert\":true}", 0, 0, 1);
    expect_update("{\"q\":{\"$or\":[{\"_id\":1}]},\"u\":{\"a\":1},\"upsert\":true}", 0, 0, 1);
}

static void test_update_reasons(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m = update("[{\"q\":{},\"u\":{\"$set\":{\"n\":6}}},{\"q\":{},\"u\":{"
                                      "\"$unset\":{\"a\":1}}}]");
    open_tried(&f, TRIED(""));
    fixture_forwards(&f, &m);
    struct tally_report report = report_of(&f);
    assert_int_equal(report.row_count, 2);
    expect_row(&report.rows[0], "a", "$unset: no document matches the schema after this update",
               "shop", 1);
    expect_row(&report.rows[1], "n", "maximum", "shop", 1);
    tally_report_release(&report);
    close_both(&f);
}

static void test_other_commands(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m = {
        .body =
            "{\"aggregate\":\"x\",\"pipeline\":[{\"$out\":\"c\"}],\"cursor\":{},\"$db\":\"d\"}"};
    open_tried(&f, TRIED(""));
    fixture_forwards(&f, &m);
    expect_counts(&f, 0, 0, 1);
    m.body = "{\"findAndModify\":\"c\",\"query\":{},\"update\":{\"$set\":{\"n\":6}},\"$db\":\"d\"}";
    fixture_forwards(&f, &m);
    expect_counts(&f, 0, 1, 1);
    m = (struct support_message){.body = "{\"bulkWrite\":1,\"nsInfo\":[{\"ns\":\"d.c\"}],\"$db\":"
                                         "\"admin\"}",
                                 .name = "ops",
                                 .documents =
                                     "[{\"insert\":0,\"document\":{\"a\":1}},{\"update\":0,"
                                     "\"filter\":{},\"updateMods\":{\"$set\":{\"n\":1}}},{"
                                     "\"delete\":0,\"filter\":{}},{\"insert\":0,\"document\":{}}]"};
    fixture_forwards(&f, &m);
    expect_counts(&f, 2, 2, 1);
    close_both(&f);
}

/* Without time left the check gives no reasons, but counts every refusal. */
static void test_no_time(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m = insert("[{\"_id\":2}]");
    open_tried(&f, TRIED(""));
    tally_pay(f.tally, UINT64_MAX);
    fixture_forwards(&f, &m);
    struct tally_report report = report_of(&f);
    assert_int_equal(report.counts[TALLY_REFUSED], 1);
    assert_int_equal(report.row_count, 1);
    expect_row(&report.rows[0], "", "", "shop", 1);
    assert_int_equal(report.sample_count, 0);
    tally_report_release(&report);
    tally_earn(f.tally, (uint64_t)1 << 40, 0);
    fixture_forwards(&f, &m);
    report = report_of(&f);
    assert_int_equal(report.row_count, 2);
    tally_report_release(&report);
    close_both(&f);
}

/* Another candidate begins anew; a reload with the same one does not. */
static void test_reload(void **state)
{
    (void)state;
    struct fixture f;
    struct support_message m = insert("[{\"_id\":2}]");
    open_tried(&f, TRIED(""));
    fixture_forwards(&f, &m);
    fixture_put(&f, TRIED("\"action\":\"errorAndLog\","));
    tally_trim(f.tally, f.registry);
    fixture_forwards(&f, &m);
    expect_counts(&f, 0, 2, 0);
    fixture_put(&f,
                "{\"ns\":\"d.c\",\"schema\":{},\"candidate\":{\"schema\":{\"required\":[\"b\"]}}}");
    tally_trim(f.tally, f.registry);
    expect_counts(&f, 0, 0, 0);
    fixture_put(&f, TRIED(""));
    expect_counts(&f, 0, 0, 0);
    close_both(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inserts),        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_updates),        cmocka_unit_test(test_update_reasons),
        cmocka_unit_test(test_other_commands), cmocka_unit_test(test_no_time),
        cmocka_unit_test(test_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
