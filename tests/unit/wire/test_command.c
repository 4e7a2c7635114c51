/* A parsed command: the fields of its body, its lists, and that all of it stays valid when the
 * message comes in parts or moves. */
#include "message.h"

#include "base/memory.h"
#include "wire/command.h"

static const uint8_t session_id[LSID_BYTES] = {1, 2,  3,  4,  5,  6,  7,  8,
                                               9, 10, 11, 12, 13, 14, 15, 0};

static void append_lsid(bson_t *body, bson_subtype_t subtype, uint32_t len)
{
    bson_t lsid;
    BSON_APPEND_DOCUMENT_BEGIN(body, "lsid", &lsid);
    BSON_APPEND_BINARY(&lsid, "id", subtype, session_id, len);
    bson_append_document_end(body, &lsid);
}

/* --- messages --- */

static struct message message_of(uint32_t flags, bson_t *body)
{
    struct message message = {.len = 0};
    message_add_i32(&message, (int32_t)flags);
    message_add_u8(&message, 0);
    message_add_document(&message, body);
    return message;
}

static void add_sequence(struct message *message, const char *name, int documents)
{
    size_t at = message->len + 1;
    message_add_u8(message, 1);
    message_add_i32(message, 0);
    message_add(message, name, strlen(name) + 1);
    for (int i = 0; i < documents; i++)
        message_add_document(message, BCON_NEW("_id", BCON_INT32(i)));
    bytes_store_i32(message->data + at, (int32_t)(message->len - at));
}

static void read_whole(const struct message *message, struct wire_command *command)
{
    struct error err = {0};
    if (!wire_command_read_whole(message_bytes(message), command, &err))
        fail_msg("%s", err.message);
    assert_true(wire_command_is_whole(command));
}

static void assert_text(struct bytes got, const char *want)
{
    assert_bytes_equal(got, want, strlen(want));
}

/* --- the body --- */

static void the_fields_of_a_statement(void **state)
{
    (void)state;
    struct wire_command command;
    bson_t *body = BCON_NEW("insert", "orders", "$db", "shop", "txnNumber", BCON_INT64(3),
                            "startTransaction", BCON_BOOL(true), "autocommit", BCON_BOOL(false));
    append_lsid(body, BSON_SUBTYPE_UUID, LSID_BYTES);
    struct message message = message_of(2, body);
    read_whole(&message, &command);
    assert_ptr_equal(command.body.pos, message.data + 5);
    assert_ptr_equal(command.body.end, message.data + message.len);
    assert_string_equal(command.name, "insert");
    assert_int_equal(command.name_len, 6);
    assert_int_equal(command.known, COMMAND_INSERT);
    assert_text(command.collection, "orders");
    assert_text(command.database, "shop");
    assert_true(command.has_database);
    assert_false(command.database_unclear);
    assert_non_null(command.lsid);
    assert_memory_equal(command.lsid, session_id, LSID_BYTES);
    assert_true(command.lsid_alone);
    assert_int_equal(command.number_kind, BSON_KIND_INT64);
    assert_int_equal(command.number, 3);
    assert_int_equal(command.flags, 2);
    assert_true(command.in_transaction);
    assert_true(command.starts_transaction);
    assert_false(command.legacy);
    assert_false(command.repeats_name);
    assert_int_equal(command.list_count, 0);
    assert_false(wire_command_has_sequences(&command));
}

static void absent_fields_are_absent(void **state)
{
    (void)state;
    struct wire_command command;
    struct message message = message_of(0, BCON_NEW("ping", BCON_INT32(1)));
    read_whole(&message, &command);
    assert_int_equal(bytes_left(&command.collection), 0);
    assert_int_equal(bytes_left(&command.database), 0);
    assert_false(command.has_database);
    assert_true(command.database_unclear);
    assert_null(command.lsid);
    assert_int_equal(command.number_kind, 0);
    assert_false(command.in_transaction);
    assert_false(command.starts_transaction);
    message = message_of(0, BCON_NEW("nothing known", "c"));
    read_whole(&message, &command);
    assert_int_equal(command.known, COMMAND_UNKNOWN);
    message = message_of(0, bson_new());
    read_whole(&message, &command);
    assert_int_equal(command.known, COMMAND_UNKNOWN);
    assert_string_equal(command.name, "");
}

