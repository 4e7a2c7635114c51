/* The grouping table: every field of the insert command, equal, different, absent, unknown. */
#include "support.h"

#define LSID "\"lsid\":{\"id\":{\"$uuid\":\"00000000-0000-4000-8000-000000000001\"}}"
#define TIME(n)                                                                                    \
    "\"$clusterTime\":{\"clusterTime\":{\"$timestamp\":{\"t\":" #n                                 \
    ",\"i\":1}},\"signature\":{\"keyId\":" #n "}}"

enum verdict {
    JOINS,  /* may share a command with the first */
    APART,  /* may be merged, but with others */
    BARRED, /* goes alone */
};

static const struct {
    const char *a; /* the fields of the first besides insert, $db, ordered and its document */
    const char *b; /* the second */
    enum verdict verdict;
    enum grouping_bar bar;
} cases[] = {
    {"", "", JOINS},
    /* equal fields */
    {"\"writeConcern\":{\"w\":1}", "\"writeConcern\":{\"w\":1}", JOINS},
    {"\"writeConcern\":{\"w\":1}", "", APART},
    {"", "\"writeConcern\":{\"w\":1}", APART},
    {"\"writeConcern\":{\"w\":1}", "\"writeConcern\":{\"w\":\"majority\"}", APART},
    {"\"writeConcern\":{\"w\":1}", "\"writeConcern\":{\"w\":{\"$numberLong\":\"1\"}}", APART},
    {"\"writeConcern\":{\"w\":1,\"j\":true}", "\"writeConcern\":{\"j\":true,\"w\":1}", APART},
    {"\"writeConcern\":{}", "", APART},
    {"", "\"writeConcern\":{\"w\":0}", BARRED, GROUPING_BAR_UNACKNOWLEDGED},
    {"", "\"writeConcern\":{\"w\":0.0,\"j\":false}", BARRED, GROUPING_BAR_UNACKNOWLEDGED},
    {"", "\"writeConcern\":1", BARRED, GROUPING_BAR_UNACKNOWLEDGED},
    {"\"bypassDocumentValidation\":true", "\"bypassDocumentValidation\":true", JOINS},
    {"\"bypassDocumentValidation\":true", "\"bypassDocumentValidation\":false", APART},
    {"\"bypassDocumentValidation\":false", "", APART},
    {"\"apiVersion\":\"1\"", "\"apiVersion\":\"1\"", JOINS},
    {"\"apiVersion\":\"1\"", "\"apiVersion\":\"2\"", APART},
    {"\"apiVersion\":\"1\"", "", APART},
    {"\"apiStrict\":true", "\"apiStrict\":true", JOINS},
    {"\"apiStrict\":true", "\"apiStrict\":false", APART},
    {"\"apiDeprecationErrors\":true", "\"apiDeprecationErrors\":true", JOINS},
    {"\"apiDeprecationErrors\":true", "", APART},
    {"\"comment\":{\"x\":[1]}", "\"comment\":{\"x\":[1]}", JOINS},
    {"\"comment\":1", "\"comment\":\"1\"", APART},
    {"\"comment\":null", "", APART},
    /* the same fields in another order */
    {"\"comment\":1,\"writeConcern\":{\"w\":1}", "\"writeConcern\":{\"w\":1},\"comment\":1", JOINS},
    /* replaced */
    {LSID, "", JOINS},
    {TIME(5), TIME(6), JOINS},
    {TIME(5), "", JOINS},
    {"", "\"$clusterTime\":{\"clusterTime\":5}", BARRED, GROUPING_BAR_FIELD_FORM},
    {"", "\"$clusterTime\":5", BARRED, GROUPING_BAR_FIELD_FORM},
    {"", "\"lsid\":5", BARRED, GROUPING_BAR_FIELD_FORM},
    {"", "\"lsid\":{\"id\":5}", BARRED, GROUPING_BAR_FIELD_FORM},
    {"", "\"lsid\":{}", BARRED, GROUPING_BAR_FIELD_FORM},
    {"", "\"lsid\":{\"id\":{\"$uuid\":\"00000000-0000-4000-8000-000000000001\"},\"txnNumber\":5}",
     BARRED, GROUPING_BAR_FIELD_FORM},
    {"", "\"txnNumber\":{\"$numberLong\":\"5\"}", BARRED, GROUPING_BAR_FIELD_FORM},
    {"", LSID ",\"txnNumber\":5", BARRED, GROUPING_BAR_FIELD_FORM},
    {"", LSID ",\"txnNumber\":{\"$numberLong\":\"-5\"}", BARRED, GROUPING_BAR_FIELD_FORM},
    {"\"$readPreference\":{\"mode\":\"primary\"}", "", JOINS},
    {"", "\"$readPreference\":{\"mode\":\"secondary\"}", BARRED, GROUPING_BAR_READ_PREFERENCE},
    {"", "\"$readPreference\":{\"mode\":\"primaryPreferred\"}", BARRED,
     GROUPING_BAR_READ_PREFERENCE},
    {"", "\"$readPreference\":{\"mode\":\"primary\",\"tags\":[]}", BARRED,
     GROUPING_BAR_READ_PREFERENCE},
    {"", "\"$readPreference\":1", BARRED, GROUPING_BAR_READ_PREFERENCE},
    /* bars */
    {"", "\"maxTimeMS\":1000", BARRED, GROUPING_BAR_MAX_TIME},
    {"", "\"readConcern\":{\"level\":\"local\"}", BARRED, GROUPING_BAR_READ_CONCERN},
    {"", "\"readConcern\":{\"afterClusterTime\":{\"$timestamp\":{\"t\":1,\"i\":1}}}", BARRED,
     GROUPING_BAR_READ_CONCERN},
    {"", "\"autocommit\":false", BARRED, GROUPING_BAR_TRANSACTION},
    {"", "\"startTransaction\":true", BARRED, GROUPING_BAR_TRANSACTION},
    {"", "\"stmtId\":1", BARRED, GROUPING_BAR_STATEMENT_IDS},
    {"", "\"stmtIds\":[1]", BARRED, GROUPING_BAR_STATEMENT_IDS},
    {"", "\"let\":{}", BARRED, GROUPING_BAR_LET},
    {"", "\"encryptionInformation\":{}", BARRED, GROUPING_BAR_ENCRYPTION},
    {"", "\"shardVersion\":{}", BARRED, GROUPING_BAR_SHARD_VERSION},
    {"", "\"databaseVersion\":{}", BARRED, GROUPING_BAR_SHARD_VERSION},
    {"", "\"somethingNew\":1", BARRED, GROUPING_BAR_UNKNOWN_FIELD},
    {"", "\"Ordered\":true", BARRED, GROUPING_BAR_UNKNOWN_FIELD},
    {"", "\"\":1", BARRED, GROUPING_BAR_UNKNOWN_FIELD},
    {"", "\"comment\":1,\"comment\":1", BARRED, GROUPING_BAR_REPEATED_FIELD},
    {"", "\"insert\":\"c\"", BARRED, GROUPING_BAR_REPEATED_FIELD},
};

