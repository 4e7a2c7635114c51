#include "config/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/memory.h"
#include "config/config.h"
#include "folder.h"

#define VARIABLES(...) ((char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* No two options have the same variable, and none has one that Kubernetes sets for a Service. */
static void names_are_unique(void **state)
{
    char names[CONFIG_OPTIONS_MAX][128];
    (void)state;
    for (size_t i = 0; i < options_count; i++) {
        struct text name = text_over(names[i], sizeof names[i]);
        options_add_variable(&options_table[i], &name);
        assert_false(name.cut);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
        size_t len = strlen(names[i]);
        assert_true(len < 5 || strcmp(names[i] + len - 5, "_PORT") != 0);
        assert_null(strstr(names[i], "_PORT_2"));
        assert_null(strstr(names[i], "SERVICE_"));
    }
    assert_string_equal(names[0], "MONGOSLUICE_UPSTREAM");
}

static const char *text_of(const struct settings *settings, const char *name)
{
    return settings_at((struct settings *)settings, options_find(name))->text;
}

static void options_are_read(void **state)
{
    struct settings settings = {0};
    struct error err;
    (void)state;
    assert_true(environment_read(
        VARIABLES((char *)"PATH=/bin", (char *)"MONGOSLUICE_TLS_CERT_FILE=a=b",
                  (char *)"MONGOSLUICE_ADVERTISE=", (char *)"MONGOSLUICE_THREADSX=5",
                  (char *)"MONGOSLUICE_MERGE_NAMESPACE=a.b:max_docs=5,linger_us=7; c.d:enabled=on"),
        &settings, &err));
    assert_string_equal(text_of(&settings, "tls.cert_file"), "a=b");
    assert_null(text_of(&settings, "advertise")); /* empty: not set */
    assert_null(text_of(&settings, "threads"));
    assert_int_equal(settings.override_count, 3);
    assert_string_equal(settings.overrides[2].ns, "c.d");
    settings_release(&settings);
    assert_false(environment_read(VARIABLES((char *)"MONGOSLUICE_MERGE_NAMESPACE=a.b:bogus=5"),
                                  &settings, &err));
    assert_non_null(strstr(err.message, "MONGOSLUICE_MERGE_NAMESPACE: \"a.b:bogus=5\""));
    settings_release(&settings);
}

static void collect(void *arg, const char *problem)
{
    char *all = arg;
    size_t len = strlen(all);
    (void)snprintf(all + len, 2048 - len, "%s\n", problem);
}

static void unknown_variables_are_reported(void **state)
{
    char all[2048] = "";
    (void)state;
    environment_each_unknown(
        VARIABLES((char *)"MONGOSLUICE_UPSTRAEM=x", (char *)"MONGOSLUICE_SOMETHING_ELSE=x",
                  (char *)"OTHER_MONGOSLUICE_X=1", (char *)"MONGOSLUICE_CERT_FILE=1"),
        collect, all);
    assert_string_equal(
        all,
        "the environment variable MONGOSLUICE_UPSTRAEM names no option and is not used; did you "
        "mean MONGOSLUICE_UPSTREAM?\n"
        "the environment variable MONGOSLUICE_SOMETHING_ELSE names no option and is not used; "
        "rename it, or unset it (mongosluice --help lists the options)\n"
        "the environment variable MONGOSLUICE_CERT_FILE names no option and is not used; did you "
        "mean MONGOSLUICE_TLS_CERT_FILE?\n");
}

/* Kubernetes sets them in each pod for the Services mongosluice and mongosluice-admin. */
static void variables_of_a_service_are_not_reported(void **state)
{
    char all[2048] = "";
    (void)state;
    environment_each_unknown(VARIABLES((char *)"MONGOSLUICE_SERVICE_HOST=10.0.0.1",
                                       (char *)"MONGOSLUICE_SERVICE_PORT=27017",
                                       (char *)"MONGOSLUICE_SERVICE_PORT_MONGODB_0=27017",
                                       (char *)"MONGOSLUICE_PORT=tcp://10.0.0.1:27017",
                                       (char *)"MONGOSLUICE_PORT_27017_TCP=tcp://10.0.0.1:27017",
                                       (char *)"MONGOSLUICE_PORT_27017_TCP_PROTO=tcp",
                                       (char *)"MONGOSLUICE_PORT_27017_TCP_PORT=27017",
                                       (char *)"MONGOSLUICE_PORT_27017_TCP_ADDR=10.0.0.1",
                                       (char *)"MONGOSLUICE_ADMIN_SERVICE_HOST=10.0.0.2",
                                       (char *)"MONGOSLUICE_ADMIN_PORT=tcp://10.0.0.2:9090",
                                       (char *)"MONGOSLUICE_ADMIN_PORT_9090_TCP_ADDR=10.0.0.2",
                                       (char *)"MONGOSLUICE_CONFIG=/x",
                                       (char *)"MONGOSLUICE_BINARY=/y",
                                       (char *)"MONGOSLUICE_LOG_LEVEL=debug"),
                             collect, all);
    assert_string_equal(all, "");
    environment_each_unknown(VARIABLES((char *)"MONGOSLUICE_PORT=27017"), collect, all);
    assert_non_null(strstr(all, "MONGOSLUICE_PORT names no option"));
}