static void wrong_types_are_not_read(void **state)
{
    (void)state;
    struct wire_command command;
    struct message message = message_of(
        0, BCON_NEW("find", BCON_INT32(1), "$db", BCON_INT32(1), "startTransaction", "true",
                    "autocommit", BCON_INT32(1), "lsid", "x", "txnNumber", "{", "}"));
    read_whole(&message, &command);
    assert_int_equal(bytes_left(&command.collection), 0);
    assert_int_equal(bytes_left(&command.database), 0);
    assert_true(command.database_unclear);
    assert_null(command.lsid);
    assert_int_equal(command.number_kind, BSON_KIND_OBJECT);
    assert_false(command.starts_transaction);
    assert_false(command.in_transaction);
}

/* The first field names the command, even if it has the name of an option. */
static void the_first_field_is_no_option(void **state)
{
    (void)state;
    struct wire_command command;
    struct message message = message_of(0, BCON_NEW("autocommit", BCON_BOOL(false), "$db", "shop"));
    read_whole(&message, &command);
    assert_string_equal(command.name, "autocommit");
    assert_false(command.in_transaction);
    message = message_of(0, BCON_NEW("$db", "shop"));
    read_whole(&message, &command);
    assert_false(command.has_database);
    message = message_of(0, BCON_NEW("documents", "[", "]"));
    read_whole(&message, &command);
    assert_int_equal(command.list_count, 0);
}

static void the_id_of_a_session_is_a_uuid(void **state)
{
    (void)state;
    static const struct {
        bson_subtype_t subtype;
        uint32_t len;
    } wrong[] = {{BSON_SUBTYPE_BINARY, LSID_BYTES},
                 {BSON_SUBTYPE_UUID_DEPRECATED, LSID_BYTES},
                 {BSON_SUBTYPE_UUID, LSID_BYTES - 1},
                 {BSON_SUBTYPE_UUID, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct wire_command command;
        bson_t *body = BCON_NEW("find", "c");
        append_lsid(body, wrong[i].subtype, wrong[i].len);
        struct message message = message_of(0, body);
        read_whole(&message, &command);
        assert_null(command.lsid);
    }
}

static void a_number_is_whole(void **state)
{
    (void)state;
    static const double numbers[] = {3, 3.5};
    for (size_t i = 0; i < 2; i++) {
        struct wire_command command;
        struct message message =
            message_of(0, BCON_NEW("insert", "c", "txnNumber", BCON_DOUBLE(numbers[i])));
        read_whole(&message, &command);
        assert_int_equal(command.number_kind, BSON_KIND_DOUBLE);
        assert_int_equal(command.number_is_whole, i == 0);
        if (i == 0)
            assert_int_equal(command.number, 3);
    }
}

/* Readers differ in which of two fields they take: that there are two is noted. */
static void repeated_fields_are_noted(void **state)
{
    (void)state;
    struct wire_command command;
    struct message message =
        message_of(0, BCON_NEW("insert", "a", "$db", "shop", "insert", "b", "$db", "other"));
    read_whole(&message, &command);
    assert_true(command.repeats_name);
    assert_text(command.collection, "a");
    assert_true(command.database_unclear);
    assert_text(command.database, "other");
    message = message_of(0, BCON_NEW("insert", "a", "inser", "b", "inserT", "c", "$db", "shop"));
    read_whole(&message, &command);
    assert_false(command.repeats_name);
    assert_false(command.database_unclear);
}

static bson_t *with_fields(int count)
{
    bson_t *body = BCON_NEW("insert", "orders");
    for (int i = 1; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        BSON_APPEND_INT32(body, name, i);
    }
    return body;
}

/* Also the fields behind the kept ones. */
static void all_fields_are_walked_over(void **state)
{
    (void)state;
    static const int counts[] = {1, WIRE_FIELDS_MAX - 1, WIRE_FIELDS_MAX, WIRE_FIELDS_MAX + 1, 300};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct wire_command command;
        struct wire_fields fields;
        struct scan_element field;
        struct message message = message_of(0, with_fields(counts[i]));
        read_whole(&message, &command);
        wire_fields_open(&fields, &command);
        for (int j = 0; j < counts[i]; j++) {
            char name[16];
            (void)snprintf(name, sizeof name, "f%d", j);
            assert_true(wire_fields_next(&fields, &field));
            assert_true(scan_name_is(&field, j == 0 ? "insert" : name));
            if (j > 0)
                assert_int_equal(bytes_load_i32(field.value.pos), j);
        }
        assert_false(wire_fields_next(&fields, &field));
        assert_true(wire_command_find(&command, counts[i] == 1 ? "insert" : "f1", &field));
        assert_int_equal(wire_command_find(&command, "f299", &field), counts[i] == 300);
        assert_false(wire_command_find(&command, "f", &field));
    }
}

