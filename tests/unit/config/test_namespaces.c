/* Options that namespaces have of their own. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "config/config.h"
#include "folder.h"

#define REQUIRED "upstream: mongodb://h\nlisten: a:1\n"

enum { SIZE = 200000 };

static bool load(const char *yaml, struct config **out, struct error *err)
{
    *err = (struct error){0};
    return config_load_yaml("f.yaml", yaml, strlen(yaml), out, err);
}

static const struct config_merge *of(const struct config *config, const char *ns)
{
    return config_merge_of(config, ns, strlen(ns));
}

static void defaults(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error err;
    assert_true(load(REQUIRED, &c, &err));
    const struct config_merge *merge = of(c, "a.b");
    assert_ptr_equal(merge, &c->merge);
    assert_int_equal(merge->enabled, CONFIG_FALSE);
    assert_int_equal(merge->max_docs, 1000);
    assert_int_equal(merge->max_bytes, 1048576);
    assert_int_equal(merge->max_in_flight, 1);
    assert_int_equal(merge->linger_us, 0);
    assert_int_equal(merge->max_waiters, 10000);
    assert_int_equal(merge->on_cap, CONFIG_PASSTHROUGH);
    assert_int_equal(c->merge_retry_table_bytes, 64 << 20);
    config_release(c);
}

static void a_namespace_has_what_it_sets_and_else_what_all_have(void **state)
{
    (void)state;
    static const char *const forms[] = {
        REQUIRED "merge:\n  namespaces:\n    d.z: {}\n    d.b:\n      enabled: off\n"
                 "      max_docs: 7\n    d.a.x: {on_cap: reject, max_bytes: 2KiB}\n"
                 "  enabled: on\n  linger_us: 9\n",
        REQUIRED "merge.namespaces: {d.b: {enabled: off, max_docs: 7},\n d.a.x: {on_cap: reject, "
                 "max_bytes: 2KiB}}\nmerge.enabled: on\nmerge.linger_us: 9\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct config *c = NULL;
        struct error err;
        assert_true(load(forms[i], &c, &err));
        assert_int_equal(c->merge_namespace_count, 2);
        assert_int_equal(of(c, "d.b")->enabled, CONFIG_FALSE);
        assert_int_equal(of(c, "d.b")->max_docs, 7);
        assert_int_equal(of(c, "d.b")->linger_us, 9);
        assert_int_equal(of(c, "d.a.x")->enabled, CONFIG_TRUE);
        assert_int_equal(of(c, "d.a.x")->on_cap, CONFIG_REJECT);
        assert_int_equal(of(c, "d.a.x")->max_bytes, 2048);
        static const char *const others[] = {"d.z", "d.a", "d.a.xx", "d.", "d", "", "a.a", "z.z"};
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
            assert_ptr_equal(of(c, others[k]), &c->merge);
        config_release(c);
    }
    struct config *c = NULL;
    struct error err;
    assert_true(load(REQUIRED "merge: {namespaces: }\n", &c, &err));
    config_release(c);
}

static void many_are_found(void **state)
{
    (void)state;
    char *yaml = memory_alloc(SIZE);
    size_t len = (size_t)snprintf(yaml, SIZE, REQUIRED "merge.namespaces:\n");
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(yaml + len, SIZE - len, "  d.c%d: {max_docs: %d}\n",
                                i * 7919 % 1000, i * 7919 % 1000 + 1);
    struct config *c = NULL;
    struct error err;
    assert_true(load(yaml, &c, &err));
    for (int i = 0; i < 1000; i++) {
        char ns[20];
        (void)snprintf(ns, sizeof ns, "d.c%d", i);
        assert_int_equal(of(c, ns)->max_docs, i + 1);
    }
    config_release(c);
    len = (size_t)snprintf(yaml, SIZE, REQUIRED "merge.namespaces:\n");
    for (int i = 0; i < 4097; i++)
        len += (size_t)snprintf(yaml + len, SIZE - len, "  d.%d: {linger_us: 1}\n", i);
    assert_false(load(yaml, &c, &err));
    assert_non_null(strstr(err.message, "merge.namespaces: more than 4096 options"));
    memory_free(yaml);
}

static void errors_name_file_line_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *message;
    } cases[] = {
        {"merge:\n  namespaces:\n    d.c:\n      max_doc: 5",
         "f.yaml:4: unknown key \"merge.namespaces.d.c.max_doc\"; a namespace may have enabled, "
         "max_docs, max_bytes, max_in_flight, stalled_after_ms, linger_us, max_waiters, on_cap, "
         "ignore_comment"},
        {"merge.namespaces: {d.c: {retry_table_bytes: 1GiB}}",
         "f.yaml:1: unknown key \"merge.namespaces.d.c.retry_table_bytes\"; a namespace may have "
         "enabled, max_docs, max_bytes, max_in_flight, stalled_after_ms, linger_us, max_waiters, "
         "on_cap, ignore_comment"},
        {REQUIRED "merge.namespaces: {d.c: {max_docs: 0}}",
         "f.yaml:3: merge.namespaces.d.c.max_docs: \"0\" is not allowed; expected a whole number "
         "from 1 to 100000"},
        {REQUIRED "merge.namespaces: {d.c: {enabled: maybe}}",
         "f.yaml:3: merge.namespaces.d.c.enabled: \"maybe\" is not allowed; expected one of "
         "false, true"},
        {REQUIRED "merge.linger_us: 1h",
         "f.yaml:3: merge.linger_us: \"1h\" is not allowed; expected microseconds from 0 to "
         "1000000, plain or with a unit (us, ms, s, m)"},
        {"merge.namespaces: {d.c: {max_docs: [1]}}",
         "f.yaml:1: merge.namespaces.d.c.max_docs: expected a whole number from 1 to 100000, found "
         "a list"},
        {"merge.namespaces: {d.c: {max_docs: }}",
         "f.yaml:1: merge.namespaces.d.c.max_docs has no value; remove the line for the "
         "default, or write \"\" for an empty text"},
        {"merge.namespaces: {d.c: {max_docs: !x 1}}",
         "f.yaml:1: merge.namespaces.d.c.max_docs has a YAML tag; write the value without it"},
        {"merge.namespaces: {d.c: {max_docs: \"1\\0\"}}",
         "f.yaml:1: merge.namespaces.d.c.max_docs contains a NUL character"},
        {"merge.namespaces: {orders: {max_docs: 1}}",
         "f.yaml:1: merge.namespaces: \"orders\" is not a namespace; write DATABASE.COLLECTION"},
        {"merge.namespaces: {.c: {max_docs: 1}}",
         "f.yaml:1: merge.namespaces: \".c\" is not a namespace; write DATABASE.COLLECTION"},
        {"merge.namespaces: {d.: {max_docs: 1}}",
         "f.yaml:1: merge.namespaces: \"d.\" is not a namespace; write DATABASE.COLLECTION"},
        {"merge.namespaces: {[a]: 1}",
         "f.yaml:1: key: expected a namespace: DATABASE.COLLECTION, found a list"},
        {"merge.namespaces: {d.c: {[a]: 1}}",
         "f.yaml:1: key: expected the name of an option, found a list"},
        {"merge.namespaces: 5",
         "f.yaml:1: merge.namespaces: expected a mapping of options, found a single value"},
        {"merge.namespaces: {d.c: 5}",
         "f.yaml:1: merge.namespaces.d.c: expected a mapping of options, found a single value"},
        {"merge.namespaces: !x {}",
         "f.yaml:1: merge.namespaces has a YAML tag; write the value without it"},
        {"merge.namespaces:\n d.c: {max_docs: 1,\n  max_docs: 2}",
         "f.yaml:3: merge.namespaces.d.c.max_docs is given twice (first in line 2); keep one of "
         "them"},
        {"merge.namespaces:\n d.c: {max_docs: 1}\n d.c: {max_bytes: 2}",
         "f.yaml:3: merge.namespaces.d.c is given twice (first in line 2); keep one of them"},
        {"merge: {namespaces: {}}\nmerge.namespaces: {}",
         "f.yaml:2: merge.namespaces is given twice (first in line 1); keep one of them"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        struct error err;
        assert_false(load(cases[i].yaml, &c, &err));
        assert_null(c);
        assert_string_equal(err.message, cases[i].message);
    }
}

static bool load_flags(const char *first, const char *second, struct config **out,
                       struct error *err)
{
    enum config_command what = CONFIG_RUN;
    char *argv[] = {(char *)"mongosluice", (char *)"--upstream=mongodb://h", (char *)"--listen=a:1",
                    (char *)first, (char *)second};
    *err = (struct error){0};
    return config_load(second == NULL ? 4 : 5, argv, out, &what, err);
}

static void flags_are_repeatable(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error err;
    assert_true(load_flags("--merge.namespace=d.a:b:max_docs=5,enabled=on",
                           "--merge.namespace=d.c:linger_us=3", &c, &err));
    assert_int_equal(of(c, "d.a:b")->max_docs, 5);
    assert_int_equal(of(c, "d.a:b")->enabled, CONFIG_TRUE);
    assert_int_equal(of(c, "d.c")->linger_us, 3);
    config_release(c);
#define END                                                                                        \
    "; write DATABASE.COLLECTION:NAME=VALUE,..., where NAME is one of enabled, max_docs, "         \
    "max_bytes, max_in_flight, stalled_after_ms, linger_us, max_waiters, on_cap, ignore_comment"
    static const struct {
        const char *flag;
        const char *second;
        const char *message;
    } cases[] = {
        {"--merge.namespace=d.c", NULL, "--merge.namespace: \"d.c\" has no colon" END},
        {"--merge.namespace=dc:max_docs=1", NULL,
         "--merge.namespace: \"dc:max_docs=1\" has no namespace before its colon" END},
        {"--merge.namespace=d.c:", NULL,
         "--merge.namespace: \"d.c:\" has a part without \"=\"" END},
        {"--merge.namespace=d.c:max_docs=1,", NULL,
         "--merge.namespace: \"d.c:max_docs=1,\" has a part without \"=\"" END},
        {"--merge.namespace=d.c:docs=1", NULL,
         "--merge.namespace: \"d.c:docs=1\" has an unknown name" END},
        {"--merge.namespace=d.c:max_docs=x", NULL,
         "--merge.namespace d.c:max_docs: \"x\" is not allowed; expected a whole number from 1 to "
         "100000"},
        {"--merge.namespace=d.c:max_docs=1", "--merge.namespace=d.c:max_docs=1",
         "--merge.namespace d.c:max_docs is given twice; keep one of them"},
        {"--merge.namespace", NULL,
         "--merge.namespace needs a value: --merge.namespace VALUE or --merge.namespace=VALUE"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(load_flags(cases[i].flag, cases[i].second, &c, &err));
        assert_null(c);
        assert_string_equal(err.message, cases[i].message);
    }
    char longest[1000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest, "--merge.namespace=d.", 20);
    assert_false(load_flags(longest, NULL, &c, &err));
    assert_non_null(strstr(err.message, "is too long"));
}

static void flags_win_and_all_is_read_again(void **state)
{
    const struct folder *folder = *state;
    struct config *c = NULL;
    struct config *next = NULL;
    struct config_changes ignored;
    enum config_command what = CONFIG_RUN;
    struct error err;
    char *argv[] = {(char *)"mongosluice", (char *)"--config", (char *)folder->file,
                    (char *)"--merge.namespace=d.c:max_docs=5"};
    folder_write(folder, REQUIRED "merge.namespaces: {d.c: {max_docs: 9, enabled: on}}\n");
    assert_true(config_load(4, argv, &c, &what, &err));
    assert_int_equal(of(c, "d.c")->max_docs, 5);
    assert_int_equal(of(c, "d.c")->enabled, CONFIG_TRUE);
    struct text listing = text_growing();
    config_write_listing(c, &listing);
    assert_non_null(strstr(listing.data,
                           "\"mergeNamespaces\":[\n{\"namespace\":\"d.c\",\"name\":"
                           "\"merge.max_docs\",\"value\":5,\"origin\":\"flag\"},\n{\"namespace\":"
                           "\"d.c\",\"name\":\"merge.enabled\",\"value\":\"true\",\"origin\":"
                           "\"file\",\"line\":3}]}\n"));
    text_release(&listing);
    folder_write(folder, REQUIRED "merge.namespaces: {d.d: {enabled: on}}\n");
    assert_true(config_reload(c, &next, &ignored, &err));
    assert_int_equal(ignored.count, 0);
    assert_int_equal(of(next, "d.c")->max_docs, 5);
    assert_int_equal(of(next, "d.c")->enabled, CONFIG_FALSE);
    assert_int_equal(of(next, "d.d")->enabled, CONFIG_TRUE);
    config_release(c);
    config_release(next);
}

static void any_allocation_may_fail(void **state)
{
    const struct folder *folder = *state;
    char *argv[] = {(char *)"mongosluice", (char *)"--config", (char *)folder->file,
                    (char *)"--merge.namespace=d.c:max_docs=5,max_bytes=5KiB"};
    folder_write(folder, REQUIRED "merge.namespaces: {d.c: {max_docs: 9}, d.d: {max_docs: 9}}\n");
    folder_fail_each_allocation(4, argv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(a_namespace_has_what_it_sets_and_else_what_all_have),
        cmocka_unit_test(many_are_found),
        cmocka_unit_test(errors_name_file_line_and_key),
        cmocka_unit_test(flags_are_repeatable),
        cmocka_unit_test_setup_teardown(flags_win_and_all_is_read_again, folder_make, folder_end),
        cmocka_unit_test_setup_teardown(any_allocation_may_fail, folder_make, folder_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