static void set(const char *name, const char *value)
{
    assert_int_equal(value == NULL ? unsetenv(name) : setenv(name, value, 1), 0);
}

/* The command line wins over the environment, and that over the file. */
static void layers(void **state)
{
    const struct folder *folder = *state;
    struct config *c = NULL;
    struct config *again = NULL;
    struct config_changes ignored;
    enum config_command what = CONFIG_RUN;
    struct error err;
    char *argv[] = {(char *)"mongosluice", (char *)"--threads=3"};
    folder_write(folder, "upstream: mongodb://${SLUICE_TEST_USER}:x@file\nlisten: a:1\nthreads: 1\n"
                         "max_client_conn: 10\nlisten_backlog: 7\nrequest_timeout_ms: 20s\n");
    set("MONGOSLUICE_CONFIG", folder->file);
    set("MONGOSLUICE_THREADS", "2");
    set("MONGOSLUICE_MAX_CLIENT_CONN", "20");
    set("SLUICE_TEST_USER", "me");
    assert_true(config_load(2, argv, &c, &what, &err));
    assert_string_equal(c->upstream, "mongodb://me:x@file");
    assert_int_equal(c->threads, 3);
    assert_int_equal(c->max_client_conn, 20);
    assert_int_equal(c->listen_backlog, 7);
    assert_int_equal(c->request_timeout_ms, 20000);
    /* a fixed option that differs keeps its value and its source */
    set("SLUICE_TEST_USER", "other");
    assert_true(config_reload(c, &again, &ignored, &err));
    assert_int_equal(ignored.count, 1);
    assert_string_equal(again->upstream, "mongodb://me:x@file");
    struct text listing = text_growing();
    config_write_listing(again, &listing);
    assert_null(strstr(listing.data, "//other"));
    assert_non_null(strstr(listing.data, "\"value\":\"mongodb://<redacted>@file\","
                                         "\"substituted\":true,\"origin\":\"file\",\"line\":1"));
    assert_non_null(strstr(listing.data, "\"value\":20,\"origin\":\"environment\","
                                         "\"variable\":\"MONGOSLUICE_MAX_CLIENT_CONN\""));
    text_release(&listing);
    config_release(c);
    config_release(again);
    folder_fail_each_allocation(2, argv);
    set("MONGOSLUICE_MAX_CLIENT_CONN", "many");
    assert_false(config_load(2, argv, &c, &what, &err));
    assert_non_null(strstr(err.message, "MONGOSLUICE_MAX_CLIENT_CONN: \"many\" is not allowed"));
    set("MONGOSLUICE_CONFIG", NULL);
    set("MONGOSLUICE_THREADS", NULL);
    set("MONGOSLUICE_MAX_CLIENT_CONN", NULL);
    set("SLUICE_TEST_USER", NULL);
}

/* A value from a file stays out of errors: here the key itself, by a natural mistake. */
static void errors_show_no_substituted_value(void **state)
{
    const struct folder *folder = *state;
    struct config *c = NULL;
    struct error err;
    set("SLUICE_TEST_SECRET", "s3cret");
    static const char *const lines[] = {
        "threads: ${SLUICE_TEST_SECRET}\n", "log.level: ${SLUICE_TEST_SECRET}\n",
        "tls.key_file: file:/etc/hostname\n", "advertise: 'x ${SLUICE_TEST_SECRET}'\n",
        "merge: {namespaces: {a.b: {max_docs: '${SLUICE_TEST_SECRET}'}}}\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, "upstream: mongodb://h\nlisten: a:1\n%s", lines[i]);
        folder_write(folder, yaml);
        assert_false(config_load_file(folder->file, CONFIG_USE_ALL, &c, &err));
        assert_null(strstr(err.message, "s3cret"));
        assert_non_null(strstr(err.message, ":3: "));
    }
    set("SLUICE_TEST_SECRET", NULL);
}

/* The options of group admin alone: the rest need not be readable. */
static void the_admin_options_alone(void **state)
{
    const struct folder *folder = *state;
    struct config *c = NULL;
    struct error err;
    folder_write(folder, "upstream: file:/none\nthreads: many\nschemas: /none\n"
                         "admin: {listen: '${SLUICE_TEST_PORT}', token_file: /none}\n");
    set("SLUICE_TEST_PORT", "9100");
    assert_true(config_load_file(folder->file, CONFIG_USE_ADMIN, &c, &err));
    assert_int_equal(c->admin.listen.port, 9100);
    assert_string_equal(c->upstream, "");
    config_release(c);
    assert_false(config_load_file(folder->file, CONFIG_USE_ALL, &c, &err));
    assert_non_null(strstr(err.message, ":1: upstream: the file /none cannot be opened"));
    set("SLUICE_TEST_PORT", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(options_are_read),
        cmocka_unit_test(unknown_variables_are_reported),
        cmocka_unit_test(variables_of_a_service_are_not_reported),
        cmocka_unit_test_setup_teardown(layers, folder_make, folder_end),
        cmocka_unit_test_setup_teardown(errors_show_no_substituted_value, folder_make, folder_end),
        cmocka_unit_test_setup_teardown(the_admin_options_alone, folder_make, folder_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
