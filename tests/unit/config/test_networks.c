/* Networks in CIDR form. */
#include "../cmocka_all.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "config/networks.h"

static bool contains(const char *text, const char *host)
{
    uint8_t bytes[16];
    int family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    assert_int_equal(inet_pton(family, host, bytes), 1);
    return networks_contain(text, family, bytes);
}

static void valid_lists(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",    "10.0.0.0/8",          "10.1.2.3",    "0.0.0.0/0",   "::/0", "fd00::/8",
        "::1", "10.0.0.0/8,fd00::/8", " ::1 , ::2 ", "127.0.0.1/32"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_true(networks_are_valid(texts[i]));
}

static void invalid_lists(void **state)
{
    (void)state;
    static const char *const texts[] = {"x",
                                        "10.0.0.0/33",
                                        "10.0.0.0/",
                                        "10.0.0.1/8",
                                        "::1/129",
                                        "10.0.0/8",
                                        "10.0.0.0/8x",
                                        "10.0.0.0/8,,::1",
                                        "10.0.0.0/8 ::1",
                                        "fd01::/8",
                                        "/8",
                                        "10.0.0.0/1000",
                                        "host.example",
                                        ","};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(networks_are_valid(texts[i]));
}

static void an_address_is_in_a_network(void **state)
{
    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.0.1"));
    assert_false(contains("10.0.0.0/8", "11.0.0.1"));
    assert_true(contains("192.168.1.0/25,10.0.0.0/31", "10.0.0.1"));
    assert_false(contains("192.168.1.0/25,10.0.0.0/31", "10.0.0.2"));
    assert_false(contains("192.168.1.0/25", "192.168.1.128"));
    assert_true(contains("0.0.0.0/0", "8.8.8.8"));
    assert_false(contains("0.0.0.0/0", "::1"));
    assert_true(contains("fd00::/8", "fdff::1"));
    assert_false(contains("fd00::/8", "fe00::1"));
    assert_true(contains("::1", "::1"));
    assert_false(contains("", "127.0.0.1"));
    uint8_t none[16] = {0};
    assert_false(networks_contain("0.0.0.0/0,::/0", AF_UNIX, none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_lists),
        cmocka_unit_test(invalid_lists),
        cmocka_unit_test(an_address_is_in_a_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
