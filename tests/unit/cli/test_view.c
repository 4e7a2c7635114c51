/* Screens of `mongosluice status` and `top`. */
#include "../json_document.h"

#include <string.h>

#include "cli/view.h"

static const char sample[] =
    "{\"version\":\"1.2.3\",\"uptime_ms\":7320000,\"state\":\"running\",\"ready\":true,\"reason\":"
    "\"\","
    "\"upstream\":{\"kind\":\"replica set\",\"set_name\":\"rs0\",\"servers\":["
    "{\"address\":\"db1:27017\",\"type\":\"RSPrimary\",\"error\":\"\"},"
    "{\"address\":\"db2:27017\",\"type\":\"Unknown\",\"error\":\"connection refused\"}]},"
    "\"connections\":{\"clients\":3,\"clients_max\":100,\"upstream\":3,\"phases\":{\"running\":1,"
    "\"connecting\":0,\"paused\":1},\"oldest_wait_ms\":1500},"
    "\"memory\":{\"resident_bytes\":11534336,\"buffer_bytes\":0,\"buffer_limit_bytes\":536870912},"
    "\"descriptors\":{\"open\":20,\"max\":1024},"
    "\"validation\":{\"refused\":12,\"warned\":34,\"refusals\":[{\"ns\":\"shop.orders\",\"at_ms\":"
    "1000,"
    "\"warned\":false,\"reason\":\"required: 'total' \\u001b[31mis missing\"},"
    "{\"ns\":\"shop.carts\",\"at_ms\":2000,\"warned\":true,\"reason\":\"minimum: 'n'\"}]},"
    "\"now\":{\"requests\":12345.6,\"request_bytes\":2048,\"reply_bytes\":100,\"latency_p50_ms\":0."
    "42,"
    "\"latency_p95_ms\":1.5,\"latency_p99_ms\":12345.0,\"passed\":5.5,\"refused\":1,\"warned\":2,"
    "\"batches\":0,"
    "\"batch_documents\":0,\"errors\":0},"
    "\"samples\":{\"columns\":[\"at_ms\",\"requests\"],\"rows\":[[1,0],[2,5],[3,10]]}}";

static struct text show(const char *json, const char *connections,
                        const struct view_options *options)
{
    struct text out = text_growing();
    bson_t *status = support_json(json);
    bson_t *list = connections == NULL ? NULL : support_json(connections);
    struct bytes page = list == NULL ? (struct bytes){0} : support_bytes(list);
    const struct view_input input = {
        .status = support_bytes(status), .connections = &page, .page_count = list != NULL};
    (void)view_write(&input, options, &out);
    bson_destroy(status);
    if (list != NULL)
        bson_destroy(list);
    assert_false(out.cut);
    return out;
}

static void figures_are_there(void **state)
{
    (void)state;
    static const char *const words[] = {
        "mongosluice 1.2.3   rs0   running   up 2 h 2 min",
        "12.3k/s   in 2.0 KiB/s   out 100 B/s",
        "p50 0.42 ms   p95 1.50 ms   p99 12.3 s",
        "5.5/s passed   2/s warned   1/s refused   in all 34 warned, 12 refused",
        "refused  shop.orders",
        "warned   shop.carts",
        "3 of 100   1 running   1 waiting, the oldest 1500 ms",
        "11.0 MiB   buffers 0 B of 512 MiB",
        "connection refused",
        "shop.orders"};
    struct view_options plain = {0};
    struct text out = show(sample, NULL, &plain);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(out.data, words[i]) == NULL)
            fail_msg("'%s' is not in:\n%s", words[i], out.data);
    assert_null(strchr(out.data, '\033')); /* nor the one of the reason */
    text_release(&out);
}

static size_t columns_of(const char *line, size_t len)
{
    size_t columns = 0;
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\033') {
            while (line[i] != 'm')
                i++;
            continue;
        }
        columns += ((unsigned char)line[i] & 0xC0) != 0x80;
    }
    return columns;
}

/* Whatever the size of the terminal, no line is wider, and there are not more of them. */
static void a_screen_fits_its_terminal(void **state)
{
    (void)state;
    static const char list[] =
        "{\"connections\":[{\"id\":1,\"remote\":\"127.0.0.1:5\",\"state\":\"running\","
        "\"command\":\"find\",\"state_ms\":3,\"identity\":\"ada@admin\"}]}";
    for (size_t width = 1; width < 140; width += 3) {
        for (size_t rows = 1; rows < 30; rows += 4) {
            struct view_options options = {
                .screen = {.width = width, .rows = rows, .colour = true, .history = true}};
            struct text out = show(sample, list, &options);
            size_t lines = 0;
            const char *end = NULL;
            for (const char *line = out.data; (end = strchr(line, '\n')) != NULL; line = end + 1) {
                lines++;
                assert_true(columns_of(line, (size_t)(end - line)) <= width);
            }
            assert_true(lines <= rows);
            text_release(&out);
        }
    }
}

