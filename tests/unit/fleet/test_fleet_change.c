/* What is done to a registry's document, and the file that proxies make of it. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fleet/fleet_change.h"
#include "fleet/fleet_render.h"

static const struct fleet_author author = {.by = "ada", .note = "why", .at_ms = 1000};

/* A schema that names its number. Its hash is the hash of the schema that the file's reader makes.
 */
static void make_schema(int number, char text[128], char hash[SCHEMA_HASH_SIZE])
{
    char file_text[256];
    struct schema_file file;
    struct error err;
    (void)snprintf(text, 128, "{\"required\": [\"field%d\"]}", number);
    (void)snprintf(file_text, sizeof file_text, "{\"ns\": \"a.b\", \"schema\": %s}", text);
    assert_true(schema_file_parse(file_text, strlen(file_text), NULL, NULL, &file, &err));
    memcpy(hash, file.versions[0].hash, SCHEMA_HASH_SIZE);
    schema_file_release(&file);
}

static enum fleet_outcome push(struct fleet_document *document, int number,
                               struct fleet_push options, struct error *err)
{
    char text[128];
    char hash[SCHEMA_HASH_SIZE];
    make_schema(number, text, hash);
    options.text = text;
    options.text_len = strlen(text);
    options.hash = hash;
    options.allow_bypass = true;
    return fleet_push(document, &options, &author, err);
}

static struct fleet_document *with_versions(int count)
{
    struct error err;
    struct fleet_document *document = fleet_document_new("shop.orders");
    assert_non_null(document);
    for (int i = 1; i <= count; i++)
        assert_int_equal(push(document, i, (struct fleet_push){0}, &err), FLEET_CHANGED);
    return document;
}

static void assert_accepted(const struct fleet_document *document, const char *expected)
{
    char got[256] = "";
    for (size_t i = 0; i < document->state.accepted_count; i++)
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i == 0 ? "" : " ",
                       document->state.accepted[i].version);
    assert_string_equal(got, expected);
}

static void a_push_is_the_newest(void **state)
{
    struct error err;
    (void)state;
    struct fleet_document *document = with_versions(3);
    assert_accepted(document, "3 2 1");
    assert_int_equal(document->revision, 3);
    assert_int_equal(push(document, 3, (struct fleet_push){0}, &err), FLEET_UNCHANGED);
    assert_int_equal(document->revision, 3);
    assert_int_equal(push(document, 3, (struct fleet_push){.level = SCHEMA_LEVEL_MODERATE}, &err),
                     FLEET_CHANGED);
    assert_int_equal(document->steps[3].action, FLEET_SETTINGS);
    /* a known schema is not a new version */
    assert_int_equal(push(document, 1, (struct fleet_push){.retire_others = true}, &err),
                     FLEET_CHANGED);
    assert_accepted(document, "1");
    assert_int_equal(document->version_count, 3);
    fleet_document_free(document);
}

static void a_candidate_is_beside(void **state)
{
    struct error err;
    (void)state;
    struct fleet_document *document = fleet_document_new("shop.orders");
    assert_int_equal(push(document, 1, (struct fleet_push){.as_candidate = true}, &err),
                     FLEET_IMPOSSIBLE);
    fleet_document_free(document);
    document = with_versions(1);
    assert_int_equal(push(document, 1, (struct fleet_push){.as_candidate = true}, &err),
                     FLEET_UNCHANGED);
    assert_int_equal(push(document, 2, (struct fleet_push){.as_candidate = true}, &err),
                     FLEET_CHANGED);
    assert_int_equal(document->state.candidate, 2);
    assert_accepted(document, "1");
    assert_int_equal(fleet_promote(document, "candidate", 5000, false, &author, &err),
                     FLEET_CHANGED);
    assert_accepted(document, "2 1");
    assert_int_equal(document->state.candidate, 0);
    assert_int_equal(document->state.accepted[1].until_ms, 5000);
    fleet_document_free(document);
}

