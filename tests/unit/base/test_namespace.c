/* Namespaces, joined and taken apart. */
#include "../cmocka_all.h"
#include "base/namespace.h"

static struct bytes text_of(const char *text)
{
    return bytes_of(text, strlen(text));
}

static void joined_where_it_fits(void **state)
{
    (void)state;
    char out[8] = "-------";
    assert_int_equal(namespace_join(text_of("db"), text_of("c.d"), out, sizeof out), 6);
    assert_memory_equal(out, "db.c.d-", 7);
    assert_int_equal(namespace_join(text_of("db"), text_of("c.d"), out, 6), 6);
    assert_int_equal(namespace_join(text_of("db"), text_of("c.d"), out, 5), 0);
    assert_int_equal(namespace_join(text_of("database"), text_of(""), out, sizeof out), 0);
    assert_int_equal(namespace_join(text_of("databas"), text_of(""), out, sizeof out), 8);
    assert_int_equal(namespace_join(text_of(""), text_of(""), out, 0), 0);
}

static void the_first_dot_divides(void **state)
{
    (void)state;
    struct bytes database;
    struct bytes collection;
    assert_true(namespace_split(text_of("db.system.buckets.c"), &database, &collection));
    assert_int_equal(bytes_left(&database), 2);
    assert_int_equal(bytes_left(&collection), strlen("system.buckets.c"));
    assert_false(namespace_split(text_of("db"), &database, &collection));
    assert_true(namespace_is_whole(text_of("a.b")));
    assert_false(namespace_is_whole(text_of(".b")));
    assert_false(namespace_is_whole(text_of("a.")));
    assert_false(namespace_is_whole(text_of("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined_where_it_fits),
        cmocka_unit_test(the_first_dot_divides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
