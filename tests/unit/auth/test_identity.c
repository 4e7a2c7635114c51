/* Reads users from replies to connectionStatus. An unclear reply names no user. */
#include "auth/identity.h"

#include <stdlib.h>

#include "../json_document.h"

static bool read_json(const char *json, struct identity *out)
{
    bson_t *document = support_json(json);
    bool ok = identity_read(support_bytes(document), out);
    bson_destroy(document);
    return ok;
}

static struct identity read_users(const char *users, const char *roles)
{
    char json[1024];
    struct identity out;
    (void)snprintf(
        json, sizeof json,
        "{\"authInfo\": {\"authenticatedUsers\": [%s], \"authenticatedUserRoles\": [%s]},"
        " \"ok\": 1.0}",
        users, roles);
    assert_true(read_json(json, &out));
    return out;
}

#define ANN_X "{\"user\": \"ann\", \"db\": \"x\"}"
#define ANN_Y "{\"user\": \"ann\", \"db\": \"y\"}"
#define NN_XA "{\"user\": \"nn\", \"db\": \"xa\"}"
#define BOB_Y "{\"db\": \"y\", \"user\": \"bob\"}"
#define READ  "{\"role\": \"read\", \"db\": \"x\"}"
#define WRITE "{\"role\": \"readWrite\", \"db\": \"x\"}"

static void test_nobody(void **state)
{
    (void)state;
    static const uint8_t zeros[IDENTITY_KEY_BYTES];
    struct identity nobody = read_users("", "");
    assert_true(nobody.nobody);
    assert_memory_equal(nobody.users, zeros, sizeof zeros);
    assert_string_equal(nobody.text, "");
}

static void test_users_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *one;
        const char *other;
        bool equal;
    } cases[] = {
        {ANN_X, ANN_X, true},
        {ANN_X, ANN_Y, false},
        {ANN_X, NN_XA, false},
        {ANN_X, "", false},
        {ANN_X "," BOB_Y, BOB_Y "," ANN_X, true},
        {ANN_X "," BOB_Y, BOB_Y, false},
        {ANN_X "," BOB_Y, ANN_X, false},
        {ANN_X "," ANN_X, ANN_X, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct identity one = read_users(cases[i].one, "");
        struct identity other = read_users(cases[i].other, "");
        if ((memcmp(one.users, other.users, sizeof one.users) == 0) != cases[i].equal ||
            (memcmp(one.rights, other.rights, sizeof one.rights) == 0) != cases[i].equal)
            fail_msg("case %zu", i);
    }
    struct identity both = read_users(ANN_X "," BOB_Y, "");
    assert_string_equal(both.text, "ann@x, bob@y");
}

static void test_roles_are_told_apart(void **state)
{
    (void)state;
    struct identity one = read_users(ANN_X, READ);
    struct identity other = read_users(ANN_X, READ "," WRITE);
    assert_memory_equal(one.users, other.users, sizeof one.users);
    assert_memory_not_equal(one.rights, other.rights, sizeof one.rights);
    assert_memory_not_equal(one.rights, one.users, sizeof one.users);
    struct identity turned = read_users(ANN_X, WRITE "," READ);
    assert_memory_equal(other.rights, turned.rights, sizeof other.rights);
}

/* More than are sorted, and one that is another. */
static void test_many_roles_are_told_apart(void **state)
{
    (void)state;
    enum { MANY = 300 };
    struct identity read[3];
    for (int i = 0; i < 3; i++) {
        bson_t info = BSON_INITIALIZER;
        bson_t reply = BSON_INITIALIZER;
        bson_t *users = BCON_NEW("0", "{", "user", BCON_UTF8("ann"), "db", BCON_UTF8("x"), "}");
        bson_t roles = BSON_INITIALIZER;
        for (int at = 0; at < MANY; at++) {
            char key[16];
            bson_t *role =
                BCON_NEW("role", BCON_INT32(at == MANY - 1 && i == 2 ? -1 : at), "db", "x");
            (void)snprintf(key, sizeof key, "%d", at);
            BSON_APPEND_DOCUMENT(&roles, key, role);
            bson_destroy(role);
        }
        BSON_APPEND_ARRAY(&info, "authenticatedUsers", users);
        BSON_APPEND_ARRAY(&info, "authenticatedUserRoles", &roles);
        BSON_APPEND_DOCUMENT(&reply, "authInfo", &info);
        BSON_APPEND_DOUBLE(&reply, "ok", 1);
        assert_true(identity_read(bytes_of(bson_get_data(&reply), reply.len), &read[i]));
        bson_destroy(&info);
        bson_destroy(&reply);
        bson_destroy(&roles);
        bson_destroy(users);
    }
    assert_memory_equal(read[0].rights, read[1].rights, sizeof read[0].rights);
    assert_memory_not_equal(read[0].rights, read[2].rights, sizeof read[0].rights);
}

