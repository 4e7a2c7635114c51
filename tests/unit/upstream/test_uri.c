/* Connection strings: their meaning, and that no output reveals a secret. */
#include "upstream/uri.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka wants the first three above first. */
#include <cmocka.h>

static struct uri *parse(const char *text)
{
    struct error err = {0};
    struct uri *uri = uri_parse(text, &err);
    if (uri == NULL)
        fail_msg("%s: %s", text, err.message);
    return uri;
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *redacted;
        const char *monitoring;
    } cases[] = {
        {"mongodb://h", "mongodb://h/", "mongodb://h/?appName=mongosluice&directConnection=false"},
        {"mongodb://al:s%40cret@H:1,[::1]:2/db?replicaSet=rs&authSource=admin&appName=x",
         "mongodb://H:1,[::1]:2/db?replicaSet=rs&authSource=admin&appName=x",
         "mongodb://H:1,[::1]:2/db?replicaSet=rs&appName=mongosluice&directConnection=false"},
        {"mongodb://al@h/?directConnection=true", "mongodb://h/?directConnection=true",
         "mongodb://h/?directConnection=true&appName=mongosluice"},
        {"mongodb://h/?tls=true&tlsCertificateKeyFile=k.pem&tlsCertificateKeyFilePassword=hush",
         "mongodb://h/?tls=true&tlsCertificateKeyFile=k.pem",
         "mongodb://h/?tls=true&tlsCertificateKeyFile=k.pem&tlsCertificateKeyFilePassword=hush&"
         "appName=mongosluice&directConnection=false"},
        {"mongodb://id:key@h/?authMechanism=MONGODB-AWS&authSource=$external&"
         "AUTHMECHANISMPROPERTIES=AWS_SESSION_TOKEN:token",
         "mongodb://h/?authMechanism=MONGODB-AWS&authSource=$external",
         "mongodb://h/?appName=mongosluice&directConnection=false"},
        {"mongodb://%2Ftmp%2Fmongo.sock", "mongodb://%2Ftmp%2Fmongo.sock/",
         "mongodb://%2Ftmp%2Fmongo.sock/?appName=mongosluice&directConnection=false"},
        {"mongodb+srv://al:pw@cluster.example.org/?srvMaxHosts=2",
         "mongodb+srv://cluster.example.org/?srvMaxHosts=2",
         "mongodb+srv://cluster.example.org/?srvMaxHosts=2&appName=mongosluice&"
         "directConnection=false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct uri *uri = parse(cases[i].text);
        assert_string_equal(uri_redacted(uri), cases[i].redacted);
        assert_string_equal(uri_for_monitoring(uri), cases[i].monitoring);
        uri_free(uri);
    }
}

static void test_what_is_read(void **state)
{
    (void)state;
    struct uri *uri = parse("mongodb://al:pw@One,TWO:2,[::1]/?replicaSet=rs");
    assert_null(uri_tls(uri));
    assert_null(uri_warning(uri));
    uri_free(uri);
    uri = parse("mongodb+srv://cluster.example.org");
    assert_non_null(uri_tls(uri)); /* SRV switches TLS on */
    uri_free(uri);
    uri_free(NULL);
}

static void test_tls_options(void **state)
{
    (void)state;
    struct uri *uri = parse("mongodb://h/?tls=true&tlsCAFile=ca.pem&tlsCertificateKeyFile=k.pem&"
                            "tlsCertificateKeyFilePassword=p%40ss&tlsAllowInvalidHostnames=true");
    const struct tls_client_options *tls = uri_tls(uri);
    assert_non_null(tls);
    assert_string_equal(tls->ca_file, "ca.pem");
    assert_string_equal(tls->certificate_key_file, "k.pem");
    assert_string_equal(tls->key_password, "p@ss");
    assert_true(tls->allow_invalid_hostnames);
    assert_false(tls->allow_invalid_certificates);
    assert_null(tls->crl_file);
    uri_free(uri);
    uri = parse("mongodb://h/?ssl=true&tlsInsecure=true");
    tls = uri_tls(uri);
    assert_non_null(tls);
    assert_true(tls->allow_invalid_hostnames && tls->allow_invalid_certificates);
    uri_free(uri);
}

static void test_warning(void **state)
{
    (void)state;
    struct uri *uri = parse("mongodb://h/?retryWritess=true");
    assert_non_null(uri_warning(uri));
    assert_non_null(strstr(uri_warning(uri), "retrywritess"));
    uri_free(uri);
}

/* Strings that are refused, with words that the error must contain (if libmongoc chooses the words:
 * some that all its versions contain), and words that it must not contain. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
        const char *secret;
    } cases[] = {
        {"", "mongodb://", NULL},
        {"http://h", "mongodb://", NULL},
        {"mongodb://", "ost", NULL},
        {"mongodb://h:99999", "ost", NULL},
        {"mongodb://h?tls=true", "'/' is missing", NULL},
        {"mongodb://h/?connectTimeoutMS=soon", "connecttimeoutms", NULL},
        {"mongodb+srv://a,b", "not valid", NULL},
        {"mongodb://al:hush%@h", "ercent-encode", "hush"},
        {"mongodb://al:hu@sh@h", "ercent-encode", "hu@s"},
        {"mongodb://al:hu:sh@h", "ercent-encode", "hu:s"},
        {"mongodb://al:12/hush@h", "ercent-encode", "hush"},
        {"mongodb://al:12?hush@h", "ercent-encode", "hush"},
        {"mongodb://al:hush%zz@h/?authSource=a", "ercent-encode", "hush"},
        {"mongodb://al:h%75sh@h/?w=-7", "not valid", "hush"},
        {"mongodb://h/?tls=true&tlsCertificateKeyFilePassword=hush%zz",
         "tlsCertificateKeyFilePassword", "hush"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        struct uri *uri = uri_parse(cases[i].text, &err);
        if (uri != NULL)
            fail_msg("'%s' is accepted", cases[i].text);
        if (strstr(err.message, cases[i].says) == NULL)
            fail_msg("'%s': %s", cases[i].text, err.message);
        if (cases[i].secret != NULL && strstr(err.message, cases[i].secret) != NULL)
            fail_msg("'%s' leaks: %s", cases[i].text, err.message);
    }
}

static void test_failing_allocations(void **state)
{
    (void)state;
    bool complete = false;
    for (long i = 1; !complete; i++) {
        struct error err = {0};
        assert_in_range(i, 1, 100);
        memory_fail_after(i);
        struct uri *uri = uri_parse("mongodb://al:pw@h/", &err);
        memory_fail_never();
        complete = uri != NULL;
        if (!complete)
            assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
        uri_free(uri);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),       cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_tls_options), cmocka_unit_test(test_warning),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
