#include <bson/bson.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/memory.h"
#include "config/options.h"

static struct config *load(void)
{
    static const char yaml[] =
        "upstream: mongodb://u:s3cret@h/?tlsCertificateKeyFilePassword=s3cret"
        "\nlisten: '[::1]:5'\n\nlog.file: \"a\\\"\\n\"\nmemory_max: 64MiB\n";
    struct config *c = NULL;
    struct error err;
    assert_true(config_load_yaml("f.yaml", yaml, sizeof yaml - 1, &c, &err));
    return c;
}

static void listing_is_json_without_secrets(void **state)
{
    (void)state;
    struct config *c = load();
    struct text text = text_growing();
    bson_error_t why;
    config_write_listing(c, &text);
    assert_false(text.cut);
    assert_null(strstr(text.data, "s3cret"));
    bson_t *parsed = bson_new_from_json((const uint8_t *)text.data, (ssize_t)text.len, &why);
    assert_non_null(parsed);
    bson_iter_t at;
    bson_iter_t options;
    assert_true(bson_iter_init_find(&at, parsed, "options"));
    assert_true(bson_iter_recurse(&at, &options));
    size_t count = 0;
    while (bson_iter_next(&options)) {
        bson_iter_t name;
        assert_true(bson_iter_recurse(&options, &name) && bson_iter_find(&name, "name"));
        assert_string_equal(bson_iter_utf8(&name, NULL), options_table[count].name);
        count++;
    }
    assert_int_equal(count, options_count);
    bson_destroy(parsed);
    static const char *const parts[] = {
        "{\"file\":\"f.yaml\",",
        "\"value\":\"mongodb://<redacted>@h/?tlsCertificateKeyFilePassword=<redacted>\"",
        "{\"name\":\"listen\",\"value\":\"[::1]:5\",\"origin\":\"file\",\"line\":2,",
        "{\"name\":\"memory_max\",\"value\":67108864,\"origin\":\"file\",\"line\":5,"
        "\"default\":\"512MiB\",\"reloadable\":true,",
        "{\"name\":\"log.file\",\"value\":\"a\\\"\\n\",",
        "{\"name\":\"threads\",\"value\":0,\"origin\":\"default\",\"default\":\"0\","
        "\"reloadable\":false,",
        "{\"name\":\"tls.mode\",\"value\":\"off\",",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_non_null(strstr(text.data, parts[i]));
    text_release(&text);
    config_release(c);
}

static void help_names_every_option_within_80_columns(void **state)
{
    (void)state;
    struct text text = text_growing();
    config_write_help(&text);
    assert_false(text.cut);
    for (size_t i = 0; i < options_count; i++) {
        char flag[80];
        (void)snprintf(flag, sizeof flag, "\n  --%s ", options_table[i].name);
        assert_non_null(strstr(text.data, flag));
    }
    for (const char *line = text.data; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 80);
    text_release(&text);
}

static void manual_has_every_option_and_no_line_that_roff_takes_for_its_own(void **state)
{
    (void)state;
    struct text text = text_growing();
    config_write_man(&text);
    assert_false(text.cut);
    for (size_t i = 0; i < options_count; i++) {
        char flag[80];
        (void)snprintf(flag, sizeof flag, "\n.BI \\-\\-%s \" ", options_table[i].name);
        assert_non_null(strstr(text.data, flag));
    }
    for (const char *line = text.data; *line != '\0'; line += strcspn(line, "\n") + 1)
        if (*line == '.' || *line == '\'')
            assert_true(strncmp(line, ".TP\n", 4) == 0 || strncmp(line, ".BI ", 4) == 0);
    text_release(&text);
}

static void table_for_the_shells_has_three_fields_a_line(void **state)
{
    (void)state;
    struct text text = text_growing();
    size_t lines = 0;
    config_write_table(&text);
    assert_false(text.cut);
    for (const char *line = text.data; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t tabs = 0;
        for (const char *at = line; *at != '\n'; at++)
            tabs += *at == '\t';
        assert_int_equal(tabs, 2);
        lines++;
    }
    assert_non_null(strstr(text.data, "\ntls.mode\toff|allow|require\t"));
    assert_non_null(strstr(text.data, "config\tFILE\t"));
    assert_true(lines > options_count);
    text_release(&text);
}

static void no_memory_is_told_apart(void **state)
{
    (void)state;
    struct config *c = load();
    bool cut = true;
    for (long i = 1; cut; i++) {
        struct text text = text_growing();
        assert_in_range(i, 1, 1000);
        memory_fail_after(i);
        config_write_listing(c, &text);
        memory_fail_never();
        cut = text.cut;
        text_release(&text);
    }
    config_release(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listing_is_json_without_secrets),
        cmocka_unit_test(help_names_every_option_within_80_columns),
        cmocka_unit_test(manual_has_every_option_and_no_line_that_roff_takes_for_its_own),
        cmocka_unit_test(table_for_the_shells_has_three_fields_a_line),
        cmocka_unit_test(no_memory_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