static void each_field_means_what_its_row_says(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(fixture_make(state), 0);
        struct fixture *f = *state;
        struct command a = insert_of(1, 0, 0, cases[i].a);
        struct command b = insert_of(2, 0, 0, cases[i].b);
        assert_int_equal(submit(f, &a, f), MERGER_GO);
        struct merger_permit *first = f->answer.permit;
        enum merger_outcome outcome = submit(f, &b, f);
        enum merger_outcome expected = cases[i].verdict == JOINS   ? MERGER_WAIT
                                       : cases[i].verdict == APART ? MERGER_GO
                                                                   : MERGER_PASS;
        if (outcome != expected)
            fail_msg("{%s} after {%s}: outcome %d", cases[i].b, cases[i].a, outcome);
        if (cases[i].verdict == BARRED && barred(f, cases[i].bar) != 1)
            fail_msg("{%s} is not barred as %s", cases[i].b, grouping_bar_name(cases[i].bar));
        if (outcome == MERGER_GO)
            merger_finished(f->merger, f->answer.permit, f->now_us);
        if (outcome == MERGER_WAIT)
            merger_leave(f->merger, f->answer.waiter, f->now_us);
        merger_finished(f->merger, first, f->now_us);
        (void)fixture_end(state);
    }
}

static void the_table_is_covered(void **state)
{
    (void)state;
    unsigned places = 0;
    for (int i = FIELD_OTHER + 1; i < FIELD_NAME_COUNT; i++) {
        const char *field = field_name_text((enum field_name)i);
        if (grouping_table[i].rule == GROUPING_UNKNOWN)
            continue;
        assert_true(grouping_table[i].equal_place == 0 ||
                    (places & 1U << grouping_table[i].equal_place) == 0);
        places |= 1U << grouping_table[i].equal_place;
        char quoted[64];
        bool found = strcmp(field, "$db") == 0 || strcmp(field, "ordered") == 0 ||
                     strcmp(field, "documents") == 0; /* tested below */
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", field);
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
            found = found || strstr(cases[c].b, quoted) != NULL;
        if (!found)
            fail_msg("no case for %s", field);
    }
    for (int bar = 0; bar < GROUPING_BAR_COUNT; bar++)
        assert_non_null(grouping_bar_name((enum grouping_bar)bar));
}

