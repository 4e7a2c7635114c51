/* SCRAM with the exchanges of RFC 5802 and RFC 7677, and with messages that no driver makes. */
#include "auth/scram.h"

#include "auth/scram_keys.h"
#include "base/base64.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first. */
#include <cmocka.h>
#include <openssl/evp.h>

struct exchange_text {
    enum scram_hash hash;
    const char *client_nonce;
    const char *server_nonce;
    const char *salt;
    const char *client_first;
    const char *server_first;
    const char *client_final;
    const char *server_final;
};

/* RFC 5802, section 5, and RFC 7677, section 3: user "user", password "pencil". */
static const struct exchange_text exchanges[] = {
    {SCRAM_SHA_1, "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
     "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
     "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {SCRAM_SHA_256, "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
     "W22ZaJ0SNY7soEsUEjb6gQ==", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="}};

static struct bytes text_bytes(const char *text)
{
    return bytes_of(text, strlen(text));
}

/* The verifier of a password, and its ClientKey. */
static void derive(enum scram_hash hash, const char *password, const char *salt, int iterations,
                   struct scram_keys *keys, uint8_t client_key[SCRAM_KEY_BYTES])
{
    size_t salt_len = 0;
    uint8_t salted[SCRAM_KEY_BYTES];
    const EVP_MD *digest = hash == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
    *keys = (struct scram_keys){.hash = hash, .iterations = iterations};
    assert_true(base64_read(text_bytes(salt), keys->salt, sizeof keys->salt, &salt_len));
    keys->salt_bytes = (uint8_t)salt_len;
    assert_int_equal(PKCS5_PBKDF2_HMAC(password, (int)strlen(password), keys->salt, (int)salt_len,
                                       iterations, digest, (int)scram_key_bytes(hash), salted),
                     1);
    assert_true(scram_sign(hash, salted, text_bytes("Client Key"), client_key));
    assert_true(scram_sign(hash, salted, text_bytes("Server Key"), keys->server_key));
    assert_true(scram_hash_key(hash, client_key, keys->stored_key));
}

static void assert_text(const char *text, size_t len, const char *expected)
{
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
}

static struct scram_server *begin_server(const struct exchange_text *exchange,
                                         const struct scram_keys *keys)
{
    struct scram_first first;
    struct error err;
    struct bytes challenge;
    assert_true(scram_first_read(text_bytes(exchange->client_first), &first, &err));
    assert_text(first.name, first.name_len, "user");
    struct scram_server *server =
        scram_server_new(&first, keys, text_bytes(exchange->server_nonce), &challenge);
    assert_non_null(server);
    assert_text((const char *)challenge.pos, bytes_left(&challenge), exchange->server_first);
    return server;
}

static void test_the_server_follows_the_specifications(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct exchange_text *exchange = &exchanges[i];
        struct scram_keys keys;
        uint8_t client_key[SCRAM_KEY_BYTES] = {0};
        uint8_t found[SCRAM_KEY_BYTES];
        char out[SCRAM_TEXT_BYTES];
        size_t len = 0;
        struct error err;
        derive(exchange->hash, "pencil", exchange->salt, 4096, &keys, client_key);
        struct scram_server *server = begin_server(exchange, &keys);
        assert_true(scram_server_finish(server, &keys, text_bytes(exchange->client_final), found,
                                        out, &len, &err));
        assert_text(out, len, exchange->server_final);
        assert_memory_equal(found, client_key, scram_key_bytes(exchange->hash));
        scram_server_free(server);
    }
}

static void test_the_client_logs_in_with_the_client_key_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct exchange_text *exchange = &exchanges[i];
        struct scram_keys keys;
        uint8_t client_key[SCRAM_KEY_BYTES] = {0};
        struct bytes first;
        char out[SCRAM_FINAL_BYTES];
        size_t len = 0;
        struct error err;
        derive(exchange->hash, "pencil", exchange->salt, 4096, &keys, client_key);
        struct scram_client *client =
            scram_client_new(text_bytes("user"), text_bytes(exchange->client_nonce), &first);
        assert_text((const char *)first.pos, bytes_left(&first), exchange->client_first);
        assert_false(scram_client_check(client, &keys, text_bytes(exchange->server_final), &err));
        assert_true(scram_client_prove(client, &keys, client_key,
                                       text_bytes(exchange->server_first), out, &len, &err));
        assert_text(out, len, exchange->client_final);
        assert_true(scram_client_check(client, &keys, text_bytes(exchange->server_final), &err));
        assert_false(scram_client_check(client, &keys, text_bytes("v=AAAA"), &err));
        assert_false(scram_client_check(client, &keys, text_bytes("e=other-error"), &err));
        scram_client_free(client);
    }
}

