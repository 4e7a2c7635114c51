/* The rules that choose the pool mode of an application or a user. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

static bool load(const char *pool, struct config **out, struct error *err)
{
    char yaml[1000];
    (void)snprintf(yaml, sizeof yaml, "upstream: mongodb://h\nlisten: a:1\npool: {%s}\n", pool);
    *err = (struct error){0};
    return config_load_yaml("f.yaml", yaml, strlen(yaml), out, err);
}

static void the_default_is_session(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error err;
    assert_true(load("", &c, &err));
    assert_int_equal(config_pool_mode_of(c, "x", "alice@admin"), CONFIG_SESSION);
    assert_int_equal(c->pool.max_size, 100);
    assert_int_equal(c->pool.max_total, 1000);
    assert_int_equal(c->pool.wait_timeout_ms, 10000);
    config_release(c);
}

static void the_first_rule_that_fits_counts(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error err;
    assert_true(load("mode: shared, rules: \" session application=my app , user=root@admin ;;"
                     "shared user=root@admin; session application=a%3Bb%2Cc%25; session "
                     "user=eve@x;\"",
                     &c, &err));
    assert_int_equal(config_pool_mode_of(c, "", ""), CONFIG_SHARED);
    assert_int_equal(config_pool_mode_of(c, "my app", ""), CONFIG_SHARED);
    assert_int_equal(config_pool_mode_of(c, "my app", "root@admin"), CONFIG_SESSION);
    assert_int_equal(config_pool_mode_of(c, "my ap", "root@admin"), CONFIG_SHARED);
    assert_int_equal(config_pool_mode_of(c, "a;b,c%", ""), CONFIG_SESSION);
    assert_int_equal(config_pool_mode_of(c, "a;b,c", ""), CONFIG_SHARED);
    assert_int_equal(config_pool_mode_of(c, "", "eve@x"), CONFIG_SESSION);
    assert_int_equal(config_pool_mode_of(c, "", "eve@xy"), CONFIG_SHARED);
    config_release(c);
}

static void broken_rules_are_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"session",
                                         "session ",
                                         "other application=a",
                                         "session app=a",
                                         "session application=",
                                         "session application=a,",
                                         "session application=a,application=b",
                                         "session application=a%2",
                                         "session application=a%zz",
                                         "session application=%00",
                                         "shared user=a; session"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct config *c = NULL;
        struct error err;
        char pool[200];
        (void)snprintf(pool, sizeof pool, "rules: \"%s\"", broken[i]);
        assert_false(load(pool, &c, &err));
        assert_null(c);
        assert_non_null(strstr(err.message, "pool.rules"));
        assert_non_null(strstr(err.message, "session application=NAME"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_session),
        cmocka_unit_test(the_first_rule_that_fits_counts),
        cmocka_unit_test(broken_rules_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
