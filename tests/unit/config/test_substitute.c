#include "config/substitute.h"

#include <string.h>

#include "../cmocka_all.h"
#include "base/memory.h"

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "USER_1") == 0  ? "app"
           : strcmp(name, "PASS") == 0  ? "p@ss/w\xc3\xb6rd"
           : strcmp(name, "EMPTY") == 0 ? ""
                                        : NULL;
}

static bool file(void *arg, const char *path, struct text *out, struct error *err)
{
    (void)arg;
    if (strcmp(path, "/run/s3cret") == 0)
        text_add(out, "hush ~\r\n");
    else if (strcmp(path, "/two") == 0)
        text_add(out, "a\nb\n\n");
    else if (strcmp(path, "/nul") == 0)
        text_add_bytes(out, "a\0b", 3);
    else if (strcmp(path, "/blank") == 0)
        text_add(out, "\n");
    else if (strcmp(path, "/none") != 0)
        return error_set(err, ERROR_BAD_VALUE, "no file %s", path);
    return true;
}

static const struct substitute_sources sources = {variable, file, NULL};

static void values(void **state)
{
    static const struct {
        const char *written;
        bool variables;
        const char *value;
    } cases[] = {
        {"plain", true, "plain"},
        {"", true, ""},
        {"$ $$ $5 {}", true, "$ $$ $5 {}"},
        {"${USER_1}", true, "app"},
        {"<${USER_1}${USER_1}>", true, "<appapp>"},
        {"${EMPTY}", true, ""},
        {"$${USER_1}", true, "${USER_1}"},
        {"$$${USER_1}", true, "$${USER_1}"},
        {"${USER_1}", false, "${USER_1}"},
        {"file:/run/s3cret", true, "hush ~"},
        {"file:/run/s3cret", false, "hush ~"},
        {"file:/two", true, "a\nb\n"},
        {"x${file:/run/s3cret}y", true, "xhush ~y"},
        {"${percent:file:/run/s3cret}", true, "hush%20~"},
        {"mongodb://${USER_1}:${percent:PASS}@h/", true, "mongodb://app:p%40ss%2Fw%C3%B6rd@h/"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text out = text_growing();
        struct error err;
        assert_true(substitute_expand(cases[i].written, cases[i].variables, &sources, &out, &err));
        assert_string_equal(out.data, cases[i].value);
        if (!substitute_is_needed(cases[i].written, cases[i].variables))
            assert_string_equal(cases[i].written, cases[i].value);
        text_release(&out);
    }
}

static void errors(void **state)
{
    static const struct {
        const char *written;
        const char *part;
    } cases[] = {
        {"${NONE}", "the variable NONE is not set"},
        {"${USER_1", "no closing brace"},
        {"${}", "neither a variable's name nor file:PATH"},
        {"${1A}", "neither a variable's name"},
        {"${A-B}", "neither a variable's name"},
        {"${A:-b}", "neither a variable's name"},
        {"${percent:}", "neither a variable's name"},
        {"file:/other", "no file /other"},
        {"${file:/other}", "no file /other"},
        {"file:/nul", "/nul contains a NUL byte"},
        {"file:/blank", "/blank is empty"},
        {"file:/none", "/none is empty"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text out = text_growing();
        struct error err = {0};
        assert_false(substitute_expand(cases[i].written, true, &sources, &out, &err));
        if (strstr(err.message, cases[i].part) == NULL)
            fail_msg("%s: %s", cases[i].written, err.message);
        text_release(&out);
    }
}

static void each_allocation_may_fail(void **state)
{
    bool ok = false;
    (void)state;
    for (long i = 1; !ok; i++) {
        struct text out = text_growing();
        struct error err = {0};
        assert_in_range(i, 1, 100);
        memory_fail_after(i);
        ok = substitute_expand("${USER_1}${percent:file:/run/s3cret}", true, &sources, &out, &err);
        memory_fail_never();
        assert_int_equal(err.code, ok ? ERROR_NONE : ERROR_EXCEEDED_MEMORY_LIMIT);
        text_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(errors),
                                       cmocka_unit_test(each_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