static void test_what_is_not_clear(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "{}",
        "{\"ok\": 1}",
        "{\"ok\": 0, \"errmsg\": \"no\", \"code\": 13}",
        "{\"authInfo\": {\"authenticatedUsers\": []}}",
        "{\"authInfo\": {\"authenticatedUsers\": []}, \"ok\": 0}",
        "{\"authInfo\": {\"authenticatedUsers\": []}, \"ok\": \"1\"}",
        "{\"authInfo\": [], \"ok\": 1}",
        "{\"authInfo\": {}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": {}}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": null}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": [null]}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": [{}]}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": [\"ann@x\"]}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": [{\"user\": \"ann\"}]}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": [{\"user\": \"\", \"db\": \"x\"}]}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": [{\"user\": 1, \"db\": \"x\"}]}, \"ok\": 1}",
        "{\"authInfo\": {\"authenticatedUsers\": [{\"user\": \"a\\u0000b\", \"db\": \"x\"}]}, "
        "\"ok\": "
        "1}",
        "{\"authInfo\": {\"authenticatedUsers\": [], \"authenticatedUserRoles\": {}}, \"ok\": 1}",
    };
    struct identity out;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
        if (read_json(replies[i], &out))
            fail_msg("%s", replies[i]);
    /* without roles it is clear enough */
    assert_true(
        read_json("{\"authInfo\": {\"authenticatedUsers\": [" ANN_X "]}, \"ok\": 1}", &out));
}

/* What stands there twice, which no reader of JSON keeps. */
static void test_repeated_fields(void **state)
{
    (void)state;
    static const char *const names[] = {"ok", "authInfo"};
    for (size_t i = 0; i < 2; i++) {
        struct identity out;
        bson_t *reply =
            BCON_NEW("authInfo", "{", "authenticatedUsers", "[", "]", "}", "ok", BCON_DOUBLE(1));
        assert_true(identity_read(bytes_of(bson_get_data(reply), reply->len), &out));
        BSON_APPEND_BOOL(reply, names[i], true);
        assert_false(identity_read(bytes_of(bson_get_data(reply), reply->len), &out));
        bson_destroy(reply);
    }
    static const char *const inside[] = {"authenticatedUsers", "authenticatedUserRoles"};
    for (size_t i = 0; i < 2; i++) {
        struct identity out;
        bson_t *info = BCON_NEW("authenticatedUsers", "[", "]", "authenticatedUserRoles", "[", "]");
        bson_t empty = BSON_INITIALIZER;
        bson_t reply = BSON_INITIALIZER;
        BSON_APPEND_ARRAY(info, inside[i], &empty);
        BSON_APPEND_DOCUMENT(&reply, "authInfo", info);
        BSON_APPEND_DOUBLE(&reply, "ok", 1);
        assert_false(identity_read(bytes_of(bson_get_data(&reply), reply.len), &out));
        bson_destroy(info);
        bson_destroy(&reply);
    }
}

static void test_many_and_long_names(void **state)
{
    (void)state;
    struct identity out;
    char json[4096] = "{\"authInfo\": {\"authenticatedUsers\": [";
    for (int i = 0; i <= IDENTITY_USERS_MAX; i++) {
        char more[320];
        char whole[4400];
        (void)snprintf(more, sizeof more, "%s{\"user\": \"%0200d\", \"db\": \"d\"}",
                       i > 0 ? "," : "", i);
        strcat(json, more);
        (void)snprintf(whole, sizeof whole, "%s]}, \"ok\": 1}", json);
        assert_int_equal(read_json(whole, &out), i < IDENTITY_USERS_MAX);
        assert_true(strlen(out.text) < sizeof out.text);
    }
}

static void test_every_cut(void **state)
{
    (void)state;
    bson_t *reply =
        BCON_NEW("authInfo", "{", "authenticatedUsers", "[", "{", "user", BCON_UTF8("ann"), "db",
                 BCON_UTF8("x"), "}", "]", "}", "ok", BCON_DOUBLE(1));
    for (size_t len = 0; len < reply->len; len++) {
        struct identity out;
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, bson_get_data(reply), len);
        assert_false(identity_read(bytes_of(exact, len), &out));
        free(exact);
    }
    bson_destroy(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_users_are_told_apart),
        cmocka_unit_test(test_roles_are_told_apart),
        cmocka_unit_test(test_many_roles_are_told_apart),
        cmocka_unit_test(test_what_is_not_clear),
        cmocka_unit_test(test_repeated_fields),
        cmocka_unit_test(test_many_and_long_names),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
