#include <string.h>

#include "base/memory.h"
#include "config/config.h"
#include "folder.h"

#define BEFORE                                                                                     \
    "upstream: mongodb://u:s3cret@h\nlisten: '[::1]:5'\nmax_client_conn: 10\nthreads: 2\n"

/* A snapshot of BEFORE with --log.level=debug over it. */
static struct config *load(const struct folder *folder)
{
    struct config *c = NULL;
    enum config_command what = CONFIG_RUN;
    struct error err;
    char *argv[] = {(char *)"mongosluice", (char *)"--config", (char *)folder->file,
                    (char *)"--log.level=debug"};
    folder_write(folder, BEFORE);
    assert_true(config_load(4, argv, &c, &what, &err));
    return c;
}

static void reloadable_options_change(void **state)
{
    const struct folder *folder = *state;
    struct config *old = load(folder);
    struct config *new = NULL;
    struct config_changes ignored;
    struct error err;
    folder_write(folder, "upstream: mongodb://u:s3cret@h\nlisten: '[::1]:5'\nthreads: 2\n"
                         "max_client_conn: 20\nlog.level: error\nlog.format: text\n");
    assert_true(config_reload(old, &new, &ignored, &err));
    assert_int_equal(ignored.count, 0);
    assert_int_equal(new->max_client_conn, 20);
    assert_int_equal(old->max_client_conn, 10);
    assert_int_equal(new->log.level, LOG_DEBUG); /* the flag still wins */
    assert_int_equal(new->log.format, LOG_FORMAT_TEXT);
    config_release(old);
    assert_string_equal(new->upstream, "mongodb://u:s3cret@h");
    config_release(new);
}

static void fixed_options_keep_their_values(void **state)
{
    const struct folder *folder = *state;
    struct config *old = load(folder);
    struct config *new = NULL;
    struct config_changes ignored;
    struct error err;
    folder_write(folder, "upstream: mongodb://other\nlisten: '[::2]:5'\nmax_client_conn: 30\n");
    assert_true(config_reload(old, &new, &ignored, &err));
    assert_int_equal(ignored.count, 3);
    assert_string_equal(ignored.names[0], "upstream");
    assert_string_equal(ignored.names[1], "listen");
    assert_string_equal(ignored.names[2], "threads");
    config_release(old);
    assert_string_equal(new->upstream, "mongodb://u:s3cret@h");
    assert_string_equal(new->listen.host, "::1");
    assert_int_equal(new->threads, 2);
    assert_int_equal(new->max_client_conn, 30);
    /* and again: the next comparison uses the stored values */
    old = new;
    assert_true(config_reload(old, &new, &ignored, &err));
    assert_int_equal(ignored.count, 3);
    assert_string_equal(new->listen.host, "::1");
    config_release(old);
    config_release(new);
}

static void errors_change_nothing(void **state)
{
    const struct folder *folder = *state;
    struct config *old = load(folder);
    struct config *new = NULL;
    struct config_changes ignored;
    struct error err;
    static const char *const bad[] = {BEFORE "threads: 3\n", BEFORE "tls.mode: allow\n",
                                      BEFORE "tls.ca_file: /nonexistent/ca\n", "", "{"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        folder_write(folder, bad[i]);
        assert_false(config_reload(old, &new, &ignored, &err));
        assert_null(new);
        assert_null(strstr(err.message, "s3cret"));
    }
    assert_int_equal(unlink(folder->file), 0);
    assert_false(config_reload(old, &new, &ignored, &err));
    assert_non_null(strstr(err.message, folder->file));
    assert_int_equal(old->max_client_conn, 10);
    config_release(old);
}

static void flags_alone_reload_to_the_same(void **state)
{
    (void)state;
    struct config *old = NULL;
    struct config *new = NULL;
    enum config_command what = CONFIG_RUN;
    struct config_changes ignored;
    struct error err;
    char *argv[] = {(char *)"mongosluice", (char *)"--upstream=mongodb://h",
                    (char *)"--listen=a:1"};
    assert_true(config_load(3, argv, &old, &what, &err));
    assert_true(config_reload(old, &new, &ignored, &err));
    assert_int_equal(ignored.count, 0);
    assert_string_equal(new->upstream, "mongodb://h");
    config_release(old);
    config_release(new);
}

static void the_last_holder_frees(void **state)
{
    struct config *c = load(*state);
    assert_ptr_equal(config_retain(c), c);
    config_release(c);
    assert_int_equal(c->max_client_conn, 10);
    config_release(c);
    config_release(NULL);
}

static void any_allocation_may_fail(void **state)
{
    const struct folder *folder = *state;
    struct config *old = load(folder);
    bool ok = false;
    folder_write(folder, "upstream: mongodb://other\nlisten: b:5\nmax_client_conn: 30\n");
    for (long i = 1; !ok; i++) {
        struct config *new = NULL;
        struct config_changes ignored;
        struct error err = {0};
        assert_in_range(i, 1, 1000);
        memory_fail_after(i);
        ok = config_reload(old, &new, &ignored, &err);
        memory_fail_never();
        assert_int_equal(new != NULL, ok);
        assert_int_equal(err.code, ok ? ERROR_NONE : ERROR_EXCEEDED_MEMORY_LIMIT);
        config_release(new);
    }
    config_release(old);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(reloadable_options_change), IN_FOLDER(fixed_options_keep_their_values),
        IN_FOLDER(errors_change_nothing),     cmocka_unit_test(flags_alone_reload_to_the_same),
        IN_FOLDER(the_last_holder_frees),     IN_FOLDER(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
