/* The walk over the sections of an OP_MSG: the same verdict however the bytes arrive. */
#include "message.h"
#include "wire/sections.h"

static void add_body(struct message *message)
{
    message_add_u8(message, 0);
    message_add_document(message, BCON_NEW("ping", BCON_INT32(1), "$db", "admin"));
}

static void add_sequence(struct message *message, const char *name, size_t documents)
{
    size_t at = message->len + 1;
    message_add_u8(message, 1);
    message_add_i32(message, 0);
    message_add(message, name, strlen(name) + 1);
    for (size_t i = 0; i < documents; i++)
        message_add_document(message, BCON_NEW("_id", BCON_INT32((int32_t)i)));
    bytes_store_i32(message->data + at, (int32_t)(message->len - at));
}

static bool feed(struct wire_walk *walk, const uint8_t *data, size_t len, struct error *err)
{
    /* a copy of exactly that size: a sanitizer sees a read past the piece */
    uint8_t *piece = malloc(len == 0 ? 1 : len);
    assert_non_null(piece);
    memcpy(piece, data, len);
    bool ok = wire_walk_feed(walk, piece, len, err);
    free(piece);
    return ok;
}

/* Feeds the message cut at `first` and at `second`; stops at a break. */
static bool feed_cut(struct wire_walk *walk, const struct message *message, size_t first,
                     size_t second, struct error *err)
{
    const uint8_t *data = message->data;
    wire_walk_start(walk, (uint32_t)message->len);
    return feed(walk, data, first, err) && feed(walk, data + first, second - first, err) &&
           feed(walk, data + second, message->len - second, err);
}

static bool feed_bytes(struct wire_walk *walk, const struct message *message, struct error *err)
{
    wire_walk_start(walk, (uint32_t)message->len);
    for (size_t i = 0; i < message->len; i++)
        if (!feed(walk, message->data + i, 1, err))
            return false;
    return true;
}

static void assert_walks_equal(const struct wire_walk *a, const struct wire_walk *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->left, b->left);
    assert_int_equal(a->body_found, b->body_found);
    assert_int_equal(a->body_offset, b->body_offset);
    assert_int_equal(a->body_length, b->body_length);
}

/* Whole, byte by byte, and cut at every pair of places: one verdict, one error. */
static bool walk_every_way(const struct message *message, struct wire_walk *walk, struct error *err)
{
    struct wire_walk other;
    struct error cause;
    bool ok = feed_cut(walk, message, message->len, message->len, err);
    for (size_t first = 0; first <= message->len; first++) {
        for (size_t second = first; second <= message->len; second++) {
            cause = (struct error){0};
            assert_int_equal(feed_cut(&other, message, first, second, &cause), ok);
            assert_walks_equal(&other, walk);
            assert_string_equal(cause.message, err->message);
        }
    }
    cause = (struct error){0};
    assert_int_equal(feed_bytes(&other, message, &cause), ok);
    assert_walks_equal(&other, walk);
    assert_string_equal(cause.message, err->message);
    return ok;
}

static void assert_good(const struct message *message, uint32_t flags, size_t body_offset)
{
    struct wire_walk walk;
    struct error err = {0};
    struct bytes body;
    uint32_t found = 0;
    assert_true(walk_every_way(message, &walk, &err));
    assert_int_equal(walk.state, WIRE_WALK_DONE);
    assert_int_equal(walk.flags, flags);
    assert_int_equal(walk.left, 0);
    assert_true(walk.body_found);
    assert_int_equal(walk.body_offset, body_offset);
    assert_int_equal(walk.body_length, bytes_load_i32(message->data + body_offset));
    assert_true(wire_sections_find_body(message_bytes(message), &body, &found, &err));
    assert_ptr_equal(body.pos, message->data + body_offset);
    assert_int_equal(bytes_left(&body), walk.body_length);
    assert_int_equal(found, flags);
}

static void assert_broken(const struct message *message, const char *why)
{
    struct wire_walk walk;
    struct error err = {0};
    struct bytes body;
    uint32_t flags = 0;
    assert_false(walk_every_way(message, &walk, &err));
    assert_int_equal(walk.state, WIRE_WALK_BROKEN);
    assert_int_equal(err.code, ERROR_PROTOCOL);
    assert_non_null(strstr(err.message, why));
    assert_false(wire_sections_find_body(message_bytes(message), &body, &flags, NULL));
}

