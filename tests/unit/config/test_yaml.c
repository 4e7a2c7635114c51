#include <stdio.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/memory.h"
#include "config/config.h"

static bool load(const char *yaml, struct config **out, struct error *err)
{
    *err = (struct error){0};
    return config_load_yaml("f.yaml", yaml, strlen(yaml), out, err);
}

#define REQUIRED "upstream: mongodb://h\nlisten: 1.2.3.4:27017\n"

static void defaults_fill_what_is_not_given(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error err;
    assert_true(load(REQUIRED, &c, &err));
    assert_string_equal(c->upstream, "mongodb://h");
    assert_string_equal(c->listen.host, "1.2.3.4");
    assert_int_equal(c->listen.port, 27017);
    assert_int_equal(c->listen_port_count, 50);
    assert_string_equal(c->advertise, "");
    assert_int_equal(c->threads, 0);
    assert_int_equal(c->max_client_conn, 10000);
    assert_int_equal(c->max_message_bytes, 48000000);
    assert_int_equal(c->memory_max, 512 * 1024 * 1024);
    assert_int_equal(c->client_idle_timeout_ms, 0);
    assert_int_equal(c->listen_backlog, 1024);
    assert_int_equal(c->log.level, LOG_INFO);
    assert_int_equal(c->log.format, LOG_FORMAT_JSON);
    assert_int_equal(c->tls.mode, CONFIG_TLS_OFF);
    assert_int_equal(c->tls.client_certificates, CONFIG_CLIENT_CERTIFICATES_NONE);
    assert_int_equal(c->tls.min_version, CONFIG_TLS_1_2);
    config_release(c);
}

static void nested_and_dotted_keys_are_the_same(void **state)
{
    (void)state;
    static const char *const forms[] = {
        REQUIRED "tls: {mode: allow, cert_file: a, key_file: b}\n",
        REQUIRED "tls.mode: 'allow'\ntls.cert_file: \"a\"\ntls.key_file: b\n",
        REQUIRED "tls:\n  mode: allow\n  cert_file: a\ntls.key_file: b\nlog:\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct config *c = NULL;
        struct error err;
        assert_true(load(forms[i], &c, &err));
        assert_int_equal(c->tls.mode, CONFIG_TLS_ALLOW);
        assert_string_equal(c->tls.cert_file, "a");
        assert_string_equal(c->tls.key_file, "b");
        config_release(c);
    }
}

static void addresses_and_hosts(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct error err;
    assert_true(load("upstream: mongodb+srv://h\nlisten: '[fe80::1%eth0]:0'\nadvertise: '[::1]'\n",
                     &c, &err));
    assert_string_equal(c->listen.host, "fe80::1%eth0");
    assert_int_equal(c->listen.port, 0);
    assert_string_equal(c->advertise, "::1");
    config_release(c);
    static const char *const bad[] = {
        "listen: a",
        "listen: ':1'",
        "listen: 'a:'",
        "listen: '::1:5'",
        "listen: '[::1]'",
        "listen: '[::1:5'",
        "listen: 'a:65536'",
        "listen: 'a:-1'",
        "listen: 'a b:1'",
        "listen: 'a:1x'",
        "listen: '[]:1'",
        "listen: ''",
        "advertise: 'a:1'",
        "advertise: 'a/b'",
        "advertise: '[]'",
        "upstream: h:1",
        "upstream: http://",
        "upstream: mongodb://",
        "upstream: 'mongodb:///?a=b'",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(load(bad[i], &c, &err));
        assert_non_null(strstr(err.message, "is not allowed; expected "));
    }
}

