/* Which commands could log a client in with the proxy's own certificate. */
#include "auth/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first. */
#include <bson/bson.h>
#include <cmocka.h>

static bool may(bson_t *document, bool alone)
{
    bson_iter_t first;
    assert_true(bson_iter_init(&first, document) && bson_iter_next(&first));
    bool result = certificate_may_log_in(bson_iter_key(&first), strlen(bson_iter_key(&first)),
                                         bytes_of(bson_get_data(document), document->len), alone);
    bson_destroy(document);
    return result;
}

static bson_t *with_mechanism(const char *command, const char *mechanism)
{
    return BCON_NEW(command, BCON_INT32(1), "mechanism", BCON_UTF8(mechanism), "$db",
                    BCON_UTF8("$external"));
}

static const char *const harmless[] = {"SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN",     "GSSAPI",
                                       "MONGODB-AWS", "MONGODB-OIDC",  "MONGODB-CR"};
static const char *const harmful[] = {"MONGODB-X509",
                                      "mongodb-x509",
                                      "MONGODB-x509",
                                      "EXTERNAL",
                                      " MONGODB-X509",
                                      "MONGODB-X509 ",
                                      "",
                                      "X509",
                                      "scram-sha-256",
                                      "SCRAM-SHA-256 ",
                                      "SCRAM-SHA-512"};
static const char *const logins[] = {"saslStart", "authenticate", "SASLSTART", "Authenticate"};
static const char *const hellos[] = {"hello", "isMaster", "ismaster", "HELLO", "IsMaster"};

static void test_mechanisms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof logins / sizeof logins[0]; i++) {
        for (size_t j = 0; j < sizeof harmless / sizeof harmless[0]; j++)
            assert_false(may(with_mechanism(logins[i], harmless[j]), true));
        for (size_t j = 0; j < sizeof harmful / sizeof harmful[0]; j++)
            assert_true(may(with_mechanism(logins[i], harmful[j]), true));
    }
}

static void test_other_commands(void **state)
{
    (void)state;
    static const char *const names[] = {"saslContinue", "logout", "ping", "insert", "saslStartX"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(may(with_mechanism(names[i], "MONGODB-X509"), false));
}

static bson_t *hello(const char *name, const char *field, const char *mechanism)
{
    return BCON_NEW(name, BCON_INT32(1), field, "{", "saslStart", BCON_INT32(1), "mechanism",
                    BCON_UTF8(mechanism), "}");
}

static void test_speculation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
        assert_false(may(BCON_NEW(hellos[i], BCON_INT32(1), "client", "{", "}"), true));
        assert_false(may(hello(hellos[i], "speculativeAuthenticate", "SCRAM-SHA-256"), true));
        assert_true(may(hello(hellos[i], "speculativeAuthenticate", "MONGODB-X509"), true));
        assert_true(may(hello(hellos[i], "SpeculativeAuthenticate", "MONGODB-X509"), true));
        bson_t *both = hello(hellos[i], "speculativeAuthenticate", "SCRAM-SHA-256");
        bson_t *second = with_mechanism("saslStart", "MONGODB-X509");
        BSON_APPEND_DOCUMENT(both, "speculativeAuthenticate", second);
        bson_destroy(second);
        assert_true(may(both, true));
        assert_true(may(BCON_NEW(hellos[i], BCON_INT32(1), "speculativeAuthenticate", "[",
                                 BCON_UTF8("MONGODB-X509"), "]"),
                        true));
        assert_true(
            may(BCON_NEW(hellos[i], BCON_INT32(1), "speculativeAuthenticate", "{", "}"), true));
    }
}

static void test_forms(void **state)
{
    (void)state;
    bson_t *symbol = BCON_NEW("saslStart", BCON_INT32(1));
    BSON_APPEND_SYMBOL(symbol, "mechanism", "PLAIN");
    assert_true(may(symbol, true));
    bson_t *code = BCON_NEW("saslStart", BCON_INT32(1));
    BSON_APPEND_CODE(code, "mechanism", "PLAIN");
    assert_true(may(code, true));
    assert_true(may(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_INT32(1)), true));
    assert_true(may(BCON_NEW("authenticate", BCON_INT32(1), "user", BCON_UTF8("CN=a")), true));
    assert_true(may(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("PLAIN"),
                             "mechanism", BCON_UTF8("MONGODB-X509")),
                    true));
    assert_true(may(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("PLAIN"),
                             "mechanism", BCON_UTF8("PLAIN")),
                    true));
    assert_true(may(BCON_NEW("saslStart", BCON_INT32(1), "mechanism", BCON_UTF8("PLAIN"),
                             "Mechanism", BCON_UTF8("MONGODB-X509")),
                    true));
    /* a server may not know it by that name, and take another for granted */
    assert_true(may(BCON_NEW("saslStart", BCON_INT32(1), "Mechanism", BCON_UTF8("PLAIN")), true));
    /* a section beside the body could hold the counted field */
    assert_true(may(with_mechanism("saslStart", "PLAIN"), false));
    assert_true(may(BCON_NEW("hello", BCON_INT32(1)), false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mechanisms),
        cmocka_unit_test(test_other_commands),
        cmocka_unit_test(test_speculation),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
