/* Verifiers as usersInfo gives them, and files of them. */
#include "auth/verifier_list.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

#define SHA_1                                                                                      \
    "\"SCRAM-SHA-1\":{\"iterationCount\":10000,\"salt\":\"AAECAwQFBgcICQoLDA0ODw==\","             \
    "\"storedKey\":\"AAECAwQFBgcICQoLDA0ODxAREhM=\",\"serverKey\":\"AAECAwQFBgcICQoLDA0ODxAREhM="  \
    "\""                                                                                           \
    "}"
#define SHA_256                                                                                    \
    "\"SCRAM-SHA-256\":{\"iterationCount\":15000,"                                                 \
    "\"salt\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==\","                                       \
    "\"storedKey\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\","                              \
    "\"serverKey\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}"
#define ANN "{\"user\":\"ann\",\"db\":\"admin\",\"credentials\":{" SHA_1 "," SHA_256 "}}"
#define BOB                                                                                        \
    "{\"_id\":\"shop.bob\",\"userId\":{\"$uuid\":\"00000000-0000-4000-8000-000000000001\"},"       \
    "\"user\":\"bob\",\"db\":\"shop\",\"roles\":[],\"mechanisms\":[\"SCRAM-SHA-256\"],"            \
    "\"credentials\":{" SHA_256 "}}"

struct found {
    unsigned count;
    char names[256];
    unsigned refuse_at;
};

static bool take(void *arg, const struct verifier_user *user, struct error *err)
{
    struct found *found = arg;
    size_t used = strlen(found->names);
    (void)snprintf(found->names + used, sizeof found->names - used, "%.*s@%.*s:%d%d:%zu ",
                   (int)bytes_left(&user->user), (const char *)user->user.pos,
                   (int)bytes_left(&user->database), (const char *)user->database.pos, user->has[0],
                   user->has[1], bytes_left(&user->id));
    found->count++;
    return found->count != found->refuse_at ||
           error_set(err, ERROR_BAD_VALUE, "the caller refuses it");
}

static bool read_text(const char *text, struct found *found, struct bytes *secret,
                      struct error *err)
{
    static uint8_t space[VERIFIER_SECRET_BYTES_MAX];
    struct bytes ignored;
    *err = (struct error){0};
    return verifier_file_read(text, strlen(text), take, found, space,
                              secret != NULL ? secret : &ignored, err);
}

static void test_a_reply_of_users_info_is_a_file(void **state)
{
    (void)state;
    struct found found = {0};
    struct bytes secret;
    struct error err;
    assert_true(read_text("{\"users\":[" ANN "," BOB "],\"ok\":1.0}", &found, &secret, &err));
    assert_string_equal(found.names, "ann@admin:11:0 bob@shop:01:21 ");
    assert_int_equal(bytes_left(&secret), 0);
    assert_true(
        read_text("{\"secret\":\"AAECAwQFBgcICQoLDA0ODw==\",\"users\":[]}", &found, &secret, &err));
    assert_int_equal(bytes_left(&secret), 16);
}

static void test_files_with_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "not one JSON object"},
        {"{", "not one JSON object"},
        {"[]", "users must be an array"},
        {"{}", "users must be an array"},
        {"{\"users\":{}}", "users must be an array"},
        {"{\"users\":[],\"users\":[]}", "users must be an array"},
        {"{\"users\":[1]}", "users[0] must be an object"},
        {"{\"users\":[{}]}", "users[0].user must be a string"},
        {"{\"users\":[{\"user\":\"a\"}]}", "users[0].db must be a string"},
        {"{\"users\":[{\"user\":\"\",\"db\":\"x\"}]}", "users[0].user must be a string"},
        {"{\"users\":[{\"user\":\"a\\u0000b\",\"db\":\"x\"}]}", "users[0].user must be a string"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\"}]}", "showCredentials: true"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":{}}]}", "has no SCRAM-SHA-1"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":1}]}", "must be an object"},
        {"{\"users\":[" ANN ",{\"user\":\"a\",\"db\":\"x\",\"credentials\":{\"SCRAM-SHA-1\":5}}]}",
         "users[1].credentials.SCRAM-SHA-1 must be an object"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":{\"SCRAM-SHA-1\":{}}}]}",
         "users[0].credentials.SCRAM-SHA-1.iterationCount must be a number"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":{" SHA_1 "," SHA_1 "}}]}",
         "and given once"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":{\"SCRAM-SHA-1\":{"
         "\"iterationCount\":0,\"salt\":\"AAAA\"}}}]}",
         "iterationCount must be a number from 1"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":{\"SCRAM-SHA-1\":{"
         "\"iterationCount\":5,\"salt\":\"\"}}}]}",
         "salt must be base64"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":{\"SCRAM-SHA-1\":{"
         "\"iterationCount\":5,\"salt\":\"AAAA\",\"storedKey\":\"TOP+SECR\"}}}]}",
         "storedKey must have 20 bytes"},
        {"{\"users\":[{\"user\":\"a\",\"db\":\"x\",\"credentials\":{\"SCRAM-SHA-1\":{"
         "\"iterationCount\":5,\"salt\":\"AAAA\",\"storedKey\":\"TOP!SECR\"}}}]}",
         "storedKey must be base64"},
        {"{\"users\":[" ANN "," BOB "," ANN "]}", "users[2] names the same user"},
        {"{\"secret\":\"AAAA\",\"users\":[]}", "secret must be base64"},
        {"{\"secret\":1,\"users\":[]}", "secret must be base64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct found found = {0};
        struct error err;
        assert_false(read_text(cases[i].text, &found, NULL, &err));
        if (strstr(err.message, cases[i].why) == NULL)
            fail_msg("%s: %s", cases[i].text, err.message);
        assert_null(strstr(err.message, "SECR"));
    }
}

static void test_the_caller_may_refuse_a_user(void **state)
{
    (void)state;
    struct found found = {.refuse_at = 2};
    struct error err;
    assert_false(read_text("{\"users\":[" ANN "," BOB "]}", &found, NULL, &err));
    assert_string_equal(err.message, "the caller refuses it");
}

static void test_without_memory(void **state)
{
    (void)state;
    struct error err;
    struct found found = {0};
    memory_fail_after(1);
    assert_false(read_text("{\"users\":[" ANN "," BOB "]}", &found, NULL, &err));
    memory_fail_never();
    assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reply_of_users_info_is_a_file),
        cmocka_unit_test(test_files_with_faults),
        cmocka_unit_test(test_the_caller_may_refuse_a_user),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