static void test_names_are_escaped_and_read_back(void **state)
{
    (void)state;
    static const char *const names[] = {"a",       "a,b=c",     "=,=,", "=2C", "J\xC3\xBCrgen",
                                        "n=x,r=y", "user@admin"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct bytes message;
        struct scram_first first;
        struct error err;
        struct scram_client *client =
            scram_client_new(text_bytes(names[i]), text_bytes("abc"), &message);
        assert_true(scram_first_read(message, &first, &err));
        assert_text(first.name, first.name_len, names[i]);
        assert_text((const char *)first.nonce.pos, bytes_left(&first.nonce), "abc");
        scram_client_free(client);
    }
    char longest[SCRAM_NAME_BYTES + 1];
    struct bytes message;
    memset(longest, '=', sizeof longest);
    assert_null(scram_client_new(bytes_of(longest, sizeof longest), text_bytes("abc"), &message));
    assert_null(scram_client_new(bytes_of(longest, 0), text_bytes("abc"), &message));
    struct scram_client *client =
        scram_client_new(bytes_of(longest, SCRAM_NAME_BYTES), text_bytes("abc"), &message);
    struct scram_first first;
    struct error err;
    assert_true(scram_first_read(message, &first, &err));
    assert_int_equal(first.name_len, SCRAM_NAME_BYTES);
    scram_client_free(client);
}

static void test_first_messages_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why; /* NULL: accepted */
    } cases[] = {{"n,,n=a,r=b", NULL},
                 {"y,,n=a,r=b", NULL},
                 {"n,,n=a,r=b,x=later", NULL},
                 {"", "no header"},
                 {"n", "authzid"},
                 {"n,", "authzid"},
                 {"n,,", "no user name"},
                 {"x,,n=a,r=b", "no header"},
                 {"p=tls-unique,,n=a,r=b", "channel binding"},
                 {"n,a=root,n=a,r=b", "authzid"},
                 {"n,,m=must,n=a,r=b", "no user name"},
                 {"n,,n=,r=b", "no user name"},
                 {"n,,n=a=2cb,r=b", "no user name"},
                 {"n,,n=a=,r=b", "no user name"},
                 {"n,,n=a=2", "no user name"},
                 {"n,,n=a", "no nonce"},
                 {"n,,n=a,", "no nonce"},
                 {"n,,n=a,r=", "no nonce"},
                 {"n,,n=a,r=\x7F", "no nonce"},
                 {"n,,n=a,r=b c", "no nonce"},
                 {"n,,r=b,n=a", "no user name"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scram_first first;
        struct error err = {0};
        bool ok = scram_first_read(text_bytes(cases[i].text), &first, &err);
        assert_int_equal(ok, cases[i].why == NULL);
        if (!ok) {
            assert_int_equal(err.code, ERROR_AUTHENTICATION_FAILED);
            assert_non_null(strstr(err.message, cases[i].why));
        }
    }
    struct scram_first first;
    struct error err;
    assert_false(scram_first_read(bytes_of("n,,n=a\0b,r=c", 12), &first, &err));
    char longest[SCRAM_FIRST_BYTES + 1];
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "n,,n=", 5);
    assert_false(scram_first_read(bytes_of(longest, sizeof longest), &first, &err));
    assert_non_null(strstr(err.message, "longer than"));
    memcpy(longest, "n,,n=a,r=", 9);
    assert_false(scram_first_read(bytes_of(longest, 9 + SCRAM_NONCE_BYTES + 1), &first, &err));
    assert_true(scram_first_read(bytes_of(longest, 9 + SCRAM_NONCE_BYTES), &first, &err));
}

static void test_final_messages_that_are_refused(void **state)
{
    (void)state;
    const struct exchange_text *exchange = &exchanges[0];
    static const char *const texts[] = {
        "",
        "c=biws",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4T==",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=,",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=,a=b",
        "c=eSws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,c=biws,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,x=y,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,xy,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Tt=",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=w0X8v3Bz2T0CJGbJQyF0X+HI4Ts="};
    struct scram_keys keys;
    uint8_t client_key[SCRAM_KEY_BYTES] = {0};
    static const uint8_t zeros[SCRAM_KEY_BYTES];
    derive(exchange->hash, "pencil", exchange->salt, 4096, &keys, client_key);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char out[SCRAM_TEXT_BYTES];
        size_t len = 0;
        struct error err = {0};
        struct scram_server *server = begin_server(exchange, &keys);
        assert_false(
            scram_server_finish(server, &keys, text_bytes(texts[i]), client_key, out, &len, &err));
        assert_int_equal(err.code, ERROR_AUTHENTICATION_FAILED);
        assert_memory_equal(client_key, zeros, sizeof zeros);
        scram_server_free(server);
    }
}