static void ends_are_kept_and_not_carried_on(void **state)
{
    static const struct fleet_author later = {.by = "ada", .at_ms = 6000};
    struct error err;
    (void)state;
    struct fleet_document *document = with_versions(3);
    assert_int_equal(fleet_retire(document, "v2", 5000, &author, &err), FLEET_CHANGED);
    assert_int_equal(document->state.accepted[1].until_ms, 5000);
    /* an end that comes first stays */
    assert_int_equal(fleet_promote(document, "3", 9000, false, &author, &err), FLEET_CHANGED);
    assert_int_equal(document->state.accepted[1].until_ms, 5000);
    assert_int_equal(document->state.accepted[2].until_ms, 9000);
    assert_int_equal(fleet_promote(document, "1", 0, false, &later, &err), FLEET_CHANGED);
    assert_accepted(document, "1 3");
    assert_int_equal(document->state.accepted[0].until_ms, 0);
    fleet_document_free(document);
}

static void the_newest_is_not_retired(void **state)
{
    struct error err;
    (void)state;
    struct fleet_document *document = with_versions(3);
    assert_int_equal(fleet_retire(document, "newest", 0, &author, &err), FLEET_IMPOSSIBLE);
    assert_non_null(strstr(err.message, "is the newest"));
    assert_int_equal(fleet_retire(document, "1", 0, &author, &err), FLEET_CHANGED);
    assert_int_equal(fleet_retire(document, "1", 0, &author, &err), FLEET_UNCHANGED);
    assert_accepted(document, "3 2");
    assert_int_equal(fleet_retire_others(document, &author, &err), FLEET_CHANGED);
    assert_accepted(document, "3");
    assert_int_equal(fleet_retire_all(document, &author, &err), FLEET_CHANGED);
    assert_true(fleet_is_empty(document));
    fleet_document_free(document);
}

static void a_rollback_is_a_new_revision(void **state)
{
    struct error err;
    (void)state;
    struct fleet_document *document = with_versions(1);
    assert_int_equal(fleet_rollback(document, 0, &author, &err), FLEET_IMPOSSIBLE);
    assert_int_equal(push(document, 2, (struct fleet_push){.action = SCHEMA_ACTION_WARN}, &err),
                     FLEET_CHANGED);
    assert_int_equal(fleet_rollback(document, 0, &author, &err), FLEET_CHANGED);
    assert_accepted(document, "1");
    assert_int_equal(document->state.action, SCHEMA_ACTION_ERROR);
    assert_int_equal(document->revision, 3);
    assert_int_equal(document->steps[2].action, FLEET_ROLLBACK);
    assert_string_equal(document->steps[2].by, "ada");
    assert_string_equal(document->steps[2].note, "why");
    assert_int_equal(fleet_rollback(document, 2, &author, &err), FLEET_CHANGED);
    assert_accepted(document, "2 1");
    assert_int_equal(fleet_rollback(document, 77, &author, &err), FLEET_IMPOSSIBLE);
    fleet_document_free(document);
}

static void versions_have_names(void **state)
{
    struct error err;
    char part[8];
    (void)state;
    struct fleet_document *document = with_versions(2);
    assert_int_equal(push(document, 3, (struct fleet_push){.name = "november"}, &err),
                     FLEET_CHANGED);
    assert_int_equal(fleet_version_named(document, "november", &err)->number, 3);
    assert_int_equal(fleet_version_named(document, "v2", &err)->number, 2);
    assert_int_equal(fleet_version_named(document, "newest", &err)->number, 3);
    (void)snprintf(part, sizeof part, "%.7s", document->versions[0].hash);
    assert_int_equal(fleet_version_named(document, part, &err)->number, 1);
    assert_null(fleet_version_named(document, "candidate", &err));
    assert_null(fleet_version_named(document, "nothing", &err));
    static const char *const wrong[] = {"november", "7", "v7", "candidate", "newest", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fleet_document *copy = fleet_document_copy(document);
        assert_int_equal(push(copy, 4, (struct fleet_push){.name = wrong[i]}, &err),
                         FLEET_IMPOSSIBLE);
        fleet_document_free(copy);
    }
    fleet_document_free(document);
}

