#include <string.h>

#include "base/memory.h"
#include "config/config.h"
#include "folder.h"

enum { WORDS_MAX = 12 };

/* config_load of the words, which end with NULL. */
static bool load(const char *const *words, struct config **out, enum config_command *what,
                 struct error *err)
{
    char *argv[WORDS_MAX + 2] = {(char *)"mongosluice"};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc <= WORDS_MAX);
        argv[argc] = (char *)words[argc - 1];
    }
    *err = (struct error){0};
    return config_load(argc, argv, out, what, err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define REQUIRED   "--upstream", "mongodb://h", "--listen=a:1"

static void both_forms_and_dashes(void **state)
{
    (void)state;
    struct config *c = NULL;
    enum config_command what = CONFIG_HELP;
    struct error err;
    assert_true(load(WORDS(REQUIRED, "--max-client-conn", "5", "--tls.min_version=1.3",
                           "--log.file=a=b", "--advertise="),
                     &c, &what, &err));
    assert_int_equal(what, CONFIG_RUN);
    assert_int_equal(c->max_client_conn, 5);
    assert_int_equal(c->tls.min_version, CONFIG_TLS_1_3);
    assert_string_equal(c->log.file, "a=b");
    assert_string_equal(c->advertise, "");
    config_release(c);
}

static void commands_need_no_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum config_command what;
    } cases[] = {{"--help", CONFIG_HELP},
                 {"-h", CONFIG_HELP},
                 {"--version", CONFIG_VERSION},
                 {"--print-options-markdown", CONFIG_MARKDOWN},
                 {"--print-options-man", CONFIG_MAN},
                 {"--print-options-schema", CONFIG_SCHEMA},
                 {"--print-options", CONFIG_TABLE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        enum config_command what = CONFIG_RUN;
        struct error err;
        assert_true(load(WORDS("--threads=1", cases[i].word, "--nonsense"), &c, &what, &err));
        assert_int_equal(what, cases[i].what);
        assert_null(c);
    }
}

static void checking_loads_everything(void **state)
{
    (void)state;
    struct config *c = NULL;
    enum config_command what = CONFIG_RUN;
    struct error err;
    assert_true(load(WORDS("--check-config", REQUIRED), &c, &what, &err));
    assert_int_equal(what, CONFIG_CHECK);
    assert_non_null(c);
    config_release(c);
    assert_false(load(WORDS("--check-config"), &c, &what, &err));
    assert_null(c);
}

static void errors_name_the_flag(void **state)
{
    (void)state;
    const struct {
        const char *const *words;
        const char *message;
    } cases[] = {
        {WORDS("--max_client_con=1"), "unknown flag \"max_client_con\"; did you mean "
                                      "--max_client_conn?"},
        {WORDS("--frobnicate"), "unknown flag \"frobnicate\"; mongosluice --help lists all flags"},
        {WORDS("word"), "unexpected argument \"word\"; mongosluice --help lists all flags"},
        {WORDS("--"), "unexpected argument \"--\"; mongosluice --help lists all flags"},
        {WORDS("-x"), "unexpected argument \"-x\"; mongosluice --help lists all flags"},
        {WORDS("--threads"), "--threads needs a value: --threads VALUE or --threads=VALUE"},
        {WORDS("--config"), "--config needs a value: --config VALUE or --config=VALUE"},
        {WORDS("--threads", "--listen"), "--threads needs a value: --threads VALUE or "
                                         "--threads=VALUE"},
        {WORDS("--threads=1", "--threads=1"), "--threads is given twice; keep one of them"},
        {WORDS("--config=a", "--config=b"), "--config is given twice; keep one of them"},
        {WORDS("--threads=x"), "--threads: \"x\" is not allowed; expected a whole number from 0 to "
                               "256"},
        {WORDS("--config=/nonexistent/f"), "/nonexistent/f: cannot be opened: No such file or "
                                           "directory"},
        {WORDS("--config=/"), "/: cannot be read: Is a directory"},
        {WORDS("--config=/dev/zero"),
         "/dev/zero: is longer than 1048576 bytes: not a configuration "
         "file"},
        {WORDS(REQUIRED, "--tls.cert_file=/nonexistent/c"),
         "--tls.cert_file: cannot read the file \"/nonexistent/c\": No such file or directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        enum config_command what = CONFIG_RUN;
        struct error err;
        assert_false(load(cases[i].words, &c, &what, &err));
        assert_null(c);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void credentials_are_in_no_error(void **state)
{
    (void)state;
    const char *const *const cases[] = {
        WORDS("mongodb://u:s3cret@h"),
        WORDS("--upstrem=mongodb://u:s3cret@h"),
        WORDS("--mongodb://u:s3cret@h"),
        WORDS("--upstream=u:s3cret", "--listen=a:1"),
        WORDS("--listen", "mongodb://u:s3cret@h"),
        WORDS("--upstream=mongodb://u:s3cret@h", "--upstream=mongodb://u:s3cret@h"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c = NULL;
        enum config_command what = CONFIG_RUN;
        struct error err;
        assert_false(load(cases[i], &c, &what, &err));
        assert_null(strstr(err.message, "s3cret"));
    }
}

static void flags_win_over_the_file(void **state)
{
    const struct folder *folder = *state;
    struct config *c = NULL;
    enum config_command what = CONFIG_RUN;
    struct error err;
    folder_write(folder, "upstream: mongodb://f\nlisten: f:1\nthreads: 3\nlisten_backlog: 7\n");
    assert_true(load(WORDS("--threads=4", "--config", folder->file, "--upstream=mongodb://g"), &c,
                     &what, &err));
    assert_string_equal(c->upstream, "mongodb://g");
    assert_string_equal(c->listen.host, "f");
    assert_int_equal(c->threads, 4);
    assert_int_equal(c->listen_backlog, 7);
    config_release(c);
    folder_write(folder, "threads: 300\n");
    assert_true(load(WORDS("--threads=4", "--config", folder->file, REQUIRED), &c, &what, &err));
    config_release(c);
}

static void any_allocation_may_fail(void **state)
{
    const struct folder *folder = *state;
    char *argv[] = {(char *)"mongosluice", (char *)"--config", (char *)folder->file,
                    (char *)"--upstream=mongodb://g", (char *)"--threads=5"};
    folder_write(folder, "listen: f:1\nthreads: 3\n");
    folder_fail_each_allocation(5, argv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_and_dashes),
        cmocka_unit_test(commands_need_no_configuration),
        cmocka_unit_test(checking_loads_everything),
        cmocka_unit_test(errors_name_the_flag),
        cmocka_unit_test(credentials_are_in_no_error),
        cmocka_unit_test_setup_teardown(flags_win_over_the_file, folder_make, folder_end),
        cmocka_unit_test_setup_teardown(any_allocation_may_fail, folder_make, folder_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