static void hosts_have_a_longest_length(void **state)
{
    (void)state;
    char yaml[600];
    char host[HOST_BYTES + 1];
    struct config *c = NULL;
    struct error err;
    memset(host, 'a', sizeof host);
    host[HOST_BYTES - 1] = '\0';
    (void)snprintf(yaml, sizeof yaml, "upstream: mongodb://h\nlisten: %s:1\n", host);
    assert_true(load(yaml, &c, &err));
    assert_string_equal(c->listen.host, host);
    config_release(c);
    host[HOST_BYTES - 1] = 'a';
    host[HOST_BYTES] = '\0';
    (void)snprintf(yaml, sizeof yaml, "upstream: mongodb://h\nlisten: %s:1\n", host);
    assert_false(load(yaml, &c, &err));
}

static void bytes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"1048576", 1048576},
        {"1048576B", 1048576},
        {"48MB", 48000000},
        {"1024KiB", 1048576},
        {"64 MiB", 67108864},
        {"1GB", 1000000000},
        {"1GiB", 1 << 30},
        {"2000kB", 2000000},
        {"2000KB", 2000000},
        {"0x100000", -1},
        {"1.5GB", -1},
        {"-1", -1},
        {"48mb", -1},
        {"48M", -1},
        {"MB", -1},
        {"", -1},
        {"9999999999GiB", -1},
        {"99999999999999999999", -1},
        {"5TB", -1},
        {"1048575", -1},
        {" 1048576", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[200];
        struct config *c = NULL;
        struct error err;
        (void)snprintf(yaml, sizeof yaml, REQUIRED "max_message_bytes: 16384\nmemory_max: '%s'\n",
                       cases[i].text);
        bool ok = load(yaml, &c, &err);
        assert_int_equal(ok, cases[i].value >= 0);
        if (ok)
            assert_int_equal(c->memory_max, cases[i].value);
        else
            assert_non_null(strstr(err.message, "f.yaml:4: memory_max: "));
        config_release(c);
    }
}