#define PARENT(digit) "00-0123456789abcdef0123456789abcde" digit "-0123456789abcdef-01"
#define TRACED(digit) "\"comment\":{\"traceparent\":\"" PARENT(digit) "\"}"
#define TAGGED(digit) "\"comment\":\"dddbs='shop',dde='prod',traceparent='" PARENT(digit) "'\""

static const struct {
    enum grouping_comments ignored;
    const char *a;
    const char *b;
    bool joins;
    enum trace_carrier carrier; /* of the second */
} comments[] = {
    {GROUPING_COMMENTS_TRACEPARENT, TRACED("1"), TRACED("2"), true, TRACE_CARRIER_DOCUMENT},
    {GROUPING_COMMENTS_TRACEPARENT, "", TRACED("2"), true, TRACE_CARRIER_DOCUMENT},
    {GROUPING_COMMENTS_TRACEPARENT, TRACED("1"), TAGGED("2"), true, TRACE_CARRIER_STRING},
    {GROUPING_COMMENTS_TRACEPARENT, "\"comment\":1", TRACED("2"), false, TRACE_CARRIER_DOCUMENT},
    {GROUPING_COMMENTS_TRACEPARENT, "\"comment\":1", "\"comment\":2", false, TRACE_CARRIER_NONE},
    {GROUPING_COMMENTS_TRACEPARENT, TRACED("1"),
     "\"comment\":{\"traceparent\":\"" PARENT("2") "\",\"text\":\"job\"}", false,
     TRACE_CARRIER_NONE},
    {GROUPING_COMMENTS_TRACEPARENT, TRACED("1"), "\"comment\":{\"traceparent\":\"broken\"}", false,
     TRACE_CARRIER_NONE},
    {GROUPING_COMMENTS_NEVER, TRACED("1"), TRACED("2"), false, TRACE_CARRIER_NONE},
    {GROUPING_COMMENTS_NEVER, TRACED("1"), TRACED("1"), true, TRACE_CARRIER_NONE},
    {GROUPING_COMMENTS_ALWAYS, TRACED("1"), "\"comment\":{\"x\":[1]}", true, TRACE_CARRIER_NONE},
    {GROUPING_COMMENTS_ALWAYS, "", "\"comment\":\"one\"", true, TRACE_CARRIER_NONE},
};