static void the_last_minutes_are_a_curve(void **state)
{
    (void)state;
    struct view_options options = {.screen = {.width = 120, .history = true}};
    struct text out = show(sample, NULL, &options);
    assert_non_null(strstr(out.data, " ▄█"));
    text_release(&out);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    struct view_options plain = {0};
    bson_t *bson = support_json("{\"state\":\"running\",\"ready\":false,\"reason\":\"no server\"}");
    assert_false(view_is_ready(support_bytes(bson)));
    bson_destroy(bson);
    struct text out =
        show("{\"state\":\"running\",\"ready\":false,\"reason\":\"no server\"}", NULL, &plain);
    assert_non_null(strstr(out.data, "not ready"));
    assert_non_null(strstr(out.data, "no server"));
    text_release(&out);
}

/* An answer of something else, or of another version. */
static void missing_fields_are_zeros(void **state)
{
    (void)state;
    struct view_options options = {.screen = {.width = 80, .rows = 24, .history = true}};
    struct text out = show("{}", "{\"connections\":7}", &options);
    assert_non_null(strstr(out.data, "requests"));
    text_release(&out);
    out = show("{\"upstream\":[],\"samples\":{\"columns\":3,\"rows\":{}}}", "{}", &options);
    text_release(&out);
}

static const char people[] =
    "{\"clients\":3,\"connections\":["
    "{\"id\":9,\"remote\":\"c:1\",\"state\":\"idle\",\"command\":\"\",\"state_ms\":5,"
    "\"identity\":\"bob\"},"
    "{\"id\":10,\"remote\":\"a:1\",\"state\":\"running\",\"command\":\"find\",\"state_ms\":70,"
    "\"identity\":\"ada\"},"
    "{\"id\":11,\"remote\":\"b:1\",\"state\":\"running\",\"command\":\"aggregate\",\"state_ms\":6,"
    "\"identity\":\"cy\"}]}";

/* The clients in the order in which they stand on the screen: "abc". */
static void assert_order(enum view_order order, bool reversed, const char *expected)
{
    const struct view_options options = {.order = order, .reversed = reversed};
    char found[4] = "";
    struct text out = show(sample, people, &options);
    const char *at = strstr(out.data, "CONNECTIONS");
    assert_non_null(at);
    for (size_t i = 0; i < 3; i++) {
        at = strstr(at, ":1 ");
        assert_non_null(at);
        found[i] = at[-1];
        at++;
    }
    assert_string_equal(found, expected);
    text_release(&out);
}

static void connections_are_sorted(void **state)
{
    (void)state;
    assert_order(VIEW_BY_ID, false, "cab");
    assert_order(VIEW_BY_ID, true, "bac");
    assert_order(VIEW_BY_CLIENT, false, "abc");
    assert_order(VIEW_BY_STATE, false, "cab");
    assert_order(VIEW_BY_COMMAND, false, "cba");
    assert_order(VIEW_BY_TIME, false, "abc");
    assert_order(VIEW_BY_TIME, true, "cba");
    assert_order(VIEW_BY_USER, false, "acb");
}

/* Every line comes to the screen, below the head, which stays. */
static void a_screen_scrolls(void **state)
{
    (void)state;
    struct view_options options = {0};
    struct text whole = show(sample, people, &options);
    const char *rest = strchr(whole.data, '\n') + 2; /* the head and an empty line */
    options.screen.rows = 6;
    for (; *rest != 0; rest = strchr(rest, '\n') + 1, options.screen.skip++) {
        struct text part = show(sample, people, &options);
        assert_memory_equal(part.data, whole.data, strlen("mongosluice 1.2.3   rs0   running"));
        const char *first = strchr(part.data, '\n') + 2;
        assert_memory_equal(first, rest, (size_t)(strchr(rest, '\n') - rest) + 1);
        text_release(&part);
    }
    assert_true(options.screen.skip > 15);
    struct text none = show(sample, people, &options);
    assert_int_equal(strlen(none.data), strchr(none.data, '\n') + 2 - none.data);
    text_release(&none);
    text_release(&whole);
}

static void pools_are_listed(void **state)
{
    (void)state;
    static const char *const words[] = {"POOLS",
                                        "ada@shop",
                                        "till",
                                        "db1:27017",
                                        "3 idle  2 leased  0 own  4 wait, the oldest 1500 ms",
                                        "(nobody)"};
    bson_t *status = support_json(sample);
    bson_t *pools = support_json(
        "{\"pools\":[{\"kind\":\"users\",\"users\":\"ada@shop\",\"application\":\"till\","
        "\"server\":\"db1:27017\",\"size\":5,\"idle\":3,\"leased\":2,\"waiting\":4,"
        "\"oldest_wait_ms\":1500},{\"kind\":\"nobody\",\"size\":1},"
        "{\"kind\":\"users\",\"users\":\"eve@shop\",\"size\":0}]}");
    const struct view_input input = {.status = support_bytes(status),
                                     .pools = support_bytes(pools)};
    const struct view_options options = {0};
    struct text out = text_growing();
    (void)view_write(&input, &options, &out);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(out.data, words[i]) == NULL)
            fail_msg("'%s' is not in:\n%s", words[i], out.data);
    assert_null(strstr(out.data, "eve@shop")); /* an empty pool */
    text_release(&out);
    bson_destroy(pools);
    bson_destroy(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_there),
        cmocka_unit_test(a_screen_fits_its_terminal),
        cmocka_unit_test(the_last_minutes_are_a_curve),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(missing_fields_are_zeros),
        cmocka_unit_test(connections_are_sorted),
        cmocka_unit_test(a_screen_scrolls),
        cmocka_unit_test(pools_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