static void too_many_fields_are_refused(void **state)
{
    (void)state;
    static uint8_t payload[1 << 20];
    for (size_t count = 65536; count <= 65537; count++) {
        struct wire_command command;
        struct error err = {0};
        size_t len = 9;
        memset(payload, 0, len);
        for (size_t i = 0; i < count; i++, len += 3)
            memcpy(payload + len,
                   "\x0A"
                   "a",
                   3);
        payload[len++] = 0;
        bytes_store_i32(payload + 5, (int32_t)(len - 5));
        assert_int_equal(wire_command_read_whole(bytes_of(payload, len), &command, &err),
                         count == 65536);
        assert_int_equal(err.code, count == 65536 ? ERROR_NONE : ERROR_FAILED_TO_PARSE);
    }
}

static void broken_bodies_are_refused(void **state)
{
    (void)state;
    struct message whole =
        message_of(0, BCON_NEW("insert", "orders", "$db", "shop", "autocommit", BCON_BOOL(false)));
    for (size_t len = 0; len < whole.len; len++) {
        struct wire_command command;
        struct error err = {0};
        uint8_t *cut = memory_alloc(len + 1);
        assert_non_null(cut);
        memcpy(cut, whole.data, len);
        assert_false(wire_command_read_whole(bytes_of(cut, len), &command, &err));
        assert_int_equal(err.code, ERROR_PROTOCOL);
        /* the same with a length and an end that pretend it is whole */
        if (len >= 10) {
            err = (struct error){0};
            bytes_store_i32(cut + 5, (int32_t)(len - 5));
            cut[len - 1] = 0;
            if (!wire_command_read_whole(bytes_of(cut, len), &command, &err))
                assert_int_equal(err.code, ERROR_INVALID_BSON);
        }
        memory_free(cut);
    }
}

/* --- lists --- */

static void lists_are_found(void **state)
{
    (void)state;
    struct wire_command command;
    struct list_walk walk;
    struct bytes item;
    struct message message = message_of(0, BCON_NEW("bulkWrite", BCON_INT32(1), "$db", "admin"));
    add_sequence(&message, "ops", 3);
    add_sequence(&message, "nsInfo", 0);
    read_whole(&message, &command);
    assert_true(wire_command_has_sequences(&command));
    assert_int_equal(command.list_count, 2);
    assert_false(command.lists_left_out);
    assert_string_equal(command.lists[0].name, "ops");
    assert_int_equal(command.lists[0].name_len, 3);
    assert_string_equal(command.lists[1].name, "nsInfo");
    assert_int_equal(bytes_left(&command.lists[1].content), 0);
    assert_ptr_equal(wire_command_sequence(&command, 1), &command.lists[1]);
    assert_null(wire_command_sequence(&command, 2));
    list_walk_open(&walk, &command.lists[0]);
    for (int i = 0; i < 3; i++) {
        assert_true(list_walk_next(&walk, &item));
        assert_int_equal(bytes_load_i32(item.end - 5), i);
        assert_int_equal(walk.kind, BSON_KIND_OBJECT);
    }
    assert_false(list_walk_next(&walk, &item));
    assert_true(list_walk_is_whole(&walk));
}

