#include "../cmocka_all.h"
#include "base/memory.h"
#include "config/config.h"

static void nothing_secret_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        const char *shown;
    } cases[] = {
        {"mongodb://h", "mongodb://h"},
        {"mongodb://h:1,i:2/db?replicaSet=r", "mongodb://h:1,i:2/db?replicaSet=r"},
        {"mongodb://u:p@h/", "mongodb://<redacted>@h/"},
        {"mongodb+srv://u@h", "mongodb+srv://<redacted>@h"},
        /* a character without the required percent-encoding */
        {"mongodb://u:p@ss/w?rd@h/", "mongodb://<redacted>@h/"},
        {"mongodb://u:p?a=b@h/?x=1", "mongodb://<redacted>@h/?x=1"},
        {"mongodb://h/?tlsCertificateKeyFilePassword=x", "mongodb://h/"
                                                         "?tlsCertificateKeyFilePassword="
                                                         "<redacted>"},
        {"mongodb://h/?TLSCERTIFICATEKEYFILEPASSWORD=x&a=b",
         "mongodb://h/?TLSCERTIFICATEKEYFILEPASSWORD=<redacted>&a=b"},
        {"mongodb://h?authMechanismProperties=AWS_SESSION_TOKEN:x;a=b",
         "mongodb://h?authMechanismProperties=<redacted>;a=b"},
        {"mongodb://h/?proxyPassword=x&proxyUsername=y",
         "mongodb://h/?proxyPassword=<redacted>&proxyUsername=<redacted>"},
        {"mongodb://h/?a&&b=&", "mongodb://h/?a&&b=&"},
        {"u:p@h", "<redacted>@h"},
        {"just words", "just words"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text text = text_growing();
        config_redact_uri(cases[i].uri, &text);
        assert_string_equal(text.data, cases[i].shown);
        text_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_secret_is_left)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