static void a_body_alone(void **state)
{
    (void)state;
    struct message message = {0};
    message_add_i32(&message, 0);
    add_body(&message);
    assert_good(&message, 0, 5);
}

static void the_smallest_message(void **state)
{
    (void)state;
    struct message message = {0};
    message_add_i32(&message, WIRE_FLAG_MORE_TO_COME);
    message_add_u8(&message, 0);
    message_add_document(&message, bson_new());
    assert_int_equal(message.len, 10);
    assert_good(&message, WIRE_FLAG_MORE_TO_COME, 5);
}

static void sequences_before_and_after_the_body(void **state)
{
    (void)state;
    struct message message = {0};
    message_add_i32(&message, WIRE_FLAG_EXHAUST_ALLOWED);
    add_sequence(&message, "documents", 2);
    size_t body = message.len + 1;
    add_body(&message);
    add_sequence(&message, "ops", 0);
    add_sequence(&message, "", 0);
    assert_good(&message, WIRE_FLAG_EXHAUST_ALLOWED, body);
}

static void a_checksum_ends_it(void **state)
{
    (void)state;
    struct message message = {0};
    message_add_i32(&message, WIRE_FLAG_CHECKSUM_PRESENT);
    add_body(&message);
    add_sequence(&message, "documents", 1);
    message_add_i32(&message, 0x00010203); /* could be taken for a section */
    assert_good(&message, WIRE_FLAG_CHECKSUM_PRESENT, 5);
}

static void optional_flag_bits_are_ignored(void **state)
{
    (void)state;
    struct message message = {0};
    message_add_i32(&message, (int32_t)0xFFFF0002);
    add_body(&message);
    assert_good(&message, 0xFFFF0002U, 5);
}

static void required_flag_bits_must_be_known(void **state)
{
    (void)state;
    for (unsigned bit = 2; bit < 16; bit++) {
        struct message message = {0};
        message_add_i32(&message, (int32_t)(1U << bit));
        add_body(&message);
        assert_broken(&message, "required flag bits");
    }
}

static void there_is_one_body(void **state)
{
    (void)state;
    struct message none = {0};
    message_add_i32(&none, 0);
    add_sequence(&none, "documents", 1);
    assert_broken(&none, "no body section");
    struct message two = {0};
    message_add_i32(&two, 0);
    add_body(&two);
    add_sequence(&two, "documents", 1);
    add_body(&two);
    assert_broken(&two, "a second body section");
}

static void kinds_are_0_1_and_3(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {2, 4, 0x7F, 0x80, 0xFF};
    for (size_t i = 0; i < sizeof kinds; i++) {
        struct message message = {0};
        message_add_i32(&message, 0);
        add_body(&message);
        message_add_u8(&message, kinds[i]);
        message_add_i32(&message, 5);
        message_add_u8(&message, 0);
        assert_broken(&message, "unknown section kind");
    }
}

static void add_telemetry(struct message *message)
{
    message_add_u8(message, 3);
    message_add_document(message, BCON_NEW("otel", "{", "traceparent", "x", "}"));
}

static void there_is_at_most_one_telemetry_section(void **state)
{
    (void)state;
    struct message message = {0};
    message_add_i32(&message, 0);
    add_body(&message);
    add_telemetry(&message);
    assert_good(&message, 0, 5);
    add_sequence(&message, "documents", 1);
    assert_good(&message, 0, 5);
    add_telemetry(&message);
    assert_broken(&message, "a second telemetry section");
}

static void sizes_that_lie(void **state)
{
    (void)state;
    static const struct {
        int32_t size;
        const char *why;
    } lies[] = {{INT32_MIN, "longer than the message"},
                {-1, "longer than the message"},
                {0, "too small"},
                {4, "too small"},
                {6, "longer than the message"},
                {INT32_MAX, "longer than the message"}};
    for (uint8_t kind = 0; kind <= 3; kind = kind == 1 ? 3 : kind + 1) {
        for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
            struct message message = {0};
            message_add_i32(&message, 0);
            message_add_u8(&message, kind);
            message_add_i32(&message, lies[i].size);
            message_add_u8(&message, 0);
            assert_broken(&message, lies[i].why);
        }
    }
}