static void errors_name_file_line_and_key(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *message;
    } cases[] = {
        {"\n\nmax_client_con: 5", "f.yaml:3: unknown key \"max_client_con\"; did you mean "
                                  "max_client_conn?"},
        {"tls:\n  mod: off", "f.yaml:2: unknown key \"tls.mod\"; did you mean tls.mode?"},
        {"cert_file: x", "f.yaml:1: unknown key \"cert_file\"; did you mean tls.cert_file?"},
        {"xyzzy: x", "f.yaml:1: unknown key \"xyzzy\"; mongosluice --help lists all options"},
        {"threads: 257",
         "f.yaml:1: threads: \"257\" is not allowed; expected a whole number from 0 "
         "to 256"},
        {"threads: many",
         "f.yaml:1: threads: \"many\" is not allowed; expected a whole number from "
         "0 to 256"},
        {"threads: [1]", "f.yaml:1: threads: expected a whole number from 0 to 256, found a list"},
        {"threads: {}",
         "f.yaml:1: threads: expected a whole number from 0 to 256, found a mapping"},
        {"threads:", "f.yaml:1: threads has no value; remove the line for the default, or write "
                     "\"\" for an empty text"},
        {"threads: ~", "f.yaml:1: threads has no value; remove the line for the default, or "
                       "write \"\" for an empty text"},
        {"drain_timeout_ms: 1.5s",
         "f.yaml:1: drain_timeout_ms: \"1.5s\" is not allowed; expected milliseconds from 0 to "
         "86400000, plain or with a unit (ms, s, m, h, d)"},
        {"log.file: ${HOME}", "f.yaml:1: log.file: the variable HOME is not set; set it in the "
                              "environment of mongosluice, or write $${ for these two characters "
                              "themselves"},
        {"log: {level: verbose}",
         "f.yaml:1: log.level: \"verbose\" is not allowed; expected one of "
         "fatal, error, warning, info, debug"},
        {"tls: 5", "f.yaml:1: tls: expected a mapping of options, found a single value"},
        {"- a", "f.yaml:1: the file: expected a mapping of options, found a list"},
        {"word", "f.yaml:1: the file: expected a mapping of options, found a single value"},
        {"threads: 1\nthreads: 1", "f.yaml:2: threads is given twice (first in line 1); keep one "
                                   "of them"},
        {"tls: {mode: off}\ntls.mode: off", "f.yaml:2: tls.mode is given twice (first in line 1); "
                                            "keep one of them"},
        {"tls: {mode: off}\n\ntls: {}", "f.yaml:3: tls is given twice (first in line 1); keep one "
                                        "of them"},
        {"threads: &a 1\nlisten_backlog: *a", "f.yaml:2: listen_backlog: expected a whole number "
                                              "from 1 to 65535, found an alias"},
        {"? [a]\n: b", "f.yaml:1: key: expected the name of an option, found a list"},
        {"threads: !!int 5", "f.yaml:1: threads has a YAML tag; write the value without it"},
        {"tls: !x {}", "f.yaml:1: tls has a YAML tag; write the value without it"},
        {"threads: \"1\\0\"", "f.yaml:1: threads contains a NUL character"},
        {"\"threads\\0\": 1", "f.yaml:1: unknown key \"threads\"; did you mean threads?"},
        {"threads: 1\n---\nthreads: 1", "f.yaml:2: a second YAML document starts here; keep one"},
        {"", "upstream: required and not given; set it in the file, with --upstream URI or with "
             "the variable MONGOSLUICE_UPSTREAM"},
        {"---\n...\n",
         "upstream: required and not given; set it in the file, with --upstream URI or "
         "with the variable MONGOSLUICE_UPSTREAM"},
        {"upstream: mongodb://h",
         "listen: required and not given; set it in the file, with --listen "
         "HOST:PORT or with the variable MONGOSLUICE_LISTEN"},
        {REQUIRED "memory_max: 1MiB",
         "f.yaml:3: memory_max: is less than max_message_bytes, so the proxy could never hold the "
         "longest message; raise one or lower the other"},
        {"upstream: mongodb://h\nlisten: a:65530\nlisten_port_count: 7",
         "f.yaml:3: listen_port_count: counted from the port of listen, goes beyond port 65535; "
         "lower the one or the other"},
        {REQUIRED "unix_domain_socket: {path_prefix: run}",
         "f.yaml:3: unix_domain_socket.path_prefix: must begin with /, since clients are told it"},
        {REQUIRED "unix_domain_socket: {path_prefix: '/run/a:b'}",
         "f.yaml:3: unix_domain_socket.path_prefix: must have no colon: clients would take what "
         "follows it for a port"},
        {REQUIRED "unix_domain_socket: {path_prefix: "
                  "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
         "f.yaml:3: unix_domain_socket.path_prefix: is too long: with /mongodb-PORT.sock the path "
         "of a Unix socket has at most 107 bytes"},
        {REQUIRED "tls.mode: allow", "f.yaml:3: tls.mode: needs tls.cert_file to be set as well"},
        {REQUIRED "tls: {mode: allow, cert_file: a}",
         "f.yaml:3: tls.mode: needs tls.key_file to be set as well"},
        {REQUIRED "tls.client_certificates: optional",
         "f.yaml:3: tls.client_certificates: needs tls.ca_file to be set as well"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        struct error err;
        assert_false(load(cases[i].yaml, &c, &err));
        assert_null(c);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void what_is_not_yaml_has_its_line(void **state)
{
    (void)state;
    static const char *const cases[] = {"threads: 1\n}", "threads: 1\n\t x: [", "threads: 1\n'a",
                                        "threads: 1\n\"\\q\""};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        struct error err;
        assert_false(load(cases[i], &c, &err));
        assert_int_equal(err.code, ERROR_FAILED_TO_PARSE);
        assert_non_null(strstr(err.message, "f.yaml:2: not YAML: "));
    }
}

static void long_keys_are_unknown(void **state)
{
    (void)state;
    char yaml[400];
    struct config *c = NULL;
    struct error err;
    memset(yaml, 'k', sizeof yaml);
    (void)snprintf(yaml + 300, 20, ": 1\n");
    assert_false(load(yaml, &c, &err));
    assert_non_null(strstr(err.message, "f.yaml:1: unknown key \"kkk"));
}

static void credentials_are_in_no_error(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "upstream: mysql://user:s3cret@h",
        "upstream: 's3cret'",
        "upstream: [mongodb://user:s3cret@h]",
        "upstream: mongodb://user:s3cret@h\nupstream: mongodb://user:s3cret@h",
        "upstrem: mongodb://user:s3cret@h",
        "mongodb://user:s3cret@h: x",
        "mongodb://user:s3cret@h",
        "listen: mongodb://user:s3cret@h",
        "listen: user:s3cret@h",
        "upstream: mongodb://user:s3cret@h",
        "upstream: \"mongodb://user:s3cret@h",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        struct error err;
        assert_false(load(cases[i], &c, &err));
        assert_null(strstr(err.message, "s3cret"));
    }
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    bool ok = false;
    for (long i = 1; !ok; i++) {
        struct config *c = NULL;
        struct error err = {0};
        assert_in_range(i, 1, 1000);
        memory_fail_after(i);
        ok = load(REQUIRED "tls: {mode: off}\nlog: {level: debug}\n", &c, &err);
        memory_fail_never();
        if (!ok) {
            assert_null(c);
            assert_int_equal(err.code, ERROR_EXCEEDED_MEMORY_LIMIT);
        }
        config_release(c);
    }
}