static void arrays_of_the_body_are_lists(void **state)
{
    (void)state;
    struct wire_command command;
    struct list_walk walk;
    struct bytes item;
    struct message message =
        message_of(0, BCON_NEW("insert", "c", "documents", "[", "{", "}", BCON_INT32(5), "]",
                               "updates", "{", "}", "ops", BCON_INT32(1), "other", "[", "]"));
    read_whole(&message, &command);
    assert_int_equal(command.list_count, 2);
    assert_true(command.lists[0].in_body);
    assert_int_equal(command.lists[0].name_len, strlen("documents"));
    assert_int_equal(command.lists[1].name_len, strlen("updates"));
    assert_null(wire_command_sequence(&command, 0));
    assert_ptr_equal(wire_command_list_of(&command, command.lists[1].content), &command.lists[1]);
    assert_null(wire_command_list_of(&command, command.body));
    list_walk_open(&walk, &command.lists[0]);
    assert_true(list_walk_next(&walk, &item));
    assert_int_equal(walk.kind, BSON_KIND_OBJECT);
    assert_true(list_walk_next(&walk, &item));
    assert_int_equal(walk.kind, BSON_KIND_INT32);
    assert_int_equal(walk.name_len, 1);
    assert_int_equal(walk.name[0], '1');
    assert_false(list_walk_next(&walk, &item));
    assert_true(list_walk_is_whole(&walk));
}

static void more_sequences_are_known_of(void **state)
{
    (void)state;
    struct wire_command command;
    for (int count = 0; count < 9; count++) {
        struct message message = message_of(0, BCON_NEW("insert", "c"));
        for (int i = 0; i < count; i++)
            add_sequence(&message, "documents", i);
        read_whole(&message, &command);
        assert_int_equal(command.lists_left_out, count > WIRE_SECTIONS_MAX - 1);
        assert_int_equal(command.list_count,
                         count < WIRE_SECTIONS_MAX ? count : WIRE_SECTIONS_MAX - 1);
    }
}

/* Drivers append it behind the documents. */
static void telemetry_is_found_and_is_no_list(void **state)
{
    (void)state;
    struct wire_command command;
    struct message message = message_of(0, BCON_NEW("insert", "c"));
    for (int lists = 0; lists < 2; lists++) {
        struct message whole = message;
        size_t at = whole.len + 1;
        message_add_u8(&whole, 3);
        message_add_document(&whole, BCON_NEW("otel", "{", "traceparent", "x", "}"));
        read_whole(&whole, &command);
        assert_int_equal(command.list_count, lists);
        assert_int_equal(command.section_count, lists + 2);
        assert_int_equal(command.sections[lists + 1].kind, WIRE_SECTION_TELEMETRY);
        assert_ptr_equal(command.telemetry.pos, whole.data + at);
        assert_int_equal(bytes_left(&command.telemetry), whole.len - at);
        assert_int_equal(wire_command_has_sequences(&command), lists > 0);
        struct message elsewhere = whole;
        wire_command_move(&command, message_bytes(&elsewhere));
        assert_ptr_equal(command.telemetry.pos, elsewhere.data + at);
        add_sequence(&message, "documents", 2);
    }
}

/* --- how it comes --- */

static void assert_same(const struct wire_command *a, const struct wire_command *b)
{
    assert_int_equal(a->field_count, b->field_count);
    assert_int_equal(a->known, b->known);
    assert_string_equal(a->name, b->name);
    assert_bytes_equal(a->database, b->database.pos, bytes_left(&b->database));
    assert_bytes_equal(a->collection, b->collection.pos, bytes_left(&b->collection));
    assert_bytes_equal(a->body, b->body.pos, bytes_left(&b->body));
    assert_memory_equal(a->lsid, b->lsid, LSID_BYTES);
}

/* With the checksum's flag: the lists end before the checksum. */
static void add_insert(struct message *message)
{
    bson_t *body = BCON_NEW("insert", "orders", "$db", "shop", "documents", "[", "{", "}", "]");
    append_lsid(body, BSON_SUBTYPE_UUID, LSID_BYTES);
    *message = message_of(1, body);
    add_sequence(message, "documents", 2);
    message_add_i32(message, 0);
}