static void a_section_does_not_reach_into_the_checksum(void **state)
{
    (void)state;
    for (size_t cut = 1; cut <= 4; cut++) {
        struct message message = {0};
        message_add_i32(&message, WIRE_FLAG_CHECKSUM_PRESENT);
        add_body(&message);
        message_add_i32(&message, 77);
        message.len -= cut;
        assert_broken(&message, "longer than the message");
    }
}

static void no_room_for_the_checksum(void **state)
{
    (void)state;
    struct message flags_only = {0};
    message_add_i32(&flags_only, WIRE_FLAG_CHECKSUM_PRESENT);
    assert_broken(&flags_only, "no room for the checksum");
    message_add_i32(&flags_only, 0);
    assert_broken(&flags_only, "no body section");
}

/* Every message that ends early is broken, in its last byte at the latest. */
static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct message whole = {0};
    message_add_i32(&whole, 0);
    add_sequence(&whole, "documents", 1);
    add_body(&whole);
    size_t body_end = whole.len;
    add_sequence(&whole, "more", 1);
    for (size_t len = 1; len < whole.len; len++) {
        struct message cut = whole;
        struct wire_walk walk;
        struct error err = {0};
        cut.len = len;
        assert_int_equal(walk_every_way(&cut, &walk, &err), len == body_end);
    }
}

static void what_follows_the_message_is_not_looked_at(void **state)
{
    (void)state;
    struct message message = {0};
    struct wire_walk walk;
    message_add_i32(&message, 0);
    add_body(&message);
    uint32_t len = (uint32_t)message.len;
    message_add_u8(&message, 0xFF);
    message_add_u8(&message, 0xFF);
    wire_walk_start(&walk, len);
    assert_true(wire_walk_feed(&walk, message.data, message.len, NULL));
    assert_int_equal(walk.state, WIRE_WALK_DONE);
    assert_true(wire_walk_feed(&walk, message.data + len, 2, NULL));
    assert_int_equal(walk.state, WIRE_WALK_DONE);
}

static void a_broken_walk_stays_broken(void **state)
{
    (void)state;
    struct wire_walk walk;
    struct error err = {0};
    static const uint8_t bad[] = {0, 0, 0, 0, 9};
    static const uint8_t good[] = {0, 5, 0, 0, 0, 0};
    wire_walk_start(&walk, 100);
    assert_false(wire_walk_feed(&walk, bad, sizeof bad, &err));
    assert_false(wire_walk_feed(&walk, good, sizeof good, &err));
    assert_int_equal(walk.state, WIRE_WALK_BROKEN);
}

/* The body is known as soon as its size is: a message need not be gathered to be routed. */
static void the_body_is_found_before_it_has_arrived(void **state)
{
    (void)state;
    struct message message = {0};
    struct wire_walk walk;
    message_add_i32(&message, 0);
    add_body(&message);
    wire_walk_start(&walk, (uint32_t)message.len);
    assert_true(wire_walk_feed(&walk, message.data, 8, NULL));
    assert_false(walk.body_found);
    assert_true(wire_walk_feed(&walk, message.data + 8, 1, NULL));
    assert_true(walk.body_found);
    assert_int_equal(walk.body_length, message.len - 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_alone),
        cmocka_unit_test(the_smallest_message),
        cmocka_unit_test(sequences_before_and_after_the_body),
        cmocka_unit_test(a_checksum_ends_it),
        cmocka_unit_test(optional_flag_bits_are_ignored),
        cmocka_unit_test(required_flag_bits_must_be_known),
        cmocka_unit_test(there_is_at_most_one_telemetry_section),
        cmocka_unit_test(there_is_one_body),
        cmocka_unit_test(kinds_are_0_1_and_3),
        cmocka_unit_test(sizes_that_lie),
        cmocka_unit_test(a_section_does_not_reach_into_the_checksum),
        cmocka_unit_test(no_room_for_the_checksum),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(what_follows_the_message_is_not_looked_at),
        cmocka_unit_test(a_broken_walk_stays_broken),
        cmocka_unit_test(the_body_is_found_before_it_has_arrived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
