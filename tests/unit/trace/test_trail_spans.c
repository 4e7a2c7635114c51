/* The encoding of trails; tests/integration/test_tracing.py decodes it with opentelemetry-proto. */
#include "../json_document.h"

#include "base/memory.h"
#include "trace/protobuf.h"
#include "trace/trail_spans.h"

static struct bytes word(const char *text)
{
    return bytes_of(text, strlen(text));
}

static struct trail *trail_of(enum trail_kind kind, const char *collection)
{
    const struct trail_names names = {word("insert"), word("shop"), word(collection), "10.0.0.1"};
    struct trail *trail = trail_new(kind, &names);
    assert_non_null(trail);
    trail->whole = (struct trail_period){1000, 5000};
    memset(&trail->context, 1, sizeof trail->context);
    return trail;
}

static const struct trail_resource resource = {.service_name = "s",
                                               .service_version = "1",
                                               .instance = "i",
                                               .attributes = "a=1,b=%41",
                                               .wall_offset_us = 1000000};

/* The content of the n-th field with this number; fails if there is none. */
static struct bytes inside(struct bytes message, uint64_t number, int n)
{
    struct protobuf_field field;
    while (protobuf_next(&message, &field))
        if (field.number == number && n-- == 0)
            return field.content;
    fail_msg("no field %d", (int)number);
    return message;
}

static int count_fields(struct bytes message, uint64_t number)
{
    struct protobuf_field field;
    int count = 0;
    while (protobuf_next(&message, &field))
        count += field.number == number;
    assert_int_equal(bytes_left(&message), 0);
    return count;
}

static uint64_t number_of(struct bytes message, uint64_t number)
{
    struct protobuf_field field;
    while (protobuf_next(&message, &field))
        if (field.number == number)
            return field.value;
    return 0;
}

static bool is_word(struct bytes bytes, const char *text)
{
    return bytes_left(&bytes) == strlen(text) && memcmp(bytes.pos, text, strlen(text)) == 0;
}

/* The value of a span's attribute as text; "" without it. */
static struct bytes attribute(struct bytes span, const char *name)
{
    for (int i = 0; i < count_fields(span, 9); i++) {
        struct bytes pair = inside(span, 9, i);
        if (is_word(inside(pair, 1, 0), name))
            return inside(inside(pair, 2, 0), 1, 0);
    }
    return word("");
}

static struct text encode(struct trail *trail, unsigned spans)
{
    struct text out = text_growing();
    struct trails_message message;
    trails_open(&out, &resource, &message);
    assert_int_equal(trail_add_spans(&out, &resource, trail), spans);
    trails_close(&out, &message);
    assert_false(out.cut);
    return out;
}

static struct bytes span_of(const struct text *out, int n)
{
    struct bytes spans = inside(bytes_of(out->data, out->len), 1, 0);
    return inside(inside(spans, 2, 0), 2, n);
}

static void a_request_with_waits(void **state)
{
    (void)state;
    struct trail *trail = trail_of(TRAIL_REQUEST, "orders");
    trail->waits[TRAIL_WAIT_POOL] = (struct trail_period){1000, 2000};
    trail->waits[TRAIL_WAIT_BATCH] = (struct trail_period){2000, 0}; /* cut off */
    trail->upstream = (struct trail_period){3000, 4000};
    trail->has_parent = true;
    strcpy(trail->server, "[::1]:27017");
    struct text out = encode(trail, 4);
    struct bytes all = inside(bytes_of(out.data, out.len), 1, 0);
    assert_int_equal(count_fields(inside(all, 1, 0), 1), 5); /* attributes of the resource */
    assert_int_equal(count_fields(inside(all, 2, 0), 2), 4);
    struct bytes request = span_of(&out, 0);
    assert_true(is_word(inside(request, 5, 0), "insert orders"));
    assert_int_equal(number_of(request, 6), 2);
    assert_int_equal(number_of(request, 7), 1001000000);
    assert_int_equal(number_of(request, 8), 1005000000);
    assert_int_equal(number_of(request, 16), 0x301);
    assert_int_equal(count_fields(request, 15), 0);
    assert_true(is_word(attribute(request, "client.address"), "10.0.0.1"));
    assert_true(is_word(inside(span_of(&out, 1), 5, 0), "wait for the pool"));
    assert_true(is_word(inside(span_of(&out, 2), 5, 0), "wait for the batch"));
    assert_int_equal(number_of(span_of(&out, 2), 8), 1005000000);
    struct bytes upstream = span_of(&out, 3);
    assert_int_equal(number_of(upstream, 6), 3);
    assert_true(is_word(attribute(upstream, "server.address"), "::1"));
    assert_true(is_word(attribute(upstream, "network.transport"), "tcp"));
    assert_true(is_word(attribute(upstream, "db.namespace"), "shop"));
    text_release(&out);
    trail_free(trail);
}

