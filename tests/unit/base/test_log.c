#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/log.h"
#include "base/text.h"

enum { THREADS = 4, LINES = 500 };

/* A pipe that the log writes into and the test reads out of. */
struct stage {
    int read_end;
    int write_end;
    char seen[64 * 1024 + 1];
};

static int set_up(void **state)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    struct stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL)
        return -1;
    stage->read_end = ends[0];
    stage->write_end = ends[1];
    *state = stage;
    log_configure(stage->write_end, LOG_FORMAT_JSON, LOG_DEBUG);
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    log_configure(STDOUT_FILENO, LOG_FORMAT_JSON, LOG_INFO);
    if (stage->read_end >= 0)
        (void)close(stage->read_end);
    (void)close(stage->write_end);
    free(stage);
    return 0;
}

static const char *take(struct stage *stage)
{
    ssize_t n = read(stage->read_end, stage->seen, sizeof stage->seen - 1);
    assert_true(n > 0);
    stage->seen[n] = '\0';
    return stage->seen;
}

/* The line without its time, which is checked for its form alone. */
static const char *after_time(const char *line)
{
    static const char form[] = "{\"t\":{\"$date\":\"0000-00-00T00:00:00.000+00:00\"},";
    for (size_t i = 0; i + 1 < sizeof form; i++) {
        if (form[i] == '0')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], form[i]);
    }
    return line + sizeof form - 1;
}

static void json_has_the_form_of_mongodb(void **state)
{
    struct stage *stage = *state;
    LOG_I(LOG_NETWORK, 1001, "conn17", "Connection \"accepted\"",
          LOG_STR("remote", "[::1]:5\n\xFF"), LOG_INT("count", INT64_MIN), LOG_REAL("ms", 1.5),
          LOG_REAL("rate", NAN), LOG_BOOL("tls", true), LOG_STR("user", NULL),
          LOG_JSON("errInfo", "{\"a\":[1]}"));
    assert_string_equal(after_time(take(stage)),
                        "\"s\":\"I\",  \"c\":\"NETWORK\",  \"id\":1001,    \"ctx\":\"conn17\","
                        "\"msg\":\"Connection \\\"accepted\\\"\",\"attr\":{"
                        "\"remote\":\"[::1]:5\\n\xEF\xBF\xBD\",\"count\":-9223372036854775808,"
                        "\"ms\":1.5,\"rate\":null,\"tls\":true,\"user\":null,"
                        "\"errInfo\":{\"a\":[1]}}}\n");
    LOG_D(LOG_TOPOLOGY, 50012, "-", "No attributes");
    assert_string_equal(after_time(take(stage)),
                        "\"s\":\"D1\", \"c\":\"TOPOLOGY\", \"id\":50012,   \"ctx\":\"-\","
                        "\"msg\":\"No attributes\"}\n");
}

static void text_says_the_same(void **state)
{
    struct stage *stage = *state;
    log_configure(stage->write_end, LOG_FORMAT_TEXT, LOG_DEBUG);
    LOG_E(LOG_ACCESS, 7, "conn1", "Two\nlines", LOG_INT("n", 3));
    assert_string_equal(strchr(take(stage), ' '), " E  ACCESS   7 [conn1] Two\\nlines {\"n\":3}\n");
}

static void levels_above_the_set_one_are_silent(void **state)
{
    struct stage *stage = *state;
    log_configure(stage->write_end, LOG_FORMAT_JSON, LOG_WARNING);
    assert_true(log_enabled(LOG_FATAL));
    assert_false(log_enabled(LOG_INFO));
    LOG_I(LOG_CONTROL, 1, "-", "silent");
    LOG_F(LOG_CONTROL, 2, "-", "loud");
    assert_non_null(strstr(take(stage), "loud"));
    assert_null(strstr(stage->seen, "silent"));
}

static void long_lines_are_cut_and_say_so(void **state)
{
    struct stage *stage = *state;
    static char big[10000];
    static const char euros[] = "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC";
    memset(big, 'x', sizeof big - 1);
    for (size_t i = 0; i + 1 < sizeof euros; i++)
        big[1020 + i] = euros[i]; /* the cut falls into one of them */
    LOG_W(LOG_SCHEMA, 3, "-", "Big", LOG_JSON("errInfo", big), LOG_STR("a", big), LOG_STR("b", big),
          LOG_STR("c", big), LOG_STR("d", big), LOG_INT("n", 5));
    const char *line = take(stage);
    size_t len = strlen(line);
    assert_true(len <= LOG_LINE_MAX);
    assert_int_equal(line[len - 1], '\n');
    assert_non_null(strstr(line, "xx\xE2\x82\xAC\","));
    assert_non_null(strstr(line, "},\"truncated\":{\"errInfo\":9999,\"a\":9999,"));
    assert_string_equal(line + len - 3, "}}\n");
    char all[LOG_LINE_MAX];
    memset(all, 1, sizeof all - 1); /* each becomes six characters */
    all[sizeof all - 1] = '\0';
    LOG_W(LOG_SCHEMA, 4, all, all, LOG_STR(all, all), LOG_STR(all, all), LOG_STR(all, all),
          LOG_STR(all, all), LOG_STR(all, all), LOG_STR(all, all), LOG_STR(all, all));
    line = take(stage);
    len = strlen(line);
    assert_true(len <= LOG_LINE_MAX);
    assert_string_equal(line + len - 3, "}}\n");
}

