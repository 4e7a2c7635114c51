/* OP_QUERY and OP_REPLY as far as they are still spoken. */
#include "message.h"
#include "wire/query.h"

static void make_query(struct message *payload, const char *ns, bson_t *command)
{
    *payload = (struct message){0};
    message_add_i32(payload, 4);
    message_add(payload, ns, strlen(ns) + 1);
    message_add_i32(payload, 0);
    message_add_i32(payload, -1);
    message_add_document(payload, command);
}

static bson_t *is_master(void)
{
    return BCON_NEW("isMaster", BCON_INT32(1), "helloOk", BCON_BOOL(true));
}

static void assert_command_is(const struct wire_query *query, bson_t *want)
{
    assert_bytes_equal(query->command, bson_get_data(want), want->len);
    bson_destroy(want);
}

static void a_hello(void **state)
{
    (void)state;
    struct message payload;
    struct wire_query query;
    make_query(&payload, "admin.$cmd", is_master());
    assert_true(wire_query_read(message_bytes(&payload), &query, NULL));
    assert_int_equal(query.flags, 4);
    assert_bytes_equal(query.database, "admin", 5);
    assert_command_is(&query, is_master());
}

static void what_follows_the_command_is_not_part_of_it(void **state)
{
    (void)state;
    struct message payload;
    struct wire_query query;
    make_query(&payload, "db.with.dots.$cmd", is_master());
    message_add_document(&payload, BCON_NEW("_id", BCON_INT32(1)));
    assert_true(wire_query_read(message_bytes(&payload), &query, NULL));
    assert_bytes_equal(query.database, "db.with.dots", 12);
    assert_command_is(&query, is_master());
}

static void a_wrapped_command_is_opened(void **state)
{
    (void)state;
    static const char *const names[] = {"$query", "query"};
    for (size_t i = 0; i < 2; i++) {
        struct message payload;
        struct wire_query query;
        make_query(&payload, "admin.$cmd",
                   BCON_NEW(names[i], "{", "isMaster", BCON_INT32(1), "helloOk", BCON_BOOL(true),
                            "}", "$readPreference", "{", "mode", "secondary", "}"));
        assert_true(wire_query_read(message_bytes(&payload), &query, NULL));
        assert_command_is(&query, is_master());
    }
}

static void only_a_document_in_front_is_a_wrapper(void **state)
{
    (void)state;
    struct message payload;
    struct wire_query query;
    make_query(&payload, "admin.$cmd", BCON_NEW("query", BCON_INT32(1)));
    assert_true(wire_query_read(message_bytes(&payload), &query, NULL));
    assert_command_is(&query, BCON_NEW("query", BCON_INT32(1)));
    make_query(&payload, "admin.$cmd", BCON_NEW("ping", BCON_INT32(1), "query", "{", "}"));
    assert_true(wire_query_read(message_bytes(&payload), &query, NULL));
    assert_command_is(&query, BCON_NEW("ping", BCON_INT32(1), "query", "{", "}"));
}

static void every_other_collection_is_a_find(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",       ".$cmd",       "$cmd",     "admin",
                                        "db.$cm", "db.$cmd.sys", "db.$cmdx", "shop.orders"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct message payload;
        struct wire_query query;
        make_query(&payload, wrong[i], is_master());
        assert_true(wire_query_read(message_bytes(&payload), &query, NULL));
        assert_true(query.is_find);
        assert_int_equal(bytes_left(&query.command), 0);
    }
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct message payload;
    struct wire_query query;
    make_query(&payload, "admin.$cmd", is_master());
    for (size_t len = 0; len < payload.len; len++) {
        struct error err = {0};
        uint8_t *exact = malloc(len == 0 ? 1 : len);
        assert_non_null(exact);
        memcpy(exact, payload.data, len);
        assert_false(wire_query_read(bytes_of(exact, len), &query, &err));
        assert_int_equal(err.code, ERROR_PROTOCOL);
        assert_string_equal(err.message, "OP_QUERY is malformed");
        free(exact);
    }
}

static void make_reply(struct message *payload, bson_t *document)
{
    *payload = (struct message){0};
    message_add_i32(payload, 8);
    message_add_i32(payload, 0);
    message_add_i32(payload, 0);
    message_add_i32(payload, 0);
    message_add_i32(payload, 1);
    message_add_document(payload, document);
}

static void a_replys_first_document_is_found(void **state)
{
    (void)state;
    struct message payload;
    struct bytes document;
    bson_t *want = is_master();
    make_reply(&payload, is_master());
    message_add_document(&payload, BCON_NEW("second", BCON_INT32(1)));
    assert_true(wire_reply_read(message_bytes(&payload), &document, NULL));
    assert_bytes_equal(document, bson_get_data(want), want->len);
    bson_destroy(want);
}

static void every_cut_reply_is_noticed(void **state)
{
    (void)state;
    struct message payload;
    struct bytes document;
    make_reply(&payload, is_master());
    while (payload.len-- > 0) {
        struct error err = {0};
        assert_false(wire_reply_read(message_bytes(&payload), &document, &err));
        assert_string_equal(err.message, "OP_REPLY is malformed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello),
        cmocka_unit_test(what_follows_the_command_is_not_part_of_it),
        cmocka_unit_test(a_wrapped_command_is_opened),
        cmocka_unit_test(only_a_document_in_front_is_a_wrapper),
        cmocka_unit_test(every_other_collection_is_a_find),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(a_replys_first_document_is_found),
        cmocka_unit_test(every_cut_reply_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
