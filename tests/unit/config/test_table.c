/* Compares the option table with itself and with the files that repeat its content. */
#include <stdio.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/memory.h"
#include "config/options.h"
#include "config/value.h"

/* The file as text; memory_free it. */
static char *read_all(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    enum { SIZE = 262144 };
    char *text = memory_zalloc(SIZE);
    assert_non_null(text);
    assert_true(fread(text, 1, SIZE - 1, file) > 0);
    (void)fclose(file);
    return text;
}

static void names_are_found_and_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_count; i++) {
        const char *name = options_table[i].name;
        assert_ptr_equal(options_find(name), &options_table[i]);
        assert_null(options_find_group(name)); /* an option is not a group as well */
        assert_true(strlen(name) < 64);
        assert_null(strchr(name, '-'));
        assert_non_null(options_table[i].description);
    }
    assert_null(options_find("tls"));
    assert_string_equal(options_find_group("tls")->name, "tls.mode");
    assert_null(options_find_group("tl"));
}

static void suggestions_are_near(void **state)
{
    (void)state;
    assert_string_equal(options_suggest("upstraem"), "upstream");
    assert_string_equal(options_suggest("thread"), "threads");
    assert_string_equal(options_suggest("tls.certfile"), "tls.cert_file");
    assert_string_equal(options_suggest("key_file"), "tls.key_file");
    assert_string_equal(options_suggest("max_client_connections"), "max_client_conn");
    assert_null(options_suggest("x"));
    assert_null(options_suggest("completely_other"));
    assert_null(options_suggest(""));
    char longest[200];
    memset(longest, 'u', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_null(options_suggest(longest));
}

/* The last part of a dotted name, as the nested file writes it. */
static const char *key_of(const struct option *option)
{
    const char *dot = strrchr(option->name, '.');
    return dot == NULL ? option->name : dot + 1;
}

static void example_file_has_every_option_with_its_default(void **state)
{
    (void)state;
    char *yaml = read_all(SOURCE_DIR "/config/mongosluice.yaml");
    struct config *example = NULL;
    struct config *bare = NULL;
    struct error err = {0};
    static const char required[] = "upstream: mongodb://h\nlisten: a:1\n";
    assert_true(config_load_yaml("mongosluice.yaml", yaml, strlen(yaml), &example, &err));
    assert_true(config_load_yaml("bare", required, sizeof required - 1, &bare, &err));
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        char key[80];
        (void)snprintf(key, sizeof key, "\n%s%s: ", strchr(option->name, '.') == NULL ? "" : "  ",
                       key_of(option));
        if (strstr(yaml, key) == NULL)
            fail_msg("config/mongosluice.yaml has no line for %s", option->name);
        if (option->fallback != NULL && !value_equals(option, example, bare))
            fail_msg("config/mongosluice.yaml has not the default of %s", option->name);
    }
    config_release(example);
    config_release(bare);
    memory_free(yaml);
}

static void document_ends_with_the_table(void **state)
{
    (void)state;
    char *document = read_all(SOURCE_DIR "/docs/configuration.md");
    struct text table = text_growing();
    config_write_markdown(&table);
    assert_false(table.cut);
    const char *found = strstr(document, table.data);
    if (found == NULL || found[table.len] != '\0')
        fail_msg("docs/configuration.md is not current: scripts/generate-configuration-doc.py");
    text_release(&table);
    memory_free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_and_unique),
        cmocka_unit_test(suggestions_are_near),
        cmocka_unit_test(example_file_has_every_option_with_its_default),
        cmocka_unit_test(document_ends_with_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