static void tracing(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *message; /* NULL: it is allowed */
    } cases[] = {
        {"endpoint: http://localhost:4318", NULL},
        {"endpoint: https://[::1]/v1/traces", NULL},
        {"endpoint: localhost:4318",
         "tracing.endpoint: \"localhost:4318\" is not allowed; expected http://HOST[:PORT][/PATH], "
         "the same with https, or empty"},
        {"sample_ratio: 0.25", NULL},
        {"sample_ratio: 1", NULL},
        {"sample_ratio: 1.1",
         "tracing.sample_ratio: \"1.1\" is not allowed; expected a number from 0 "
         "to 1"},
        {"sample_ratio: 1e-3", "expected a number from 0 to 1"},
        {"sample_ratio: 0.5.1", "expected a number from 0 to 1"},
        {"sample_ratio: '.'", "expected a number from 0 to 1"},
        {"headers: api-key=secret", NULL},
        /* never quoted */
        {"headers: 'api-key: secret'", "tracing.headers: the value is not allowed; expected "
                                       "NAME=VALUE,... without blanks, or empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[200];
        struct config *c = NULL;
        struct error err = {0};
        (void)snprintf(yaml, sizeof yaml,
                       "upstream: mongodb://h\nlisten: 127.0.0.1:1\ntracing:\n  %s", cases[i].line);
        bool ok = config_load_yaml("f.yaml", yaml, strlen(yaml), &c, &err);
        assert_int_equal(ok, cases[i].message == NULL);
        if (!ok)
            assert_non_null(strstr(err.message, cases[i].message));
        else if (strstr(cases[i].line, "secret") != NULL) {
            struct text out = text_growing();
            config_write_listing(c, &out);
            assert_null(strstr(out.data, "secret\""));
            assert_non_null(strstr(out.data, "api-key=<redacted>"));
            text_release(&out);
        } else if (strstr(cases[i].line, "0.25") != NULL) {
            assert_true(c->tracing.sample_ratio == 0.25);
        }
        config_release(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tracing),
        cmocka_unit_test(defaults_fill_what_is_not_given),
        cmocka_unit_test(nested_and_dotted_keys_are_the_same),
        cmocka_unit_test(addresses_and_hosts),
        cmocka_unit_test(hosts_have_a_longest_length),
        cmocka_unit_test(bytes_have_units),
        cmocka_unit_test(errors_name_file_line_and_key),
        cmocka_unit_test(what_is_not_yaml_has_its_line),
        cmocka_unit_test(long_keys_are_unknown),
        cmocka_unit_test(credentials_are_in_no_error),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