static void comments_are_left_out_by_the_option(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof comments / sizeof comments[0]; i++) {
        struct merger_insert insert;
        struct wire_command parsed;
        struct grouping_limits limits = {1000, 10, 2000, comments[i].ignored};
        struct command first = insert_of(1, 0, 0, comments[i].a);
        struct command second = insert_of(2, 0, 0, comments[i].b);
        f->rules.ignored = comments[i].ignored;
        assert_int_equal(submit(f, &first, f), MERGER_GO);
        struct merger_permit *permit = f->answer.permit;
        enum merger_outcome outcome = submit(f, &second, f);
        assert_int_equal(outcome, comments[i].joins ? MERGER_WAIT : MERGER_GO);
        if (outcome == MERGER_WAIT)
            merger_leave(f->merger, f->answer.waiter, f->now_us);
        else
            merger_finished(f->merger, f->answer.permit, f->now_us);
        merger_finished(f->merger, permit, f->now_us);
        assert_true(wire_command_read_whole(command_bytes(&second), &parsed, NULL));
        grouping_classify(&parsed, &limits, &insert);
        assert_int_equal(insert.carrier, comments[i].carrier);
    }
    f->rules.ignored = GROUPING_COMMENTS_NEVER;
}

static enum grouping_bar classify(const struct command *command, struct merger_insert *insert)
{
    struct grouping_limits limits = {1000, 10, 2000, GROUPING_COMMENTS_NEVER};
    static struct wire_command parsed; /* the insert points to it */
    *insert = (struct merger_insert){.bar = GROUPING_BAR_SECTIONS};
    if (wire_command_read_whole(command_bytes(command), &parsed, NULL))
        grouping_classify(&parsed, &limits, insert);
    return insert->bar;
}

static const struct {
    uint32_t flags;
    const char *body;
    const char *documents;
    enum grouping_bar bar;
} forms[] = {
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"_id\":1}]", GROUPING_BAR_NONE},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"ordered\":false}", "[{\"_id\":1},{\"_id\":1}]",
     GROUPING_BAR_NONE},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"_id\":1},{\"_id\":2}]", GROUPING_BAR_ORDERED_MANY},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"ordered\":true}", "[{\"_id\":1},{\"_id\":2}]",
     GROUPING_BAR_ORDERED_MANY},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"ordered\":0}", "[{\"_id\":1}]",
     GROUPING_BAR_ORDERED_MANY},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"documents\":[{\"_id\":1}]}", NULL, GROUPING_BAR_NONE},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"documents\":[{\"_id\":1},5]}", NULL,
     GROUPING_BAR_SECTIONS},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"documents\":{\"0\":{\"_id\":1}}}", NULL,
     GROUPING_BAR_SECTIONS},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"documents\":[]}", NULL, GROUPING_BAR_SECTIONS},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"documents\":[{\"_id\":1}]}", "[{\"_id\":1}]",
     GROUPING_BAR_SECTIONS},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", NULL, GROUPING_BAR_SECTIONS},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", "[]", GROUPING_BAR_SECTIONS},
    {0, "{\"insert\":\"c\"}", "[{\"_id\":1}]", GROUPING_BAR_FIELD_FORM},
    {0, "{\"insert\":5,\"$db\":\"d\"}", "[{\"_id\":1}]", GROUPING_BAR_FIELD_FORM},
    {0, "{\"insert\":\"\",\"$db\":\"d\"}", "[{\"_id\":1}]", GROUPING_BAR_FIELD_FORM},
    {0, "{\"insert\":\"c\",\"$db\":5}", "[{\"_id\":1}]", GROUPING_BAR_FIELD_FORM},
    {2, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"_id\":1}]", GROUPING_BAR_FLAGS},
    {1U << 16, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"_id\":1}]", GROUPING_BAR_FLAGS},
    {1U << 17, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"_id\":1}]", GROUPING_BAR_FLAGS},
    {0, "{\"insert\":\"c\",\"$db\":\"admin\"}", "[{\"_id\":1}]", GROUPING_BAR_NAMESPACE},
    {0, "{\"insert\":\"c\",\"$db\":\"local\"}", "[{\"_id\":1}]", GROUPING_BAR_NAMESPACE},
    {0, "{\"insert\":\"c\",\"$db\":\"config\"}", "[{\"_id\":1}]", GROUPING_BAR_NAMESPACE},
    {0, "{\"insert\":\"system.js\",\"$db\":\"d\"}", "[{\"_id\":1}]", GROUPING_BAR_NAMESPACE},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"a\":1}]", GROUPING_BAR_DOCUMENT_ID},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"_id\":[1]}]", GROUPING_BAR_DOCUMENT_ID},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"_id\":{\"$undefined\":true}}]",
     GROUPING_BAR_DOCUMENT_ID},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}",
     "[{\"_id\":{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"\"}}}]",
     GROUPING_BAR_DOCUMENT_ID},
    {0, "{\"insert\":\"c\",\"$db\":\"d\"}", "[{\"a\":1,\"_id\":{\"a\":1}}]", GROUPING_BAR_NONE},
    {0, "{\"insert\":\"c\",\"$db\":\"d\",\"ordered\":false}",
     "[{\"_id\":1},{\"_id\":1},{\"_id\":1},{\"_id\":1},{\"_id\":1},{\"_id\":1},{\"_id\":1},"
     "{\"_id\":1},{\"_id\":1},{\"_id\":1},{\"_id\":1}]",
     GROUPING_BAR_LARGE},
};