/* Each single bit of a right proof matters. */
static void test_a_proof_with_one_wrong_bit(void **state)
{
    (void)state;
    const struct exchange_text *exchange = &exchanges[1];
    struct scram_keys keys;
    uint8_t client_key[SCRAM_KEY_BYTES];
    derive(exchange->hash, "pencil", exchange->salt, 4096, &keys, client_key);
    const char *mark = strstr(exchange->client_final, ",p=") + 3;
    size_t before = (size_t)(mark - exchange->client_final);
    for (unsigned bit = 0; bit < 256; bit++) {
        uint8_t proof[SCRAM_KEY_BYTES];
        char text[SCRAM_FINAL_BYTES];
        char out[SCRAM_TEXT_BYTES];
        size_t len = 0;
        struct error err;
        assert_true(base64_read(text_bytes(mark), proof, sizeof proof, &len));
        proof[bit / 8] ^= (uint8_t)(1U << bit % 8);
        memcpy(text, exchange->client_final, before);
        size_t text_len = before + base64_write(proof, sizeof proof, text + before);
        struct scram_server *server = begin_server(exchange, &keys);
        assert_false(scram_server_finish(server, &keys, bytes_of(text, text_len), client_key, out,
                                         &len, &err));
        assert_string_equal(err.message, "the proof is wrong");
        scram_server_free(server);
    }
}

static void test_servers_that_are_refused(void **state)
{
    (void)state;
    const struct exchange_text *exchange = &exchanges[0];
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", ERROR_PROTOCOL},
        {"e=unknown-user", ERROR_PROTOCOL},
        {"r=fyko+d2lbbFgONRv9qkxdawL,s=QSXCR+Q6sek8bf92,i=4096", ERROR_PROTOCOL},
        {"r=gyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf92,i=4096", ERROR_PROTOCOL},
        {"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf9,i=4096", ERROR_PROTOCOL},
        {"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf92,i=0", ERROR_PROTOCOL},
        {"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf92,i=99999999999", ERROR_PROTOCOL},
        {"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf92,i=40x", ERROR_PROTOCOL},
        {"m=a,r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf92,i=4096", ERROR_PROTOCOL},
        {"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf92,i=4097", ERROR_AUTHENTICATION_FAILED},
        {"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8bf93,i=4096", ERROR_AUTHENTICATION_FAILED},
        {"r=fyko+d2lbbFgONRv9qkxdawL3rf,s=QSXCR+Q6sek8,i=4096", ERROR_AUTHENTICATION_FAILED}};
    struct scram_keys keys;
    uint8_t client_key[SCRAM_KEY_BYTES] = {0};
    derive(exchange->hash, "pencil", exchange->salt, 4096, &keys, client_key);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes first;
        char out[SCRAM_FINAL_BYTES];
        size_t len = 0;
        struct error err = {0};
        struct scram_client *client =
            scram_client_new(text_bytes("user"), text_bytes(exchange->client_nonce), &first);
        assert_false(scram_client_prove(client, &keys, client_key, text_bytes(cases[i].text), out,
                                        &len, &err));
        assert_int_equal(err.code, cases[i].code);
        scram_client_free(client);
    }
}

static void test_invented_keys(void **state)
{
    (void)state;
    struct scram_keys a;
    struct scram_keys b;
    struct bytes secret = text_bytes("a secret of the proxies");
    for (enum scram_hash hash = 0; hash < SCRAM_HASHES; hash++) {
        struct scram_shape shape = scram_default_shape(hash);
        assert_true(
            scram_invent_keys(hash, shape, secret, text_bytes("ann"), text_bytes("admin"), &a));
        assert_true(
            scram_invent_keys(hash, shape, secret, text_bytes("ann"), text_bytes("admin"), &b));
        assert_true(scram_keys_equal(&a, &b));
        assert_int_equal(a.salt_bytes, hash == SCRAM_SHA_1 ? 16 : 28);
        assert_int_equal(a.iterations, hash == SCRAM_SHA_1 ? 10000 : 15000);
        assert_true(
            scram_invent_keys(hash, shape, secret, text_bytes("anna"), text_bytes("dmin"), &b));
        assert_memory_not_equal(a.salt, b.salt, 16);
        assert_true(scram_invent_keys(hash, shape, text_bytes("another"), text_bytes("ann"),
                                      text_bytes("admin"), &b));
        assert_memory_not_equal(a.salt, b.salt, 16);
        assert_false(scram_keys_equal(&a, &b));
    }
}

static void test_without_memory(void **state)
{
    (void)state;
    struct scram_keys keys = {.hash = SCRAM_SHA_1, .iterations = 1};
    struct scram_first first;
    struct bytes message;
    struct error err;
    assert_true(scram_first_read(text_bytes("n,,n=a,r=b"), &first, &err));
    memory_fail_after(1);
    assert_null(scram_server_new(&first, &keys, text_bytes("c"), &message));
    assert_null(scram_client_new(text_bytes("a"), text_bytes("c"), &message));
    memory_fail_never();
    scram_server_free(NULL);
    scram_client_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_server_follows_the_specifications),
        cmocka_unit_test(test_the_client_logs_in_with_the_client_key_alone),
        cmocka_unit_test(test_names_are_escaped_and_read_back),
        cmocka_unit_test(test_first_messages_that_are_refused),
        cmocka_unit_test(test_final_messages_that_are_refused),
        cmocka_unit_test(test_a_proof_with_one_wrong_bit),
        cmocka_unit_test(test_servers_that_are_refused),
        cmocka_unit_test(test_invented_keys),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