static void a_batch_has_links(void **state)
{
    (void)state;
    struct trail *trail = trail_of(TRAIL_BATCH, "orders");
    for (int i = 0; i < TRAIL_LINKS_MAX + 5; i++)
        trail_add_link(trail, &trail->context);
    strcpy(trail->server, "/run/mongodb-27017.sock");
    struct text out = encode(trail, 1);
    struct bytes span = span_of(&out, 0);
    assert_int_equal(count_fields(span, 13), TRAIL_LINKS_MAX);
    assert_int_equal(number_of(span, 14), 5);
    assert_int_equal(count_fields(span, 4), 0);
    assert_true(is_word(attribute(span, "server.address"), "/run/mongodb-27017.sock"));
    assert_true(is_word(attribute(span, "network.transport"), "unix"));
    text_release(&out);
    trail_free(trail);
}

static void outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        bool failed;
        int code;
    } cases[] = {{"{\"ok\":1.0}", false, 0},
                 {"{\"ok\":1}", false, 0},
                 {"{\"ok\":0.0,\"code\":13}", true, 13},
                 {"{\"ok\":0.0,\"code\":\"x\"}", true, 0},
                 {"{\"ok\":0.0,\"code\":99999999999}", true, 0},
                 {"{}", true, 0},
                 {"{\"ok\":1.0,\"writeErrors\":[]}", false, 0},
                 {"{\"ok\":1.0,\"writeErrors\":[{\"code\":11000},{\"code\":1}]}", true, 11000},
                 {"{\"ok\":1.0,\"writeErrors\":[1]}", true, 0},
                 {"{\"ok\":1.0,\"writeErrors\":1}", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trail *trail = trail_of(TRAIL_REQUEST, "");
        bson_t *reply = support_json(cases[i].reply);
        trail_note_reply(trail, support_bytes(reply));
        assert_int_equal(trail->failed, cases[i].failed);
        assert_int_equal(trail->code, cases[i].code);
        struct text out = encode(trail, 1);
        struct bytes span = span_of(&out, 0);
        assert_true(is_word(inside(span, 5, 0), "insert"));
        assert_int_equal(count_fields(span, 15), cases[i].failed);
        struct bytes type = attribute(span, "error.type");
        assert_int_equal(is_word(type, "_OTHER"), cases[i].failed && cases[i].code == 0);
        text_release(&out);
        bson_destroy(reply);
        trail_free(trail);
    }
}

static void names_are_cut_and_made_utf8(void **state)
{
    (void)state;
    char name[400];
    memset(name, 'x', sizeof name);
    const struct trail_names names = {word("find"), word("d\xC3\xA9"), bytes_of(name, sizeof name),
                                      "\xFF\xC3"};
    struct trail *trail = trail_new(TRAIL_REQUEST, &names);
    assert_int_equal(strlen(trail->collection), 255);
    assert_string_equal(trail->database, "d\xC3\xA9");
    assert_string_equal(trail->client_address, "??");
    trail_free(trail);
}

static void rejected_spans_are_read(void **state)
{
    (void)state;
    struct text out = text_growing();
    assert_int_equal(trails_rejected((struct bytes){0}), 0);
    size_t partial = protobuf_open(&out, 1);
    protobuf_add_string(&out, 2, "why");
    protobuf_add_varint(&out, 1, 300);
    protobuf_close(&out, partial);
    assert_int_equal(trails_rejected(bytes_of(out.data, out.len)), 300);
    for (size_t len = 1; len < out.len; len++)
        assert_int_equal(trails_rejected(bytes_of(out.data, len)), 0);
    text_release(&out);
}

/* Lengths of one, two and three bytes. */
static void nested_messages(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 70000};
    static char content[70000];
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct text out = text_growing();
        size_t outer = protobuf_open(&out, 3);
        size_t inner = protobuf_open(&out, 4);
        protobuf_add_bytes(&out, 5, content, lengths[i]);
        protobuf_close(&out, inner);
        protobuf_add_fixed32(&out, 6, 7);
        protobuf_add_fixed64(&out, 7, 8);
        protobuf_close(&out, outer);
        struct bytes all = inside(bytes_of(out.data, out.len), 3, 0);
        struct bytes found = inside(inside(all, 4, 0), 5, 0);
        assert_int_equal(bytes_left(&found), lengths[i]);
        assert_int_equal(number_of(all, 6), 7);
        assert_int_equal(number_of(all, 7), 8);
        text_release(&out);
    }
}

/* An allocation that fails cuts the text, and never breaks it. */
static void without_memory(void **state)
{
    (void)state;
    struct trail *trail = trail_of(TRAIL_BATCH, "orders");
    for (long n = 1; n < 12; n++) {
        struct text out = text_growing();
        struct trails_message message;
        memory_fail_after(n);
        trails_open(&out, &resource, &message);
        for (int i = 0; i < 50; i++)
            (void)trail_add_spans(&out, &resource, trail);
        trails_close(&out, &message);
        memory_fail_never();
        text_release(&out);
    }
    memory_fail_after(1);
    trail_add_link(trail, &trail->context);
    memory_fail_never();
    assert_int_equal(trail->links_left_out, 1);
    trail_free(trail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_with_waits),
        cmocka_unit_test(a_batch_has_links),
        cmocka_unit_test(outcomes),
        cmocka_unit_test(names_are_cut_and_made_utf8),
        cmocka_unit_test(rejected_spans_are_read),
        cmocka_unit_test(nested_messages),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