static void forms_of_the_command(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct merger_insert insert;
        struct command command = command_of(forms[i].flags, forms[i].body, forms[i].documents);
        enum grouping_bar bar = classify(&command, &insert);
        if (bar != forms[i].bar)
            fail_msg("%s %s: %s", forms[i].body,
                     forms[i].documents == NULL ? "" : forms[i].documents, grouping_bar_name(bar));
    }
}

static void sizes_are_bounds(void **state)
{
    (void)state;
    struct merger_insert insert;
    char documents[3000];
    for (int fill = 900; fill < 1100; fill++) { /* {_id:1,a:"…"} is 22 bytes and the text */
        (void)snprintf(documents, sizeof documents, "[{\"_id\":1,\"a\":\"%0*d\"}]", fill, 0);
        struct command command = command_of(0, "{\"insert\":\"c\",\"$db\":\"d\"}", documents);
        enum grouping_bar bar = classify(&command, &insert);
        assert_int_equal(bar,
                         fill + 22 <= 1000 ? GROUPING_BAR_NONE : GROUPING_BAR_DOCUMENT_TOO_LARGE);
    }
    (void)snprintf(documents, sizeof documents,
                   "[{\"_id\":1,\"a\":\"%0900d\"},{\"_id\":1,\"a\":\"%0900d\"},"
                   "{\"_id\":1,\"a\":\"%0900d\"}]",
                   0, 0, 0);
    struct command command =
        command_of(0, "{\"insert\":\"c\",\"$db\":\"d\",\"ordered\":false}", documents);
    assert_int_equal(classify(&command, &insert), GROUPING_BAR_LARGE);
}

static void malformed_bytes_are_barred(void **state)
{
    (void)state;
    struct merger_insert insert;
    struct command command = insert_of(1, 1, 5, "\"comment\":\"x\"");
    size_t len = command.len;
    for (command.len = 0; command.len < len; command.len++)
        assert_int_not_equal(classify(&command, &insert), GROUPING_BAR_NONE);
    assert_int_equal(classify(&command, &insert), GROUPING_BAR_NONE);
    /* a document that is whole by its length alone */
    command.data[len - 1] = 1;
    assert_int_not_equal(classify(&command, &insert), GROUPING_BAR_NONE);
    command.data[len - 1] = 0;
    command.data[len - 10] = 0x20; /* no kind of a value */
    assert_int_equal(classify(&command, &insert), GROUPING_BAR_DOCUMENT_MALFORMED);
    assert_true(insert.numbered); /* still a retry, if it is one */
    assert_int_equal(insert.document_count, 1);
}