/* 16 accepted; of the others it keeps the last 64, and of the steps the last 200. */
static void what_is_kept_has_limits(void **state)
{
    struct error err;
    (void)state;
    struct fleet_document *document = with_versions(FLEET_ACCEPTED_MAX);
    struct fleet_document *full = fleet_document_copy(document);
    assert_int_equal(push(full, 99, (struct fleet_push){0}, &err), FLEET_IMPOSSIBLE);
    assert_non_null(strstr(err.message, "accepts 16 versions already"));
    fleet_document_free(full);
    for (int i = 100; i < 400; i++)
        assert_int_equal(push(document, i, (struct fleet_push){.retire_others = true}, &err),
                         FLEET_CHANGED);
    assert_int_equal(document->version_count, FLEET_VERSIONS_MAX);
    assert_int_equal(document->step_count, FLEET_HISTORY_MAX);
    assert_int_equal(document->steps[0].revision, document->revision - FLEET_HISTORY_MAX + 1);
    assert_int_equal(fleet_rollback(document, document->steps[0].revision, &author, &err),
                     FLEET_IMPOSSIBLE);
    assert_non_null(strstr(err.message, "no longer keeps"));
    fleet_document_free(document);
}

/* To text and back: a document loses nothing, and its file has the same content. */
static void a_document_is_read_as_it_was_written(void **state)
{
    struct error err;
    bson_t bson;
    struct fleet_document *again = NULL;
    (void)state;
    struct fleet_reader *reader = fleet_reader_new(&err);
    struct fleet_document *document = with_versions(2);
    assert_int_equal(push(document, 3, (struct fleet_push){.as_candidate = true}, &err),
                     FLEET_CHANGED);
    assert_int_equal(fleet_retire(document, "1", 1234567, &author, &err), FLEET_CHANGED);
    assert_true(fleet_document_write(document, &bson, &err));
    assert_true(
        fleet_document_read(reader, bytes_of(bson_get_data(&bson), bson.len), &again, &err));
    struct text one = text_growing();
    struct text two = text_growing();
    assert_true(fleet_render(document, &one, &err));
    assert_true(fleet_render(again, &two, &err));
    assert_string_equal(one.data, two.data);
    assert_non_null(
        strstr(one.data, "\"accepted_until\": {\"$date\": {\"$numberLong\": \"1234567\"}}"));
    assert_non_null(strstr(one.data, "\"candidate\": {\"name\": \"v3\""));
    text_release(&one);
    text_release(&two);
    bson_destroy(&bson);
    fleet_document_free(again);
    fleet_document_free(document);
    fleet_reader_free(reader);
}

static void a_schema_stays_in_its_place(void **state)
{
    static const char *const texts[] = {
        "{\"required\": [\"field1\"]}, \"level\": \"off\", \"x\": {}",
        "{\"required\": [\"field1\"]}, \"candidate\": {\"schema\": {}}",
        "{\"required\": [\"field1\"]}} {\"ns\": \"c.d\", \"schema\": {}",
        "{\"required\": [\"field2\"]}",
        "{",
        "[]",
        "5",
        ""};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct text file = text_growing();
        struct fleet_document *document = with_versions(1);
        memory_free(document->versions[0].text);
        document->versions[0].text = memory_copy_string(texts[i]);
        assert_false(fleet_render(document, &file, &err));
        text_release(&file);
        fleet_document_free(document);
    }
}