static void raw_json_over_several_lines_becomes_a_string(void **state)
{
    struct stage *stage = *state;
    LOG_W(LOG_SCHEMA, 5, "-", "m", LOG_JSON("j", "{\n}"));
    assert_non_null(strstr(take(stage), "\"attr\":{\"j\":\"{\\n}\"}}\n"));
}

static void a_closed_pipe_counts_and_does_not_kill(void **state)
{
    struct stage *stage = *state;
    uint64_t before = log_dropped_count();
    (void)close(stage->read_end);
    stage->read_end = -1;
    LOG_I(LOG_CONTROL, 6, "-", "to nobody");
    assert_int_equal(log_dropped_count() - before, 1);
}

static void a_stuck_pipe_does_not_block(void **state)
{
    struct stage *stage = *state;
    uint64_t before = log_dropped_count();
    (void)fcntl(stage->write_end, F_SETPIPE_SZ, 4096);
    for (int i = 0; i < 2000; i++)
        LOG_I(LOG_CONTROL, 7, "-", "nobody reads", LOG_INT("i", i));
    assert_true(log_dropped_count() > before);
    const char *seen = take(stage);
    assert_int_equal(seen[strlen(seen) - 1], '\n');
    before = log_dropped_count();
    LOG_I(LOG_CONTROL, 8, "-", "somebody reads again");
    assert_int_equal(log_dropped_count(), before);
    assert_non_null(strstr(take(stage), "somebody"));
}

static void a_full_disk_counts(void **state)
{
    struct stage *stage = *state;
    uint64_t before = log_dropped_count();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    log_configure(full, LOG_FORMAT_JSON, LOG_INFO);
    LOG_I(LOG_CONTROL, 9, "-", "no space");
    assert_int_equal(log_dropped_count() - before, 1);
    log_configure(stage->write_end, LOG_FORMAT_JSON, LOG_INFO);
    (void)close(full);
}

static long size_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (long)status.st_size;
}

static void a_rotated_file_is_let_go(void **state)
{
    struct stage *stage = *state;
    char folder[] = "/tmp/sluice-log-XXXXXX";
    char path[64];
    char rotated[64];
    struct error err = {0};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/log", folder);
    (void)snprintf(rotated, sizeof rotated, "%s/log.1", folder);
    assert_true(log_open_file(path, LOG_FORMAT_JSON, LOG_INFO, &err));
    LOG_I(LOG_CONTROL, 10, "-", "one");
    long size = size_of(path);
    assert_true(size > 0);
    assert_int_equal(rename(path, rotated), 0);
    LOG_I(LOG_CONTROL, 11, "-", "one");
    assert_int_equal(size_of(rotated), 2 * size);
    assert_true(log_open_file(path, LOG_FORMAT_JSON, LOG_INFO, &err));
    LOG_I(LOG_CONTROL, 12, "-", "one");
    assert_int_equal(size_of(path), size);
    assert_false(log_open_file(folder, LOG_FORMAT_JSON, LOG_INFO, &err));
    assert_non_null(strstr(err.message, folder));
    LOG_I(LOG_CONTROL, 13, "-", "one"); /* the old place stays in use */
    assert_int_equal(size_of(path), 2 * size);
    log_configure(stage->write_end, LOG_FORMAT_JSON, LOG_INFO);
    assert_int_equal(unlink(path) + unlink(rotated) + rmdir(folder), 0);
}

static void *write_lines(void *unused)
{
    (void)unused;
    for (int i = 0; i < LINES; i++)
        LOG_I(LOG_CONTROL, 14, "thread", "line", LOG_INT("i", i));
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    pthread_t threads[THREADS];
    char line[LOG_LINE_MAX + 1];
    int lines = 0;
    assert_non_null(file);
    log_configure(fileno(file), LOG_FORMAT_JSON, LOG_INFO);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        (void)after_time(line);
        assert_string_equal(line + strlen(line) - 3, "}}\n");
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
    log_configure(STDOUT_FILENO, LOG_FORMAT_JSON, LOG_INFO);
    (void)fclose(file);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGED(json_has_the_form_of_mongodb),
        STAGED(text_says_the_same),
        STAGED(levels_above_the_set_one_are_silent),
        STAGED(long_lines_are_cut_and_say_so),
        STAGED(raw_json_over_several_lines_becomes_a_string),
        STAGED(a_closed_pipe_counts_and_does_not_kill),
        STAGED(a_stuck_pipe_does_not_block),
        STAGED(a_full_disk_counts),
        STAGED(a_rotated_file_is_let_go),
        STAGED(threads_do_not_mix_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
