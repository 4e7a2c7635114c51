/* URLs of collectors. */
#include <string.h>

#include "../cmocka_all.h"
#include "base/http_url.h"

static void good_ones(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
        bool tls;
        const char *path;
    } cases[] = {
        {"http://localhost:4318", "localhost", 4318, false, ""},
        {"https://collector.example/v1/traces?x=1", "collector.example", 0, true, "/v1/traces?x=1"},
        {"http://[::1]:80/", "::1", 80, false, "/"},
        {"http://10.0.0.1", "10.0.0.1", 0, false, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_url url;
        assert_true(http_url_read(cases[i].text, &url));
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.tls, cases[i].tls);
        assert_string_equal(url.path, cases[i].path);
    }
}

static void bad_ones(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "localhost:4318",
                                        "grpc://localhost",
                                        "http://",
                                        "http:///path",
                                        "http://user@host/",
                                        "http://host:0x1/",
                                        "http://host:99999",
                                        "http://[::1",
                                        "http://host/a b",
                                        "http://host/\r\nX: 1",
                                        "HTTP://host"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_url url;
        if (http_url_read(cases[i], &url))
            fail_msg("read: %s", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good_ones), cmocka_unit_test(bad_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