static void a_schemas_text_is_found(void **state)
{
    static const struct {
        const char *file;
        const char *schema; /* NULL: there is none */
    } cases[] = {
        {"{\"ns\": \"a.b\", \"schema\": {\"a\": [1, {}]} }", "{\"a\": [1, {}]}"},
        {" {\"schema\":{\"x\":\"}\\\"{\"},\"ns\":\"schema\"}", "{\"x\":\"}\\\"{\"}"},
        {"{\"x\": {\"schema\": {}}, \"schema\" : {\"y\": 1}}", "{\"y\": 1}"},
        {"{\"x\": [\"schema\", {}], \"n\": -1.5e3, \"schema\": {}}", "{}"},
        {"{\"ns\": \"a.b\"}", NULL},
        {"{\"schema\": 5}", NULL},
        {"{\"schema\": [{}]}", NULL},
        {"[]", NULL},
        {"", NULL},
        {"{\"schema\"", NULL},
        {"{\"schema\": ", NULL},
        {"{\"\\\"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *start = NULL;
        size_t len = 0;
        bool found = fleet_find_schema_text(cases[i].file, strlen(cases[i].file), &start, &len);
        assert_int_equal(found, cases[i].schema != NULL);
        if (found) {
            assert_int_equal(len, strlen(cases[i].schema));
            assert_memory_equal(start, cases[i].schema, len);
        }
    }
}

static void namespaces_are_mongodbs(void **state)
{
    static const char *const good[] = {"a.b", "a.b.c", "a-1.b/c", "a._b", "a.b\nc"};
    static const char *const bad[] = {"",      ".",    "a",     "a.",     ".b",     "a..b",
                                      "a/b.c", "$a.b", "a b.c", "a\\b.c", "a\"b.c", "../a.b"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(fleet_is_namespace(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(fleet_is_namespace(bad[i], strlen(bad[i])));
    assert_false(fleet_is_namespace("a.b\0c", 5));
}

/* Each allocation in turn fails: no crash, no leak, no half of a change. */
/* A BSON symbol equals a string in an enum, and has no text for libbson. */
static void no_word_is_a_symbol(void **state)
{
    static const char *const names[] = {"level", "action", "unproved", "dialect"};
    struct error err;
    bson_t bson;
    (void)state;
    struct fleet_document *document = with_versions(1);
    struct fleet_reader *reader = fleet_reader_new(&err);
    assert_true(fleet_document_write(document, &bson, &err));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct fleet_document *read = NULL;
        uint8_t *data = (uint8_t *)(uintptr_t)bson_get_data(&bson);
        uint8_t *name = memmem(data, bson.len, names[i], strlen(names[i]) + 1);
        assert_non_null(name);
        name[-1] = BSON_TYPE_SYMBOL;
        assert_false(fleet_document_read(reader, bytes_of(data, bson.len), &read, &err));
        assert_non_null(strstr(err.message, names[i]));
        name[-1] = BSON_TYPE_UTF8;
        assert_true(fleet_document_read(reader, bytes_of(data, bson.len), &read, &err));
        fleet_document_free(read);
    }
    bson_destroy(&bson);
    fleet_reader_free(reader);
    fleet_document_free(document);
}

static void memory_may_be_out(void **state)
{
    struct error err;
    char text[128];
    char hash[SCHEMA_HASH_SIZE];
    bson_t bson;
    (void)state;
    struct fleet_reader *reader = fleet_reader_new(&err);
    struct fleet_document *document = with_versions(2);
    assert_true(fleet_document_write(document, &bson, &err));
    make_schema(3, text, hash);
    bool done = false;
    for (long n = 1; !done; n++) {
        struct fleet_document *read = NULL;
        struct fleet_document *copy = NULL;
        struct text file = text_growing();
        enum fleet_outcome outcome = FLEET_IMPOSSIBLE;
        struct fleet_push wanted = {
            .text = text, .text_len = strlen(text), .hash = hash, .allow_bypass = true};
        memory_fail_after(n);
        bool ok =
            fleet_document_read(reader, bytes_of(bson_get_data(&bson), bson.len), &read, &err);
        if (ok)
            copy = fleet_document_copy(read);
        if (copy != NULL)
            outcome = fleet_push(copy, &wanted, &author, &err);
        if (outcome == FLEET_CHANGED)
            done = fleet_render(copy, &file, &err);
        memory_fail_never();
        text_release(&file);
        fleet_document_free(read);
        fleet_document_free(copy);
        assert_true(n < 100000);
    }
    bson_destroy(&bson);
    fleet_document_free(document);
    fleet_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_is_the_newest),
        cmocka_unit_test(a_candidate_is_beside),
        cmocka_unit_test(ends_are_kept_and_not_carried_on),
        cmocka_unit_test(the_newest_is_not_retired),
        cmocka_unit_test(a_rollback_is_a_new_revision),
        cmocka_unit_test(versions_have_names),
        cmocka_unit_test(what_is_kept_has_limits),
        cmocka_unit_test(a_document_is_read_as_it_was_written),
        cmocka_unit_test(a_schema_stays_in_its_place),
        cmocka_unit_test(a_schemas_text_is_found),
        cmocka_unit_test(namespaces_are_mongodbs),
        cmocka_unit_test(no_word_is_a_symbol),
        cmocka_unit_test(memory_may_be_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