static void numbers_are_read_where_merging_is_barred(void **state)
{
    (void)state;
    struct merger_insert insert;
    uint8_t lsid[16];
    lsid_of(3, lsid);
    struct command command = insert_of(1, 3, 5, "\"maxTimeMS\":100");
    assert_int_equal(classify(&command, &insert), GROUPING_BAR_MAX_TIME);
    assert_true(insert.numbered);
    assert_int_equal(insert.command->number, 5);
    assert_memory_equal(insert.command->lsid, lsid, 16);
    command = insert_of(1, 3, 5, "\"autocommit\":false");
    assert_int_equal(classify(&command, &insert), GROUPING_BAR_TRANSACTION);
    assert_false(insert.numbered);
    command = insert_of(1, 0, 0, "");
    assert_int_equal(classify(&command, &insert), GROUPING_BAR_NONE);
    assert_false(insert.numbered);
}

static void a_checksum_is_no_document(void **state)
{
    (void)state;
    struct merger_insert insert;
    struct command command = insert_of(1, 0, 0, "");
    command.data[0] = 1;
    memcpy(command.data + command.len, "\x0e\0\0\0", 4);
    command.len += 4;
    assert_int_equal(classify(&command, &insert), GROUPING_BAR_NONE);
    assert_int_equal(insert.document_count, 1);
    assert_int_equal(insert.document_bytes, 14);
}

static void other_owners_and_namespaces_are_apart(void **state)
{
    struct fixture *f = *state;
    struct merger_permit *permits[7];
    struct command command = insert_of(1, 0, 0, "");
    size_t count = 0;
    assert_int_equal(submit(f, &command, f), MERGER_GO);
    permits[count++] = f->answer.permit;
    f->identity[31] = 8;
    assert_int_equal(submit(f, &command, f), MERGER_GO);
    permits[count++] = f->answer.permit;
    f->identity[31] = 7;
    f->origin.server = "h:12";
    assert_int_equal(submit(f, &command, f), MERGER_GO);
    permits[count++] = f->answer.permit;
    f->origin.server = "h:1";
    f->origin.backpressure = true; /* the server may refuse these for overload */
    assert_int_equal(submit(f, &command, f), MERGER_GO);
    permits[count++] = f->answer.permit;
    f->origin.backpressure = false;
    command = command_of(0, "{\"insert\":\"d\",\"$db\":\"test\"}", "[{\"_id\":1}]");
    assert_int_equal(submit(f, &command, f), MERGER_GO);
    permits[count++] = f->answer.permit;
    command = command_of(0, "{\"insert\":\"c\",\"$db\":\"tes\"}", "[{\"_id\":1}]");
    assert_int_equal(submit(f, &command, f), MERGER_GO);
    permits[count++] = f->answer.permit;
    know(f, 1); /* numbered ones have labels and numbers of their own */
    assert_int_equal(submit_id(f, 1, 1, 2), MERGER_GO);
    permits[count++] = f->answer.permit;
    assert_int_equal(counted(f, MERGER_AT_ONCE), count);
    while (count > 0)
        merger_finished(f->merger, permits[--count], f->now_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_means_what_its_row_says),
        cmocka_unit_test(the_table_is_covered),
        cmocka_unit_test(forms_of_the_command),
        cmocka_unit_test_setup_teardown(comments_are_left_out_by_the_option, fixture_make,
                                        fixture_end),
        cmocka_unit_test(sizes_are_bounds),
        cmocka_unit_test(malformed_bytes_are_barred),
        cmocka_unit_test(numbers_are_read_where_merging_is_barred),
        cmocka_unit_test(a_checksum_is_no_document),
        cmocka_unit_test_setup_teardown(other_owners_and_namespaces_are_apart, fixture_make,
                                        fixture_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