static void a_command_is_read_as_it_comes(void **state)
{
    (void)state;
    struct message message;
    struct wire_command whole;
    add_insert(&message);
    read_whole(&message, &whole);
    assert_int_equal(whole.list_count, 2);
    assert_ptr_equal(whole.lists[0].content.end, message.data + message.len - 4);
    for (size_t have = 0; have < message.len; have++) {
        struct wire_walk walk;
        struct wire_command part;
        wire_walk_start(&walk, (uint32_t)message.len);
        assert_true(wire_walk_feed(&walk, message.data, have, NULL));
        if (!walk.body_found || walk.body_length > have - walk.body_offset)
            continue;
        /* exactly the received bytes: a sanitizer finds a read past the end */
        uint8_t *come = memory_alloc(have);
        assert_non_null(come);
        memcpy(come, message.data, have);
        assert_true(wire_command_read(&walk, bytes_of(come, have), message.len, &part, NULL));
        assert_false(wire_command_is_whole(&part));
        assert_true(wire_command_has_sequences(&part));
        assert_same(&part, &whole);
        /* a sequence stands there once it has come to its end */
        assert_int_equal(part.list_count, have < message.len - 4 ? 1 : 2);
        assert_true(wire_walk_feed(&walk, message.data + have, message.len - have, NULL));
        wire_command_come(&part, &walk, message_bytes(&message));
        memory_free(come);
        assert_true(wire_command_is_whole(&part));
        assert_same(&part, &whole);
        assert_int_equal(part.list_count, 2);
        for (size_t i = 0; i < 2; i++) {
            assert_ptr_equal(part.lists[i].content.pos, whole.lists[i].content.pos);
            assert_ptr_equal(part.lists[i].name, whole.lists[i].name);
        }
        assert_int_equal(part.section_count, 2);
    }
}

static void a_command_moves_with_its_message(void **state)
{
    (void)state;
    struct message message;
    struct wire_command whole;
    add_insert(&message);
    read_whole(&message, &whole);
    struct wire_command moved = whole;
    uint8_t *copy = memory_alloc(message.len);
    assert_non_null(copy);
    memcpy(copy, message.data, message.len);
    wire_command_move(&moved, bytes_of(copy, message.len));
    assert_ptr_equal(moved.body.pos, copy + 5);
    assert_same(&moved, &whole);
    for (size_t i = 0; i < moved.list_count; i++)
        assert_int_equal(moved.lists[i].content.pos - copy,
                         whole.lists[i].content.pos - message.data);
    memory_free(copy);
    /* nothing of it points to the message that is gone, where there is nothing to point to */
    message = message_of(0, BCON_NEW("", BCON_INT32(1)));
    read_whole(&message, &moved);
    wire_command_move(&moved, message_bytes(&message));
    assert_string_equal(moved.name, "");
}

static void a_legacy_command_has_its_database_beside_it(void **state)
{
    (void)state;
    struct wire_command command;
    bson_t *body = BCON_NEW("isMaster", BCON_INT32(1));
    assert_true(wire_command_read_legacy(bson_bytes(body), bytes_of("admin", 5), &command, NULL));
    assert_true(command.legacy);
    assert_int_equal(command.known, COMMAND_IS_MASTER);
    assert_text(command.database, "admin");
    assert_int_equal(command.flags, 0);
    assert_false(wire_command_has_sequences(&command));
    bson_destroy(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fields_of_a_statement),
        cmocka_unit_test(absent_fields_are_absent),
        cmocka_unit_test(wrong_types_are_not_read),
        cmocka_unit_test(the_first_field_is_no_option),
        cmocka_unit_test(the_id_of_a_session_is_a_uuid),
        cmocka_unit_test(a_number_is_whole),
        cmocka_unit_test(repeated_fields_are_noted),
        cmocka_unit_test(all_fields_are_walked_over),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(broken_bodies_are_refused),
        cmocka_unit_test(lists_are_found),
        cmocka_unit_test(arrays_of_the_body_are_lists),
        cmocka_unit_test(more_sequences_are_known_of),
        cmocka_unit_test(telemetry_is_found_and_is_no_list),
        cmocka_unit_test(a_command_is_read_as_it_comes),
        cmocka_unit_test(a_command_moves_with_its_message),
        cmocka_unit_test(a_legacy_command_has_its_database_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
