/* The rules of option limits.rules. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

static bool load(const char *rules, struct config **out, struct error *err)
{
    char yaml[2000];
    (void)snprintf(yaml, sizeof yaml,
                   "upstream: mongodb://h\nlisten: a:1\nlimits: {rules: \"%s\"}\n", rules);
    *err = (struct error){0};
    return config_load_yaml("f.yaml", yaml, strlen(yaml), out, err);
}

static void all_rules_that_fit_count(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error err;
    struct config_limit found[CONFIG_LIMIT_RULES_MAX];
    assert_true(load("connections=5,requests=10 user=*; documents=7  application=my app , "
                     "user=web@admin;; requests=3 application=*",
                     &c, &err));
    assert_int_equal(config_find_limits(c, "", "", found), 0);
    assert_int_equal(config_find_limits(c, "x", "", found), 1);
    assert_int_equal(found[0].number, 3);
    assert_string_equal(found[0].application, "x");
    assert_string_equal(found[0].user, "");
    assert_int_equal(config_find_limits(c, "my app", "web@admin", found), 3);
    assert_int_equal(found[0].number, 1);
    assert_int_equal(found[0].of[CONFIG_LIMIT_CONNECTIONS], 5);
    assert_int_equal(found[0].of[CONFIG_LIMIT_REQUESTS], 10);
    assert_int_equal(found[0].of[CONFIG_LIMIT_DOCUMENTS], 0);
    assert_string_equal(found[0].user, "web@admin");
    assert_int_equal(found[1].number, 2);
    assert_int_equal(found[1].of[CONFIG_LIMIT_DOCUMENTS], 7);
    assert_string_equal(found[1].application, "");
    config_release(c);
}

static void broken_rules_are_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"requests=5",
                                         "requests=5 ",
                                         "user=a@b",
                                         "requests=0 user=*",
                                         "requests=-1 user=*",
                                         "requests= user=*",
                                         "requests=5000000000 user=*",
                                         "requests=5,requests=6 user=*",
                                         "requests=5, user=*",
                                         "other=5 user=*",
                                         "requests=5 user=a@b,user=c@d",
                                         "requests=5 user=",
                                         "requests=5 user=%00",
                                         "requests=5 user=a@b,",
                                         "requests=5 name=a"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct config *c = NULL;
        struct error err;
        assert_false(load(broken[i], &c, &err));
        assert_null(c);
        assert_non_null(strstr(err.message, "limits.rules"));
    }
}

static void there_are_sixteen_at_most(void **state)
{
    (void)state;
    char rules[1000] = "";
    struct config *c = NULL;
    struct error err;
    struct config_limit found[CONFIG_LIMIT_RULES_MAX];
    for (int i = 0; i < CONFIG_LIMIT_RULES_MAX; i++)
        (void)strcat(rules, "requests=5 user=*;");
    assert_true(load(rules, &c, &err));
    assert_int_equal(config_find_limits(c, "", "a@b", found), CONFIG_LIMIT_RULES_MAX);
    config_release(c);
    (void)strcat(rules, "requests=5 user=*;");
    assert_false(load(rules, &c, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rules_that_fit_count),
        cmocka_unit_test(broken_rules_are_refused),
        cmocka_unit_test(there_are_sixteen_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
