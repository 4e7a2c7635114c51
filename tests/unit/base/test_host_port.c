/* HOST:PORT, read and written. */
#include "../cmocka_all.h"

#include <string.h>

#include "base/host_port.h"

static void hosts_with_and_without_ports_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
        bool has_port;
    } good[] = {{"db", "db", 0, false},
                {"db:1", "db", 1, true},
                {"db:0", "db", 0, true},
                {"db:65535", "db", 65535, true},
                {"[::1]", "::1", 0, false},
                {"[::1]:27017", "::1", 27017, true},
                {"127.0.0.1:9", "127.0.0.1", 9, true},
                {"db:00080", "db", 80, true}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct host_port read;
        assert_true(host_port_read(good[i].text, strlen(good[i].text), &read));
        assert_string_equal(read.host, good[i].host);
        assert_int_equal(read.port, good[i].port);
        assert_int_equal(read.has_port, good[i].has_port);
        assert_int_equal(read.bracketed, good[i].text[0] == '[');
    }
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",       ":1",    "db:",   "db:65536",     "db:x",
                                        "db:1x",  "db: 1", "[::1",  "[]:1",         "[::1]x",
                                        "[::1]:", "::1",   "db:+1", "db:4294967297"};
    char name[HOST_BYTES + 1];
    struct host_port read;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(host_port_read(wrong[i], strlen(wrong[i]), &read));
    memset(name, 'a', sizeof name);
    assert_true(host_port_read(name, HOST_BYTES - 1, &read));
    assert_false(host_port_read(name, HOST_BYTES, &read));
}

static void bytes_behind_the_length_do_not_count(void **state)
{
    (void)state;
    struct host_port read;
    assert_true(host_port_read("db:12/path", 5, &read));
    assert_int_equal(read.port, 12);
    assert_true(host_port_read("db:12", 2, &read));
    assert_false(read.has_port);
}

static void a_bare_address_gets_brackets(void **state)
{
    (void)state;
    char out[32];
    host_port_write("db", 1, out, sizeof out);
    assert_string_equal(out, "db:1");
    host_port_write("::1", 27017, out, sizeof out);
    assert_string_equal(out, "[::1]:27017");
    host_port_write("[::1]", 27017, out, sizeof out);
    assert_string_equal(out, "[::1]:27017");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_with_and_without_ports_are_read),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(bytes_behind_the_length_do_not_count),
        cmocka_unit_test(a_bare_address_gets_brackets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
