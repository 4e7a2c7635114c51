/* Access rights of the paths of the admin endpoint. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/access.h"

static const struct access_request local = {.host = "127.0.0.1:9187", .peer = "127.0.0.1"};

static int check(const struct access_token *token, const struct access_request *request)
{
    const char *reason = NULL;
    int status = access_check(token, request, &reason);
    assert_int_equal(reason == NULL, status == 200);
    return status;
}

static struct access_token token_of(const char *text)
{
    struct access_token token = {0};
    struct error err;
    assert_true(access_token_set(&token, text, strlen(text), &err));
    return token;
}

static void with_a_token_the_token_decides(void **state)
{
    (void)state;
    struct access_token token = token_of("correct-horse");
    struct access_request request = {.host = "example.org", .peer = "10.1.2.3", .changes = true};
    static const char *const wrong[] = {"",
                                        "correct-horse",
                                        "Bearer ",
                                        "Bearer correct-hors",
                                        "Bearer correct-horse1",
                                        "Bearer correct-horse ",
                                        "Basic correct-horse",
                                        "Bearer Correct-horse"};
    assert_int_equal(check(&token, &request), 401);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        request.authorization = wrong[i];
        assert_int_equal(check(&token, &request), 401);
    }
    request.authorization = "Bearer correct-horse";
    assert_int_equal(check(&token, &request), 200);
    request.authorization = "bearer correct-horse"; /* schemes have no case (RFC 9110) */
    request.origin = "https://elsewhere.example";
    assert_int_equal(check(&token, &request), 200);
}

static void without_one_changes_come_from_this_machine(void **state)
{
    (void)state;
    static const struct access_token none = {0};
    static const char *const here[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
    static const char *const there[] = {"10.0.0.1", "1270.0.0.1", "::2", "::ffff:10.0.0.1", ""};
    struct access_request request = local;
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) {
        request.peer = here[i];
        request.changes = true;
        assert_int_equal(check(&none, &request), 200);
    }
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++) {
        request.peer = there[i];
        request.changes = true;
        assert_int_equal(check(&none, &request), 403);
        request.changes = false;
        assert_int_equal(check(&none, &request), 200);
    }
    request.peer = NULL;
    request.changes = true;
    assert_int_equal(check(&none, &request), 403);
}

/* DNS rebinding: another party's host name that resolves to this address. */
static void without_one_the_host_is_this_machine(void **state)
{
    (void)state;
    static const struct access_token none = {0};
    static const char *const own[] = {"localhost",   "LOCALHOST:80", "127.0.0.1",
                                      "127.0.0.1:9", "[::1]:9187",   "10.0.0.7:1"};
    static const char *const others[] = {"evil.example", "evil.example:9187",
                                         "localhost.evil.example", "127.0.0.1.evil.example"};
    struct access_request request = local;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        request.host = own[i];
        assert_int_equal(check(&none, &request), 200);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        request.host = others[i];
        assert_int_equal(check(&none, &request), 403);
    }
    request.host = NULL;
    assert_int_equal(check(&none, &request), 200);
}

static void the_host_is_checked_wherever_the_request_comes_from(void **state)
{
    (void)state;
    static const struct access_token none = {0};
    static const char *const allowed[] = {"proxy.example", "PROXY.example:9187", "10.0.0.7:9187",
                                          "other"};
    static const char *const others[] = {"evil.example", "proxy.example.evil", "proxy",
                                         "other,proxy.example"};
    struct access_request request = {.peer = "10.0.0.9", .allowed_hosts = "proxy.example,other"};
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        request.host = allowed[i];
        assert_int_equal(check(&none, &request), 200);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        request.host = others[i];
        assert_int_equal(check(&none, &request), 403);
    }
    request.host = "proxy.example";
    request.origin = "https://evil.example";
    assert_int_equal(check(&none, &request), 403);
    request.origin = "https://proxy.example";
    assert_int_equal(check(&none, &request), 200);
}

static void without_one_no_other_site_asks_anything(void **state)
{
    (void)state;
    static const struct access_token none = {0};
    struct access_request request = local;
    request.origin = "http://127.0.0.1:9187";
    assert_int_equal(check(&none, &request), 200);
    request.changes = true;
    assert_int_equal(check(&none, &request), 200);
    static const char *const others[] = {"null", "http://127.0.0.1:80", "https://evil.example",
                                         "http://127.0.0.1:9187.evil.example", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        request.origin = others[i];
        request.changes = true;
        assert_int_equal(check(&none, &request), 403);
        request.changes = false;
        assert_int_equal(check(&none, &request), 403);
    }
}

static void tokens_are_visible_ascii(void **state)
{
    (void)state;
    struct access_token token = {0};
    struct error err;
    char longest[ACCESS_TOKEN_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(access_token_set(&token, longest, ACCESS_TOKEN_MAX, &err));
    assert_false(access_token_set(&token, longest, sizeof longest, &err));
    assert_false(access_token_set(&token, "short", 5, &err));
    assert_false(access_token_set(&token, "with space", 10, &err));
    assert_false(access_token_set(&token, "umlaut\xC3\xA4", 8, &err));
    assert_false(access_token_set(&token, "   \n", 4, &err));
}

static void a_file_gives_its_first_line(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-token-XXXXXX";
    static const char text[] = "  correct-horse\r\nsecond line\n";
    struct access_token token = {0};
    struct error err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    (void)close(fd);
    assert_true(access_token_read(path, &token, &err));
    struct access_request request = local;
    request.authorization = "Bearer correct-horse";
    assert_int_equal(check(&token, &request), 200);
    assert_int_equal(truncate(path, 0), 0);
    assert_false(access_token_read(path, &token, &err));
    assert_non_null(strstr(err.message, path));
    (void)unlink(path);
    assert_false(access_token_read(path, &token, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_token_the_token_decides),
        cmocka_unit_test(without_one_changes_come_from_this_machine),
        cmocka_unit_test(without_one_the_host_is_this_machine),
        cmocka_unit_test(the_host_is_checked_wherever_the_request_comes_from),
        cmocka_unit_test(without_one_no_other_site_asks_anything),
        cmocka_unit_test(tokens_are_visible_ascii),
        cmocka_unit_test(a_file_gives_its_first_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
