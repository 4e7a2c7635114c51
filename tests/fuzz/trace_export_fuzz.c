/* The export of spans: a collector's response, the options endpoint, headers and
 * resource_attributes, and trails with any names. Spans that are written can be read, field by
 * field. The first byte chooses. */
#include "base/http_url.h"
#include "base/name_values.h"
#include "base/utf8.h"
#include "fail_memory.h"
#include "trace/protobuf.h"
#include "trace/trail_spans.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void read_pairs(const char *text)
{
    struct name_value pair;
    char value[NAME_VALUE_BYTES];
    const char *rest = text;
    bool valid = name_values_are_valid(text);
    while (name_values_next(&rest, &pair)) {
        require(pair.name_len > 0 && pair.value == pair.name + pair.name_len + 1);
        require(name_value_decode(&pair, value) <= pair.value_len);
    }
    require(!valid || *rest == 0);
}

static void read_url(const char *text)
{
    struct http_url url;
    if (http_url_read(text, &url))
        require(url.host[0] != 0 && (url.path[0] == 0 || url.path[0] == '/') && url.path >= text &&
                url.path <= text + strlen(text));
}

/* Names of clients are in the strings of spans: each must be UTF-8. */
static void require_readable(struct bytes message, unsigned depth)
{
    struct protobuf_field field;
    while (protobuf_next(&message, &field))
        if (depth > 0 && bytes_left(&field.content) > 0 && field.number == 9)
            require_readable(field.content, depth - 1);
    require(bytes_left(&message) == 0);
}

/* What happened to the trail's request, or the batch, by the bits of the first bytes. */
static void fill(struct trail *trail, const uint8_t *bits, struct bytes text)
{
    const struct trace_context context = {.trace_id = {1}, .span_id = {2}};
    size_t server_len = bytes_left(&text) % TRAIL_SERVER_BYTES;
    trail->has_parent = (bits[0] & 1) != 0;
    trail->merged = (bits[0] & 2) != 0;
    trail->batch = context;
    trail->client_port = (bits[0] & 4) != 0 ? 27017 : 0;
    if ((bits[0] & 8) != 0)
        trail->upstream = (struct trail_period){1, 2};
    for (int i = 0; i < TRAIL_WAITS; i++)
        if ((bits[0] & 16 << i) != 0)
            trail->waits[i] = (struct trail_period){3, 4};
    for (unsigned links = bits[1]; links > 0; links--)
        trail_add_link(trail, &context);
    for (size_t i = 0; i < server_len; i++)
        trail->server[i] = (char)text.pos[i];
    if ((bits[0] & 0x80) != 0 || !utf8_check((const uint8_t *)trail->server, strlen(trail->server)))
        memcpy(trail->server, "/tmp/s", 7);
}

/* Input: two bytes for the trail, then names; the attributes are text. */
static void write_spans(struct bytes input, const char *attributes, bool sound)
{
    struct bytes bits;
    struct trail_resource resource = {"s", "1", "i", attributes, 0};
    struct text out = text_growing();
    struct trails_message message;
    struct protobuf_field field;
    if (!bytes_take(&input, 2, &bits))
        return;
    const struct trail_names names = {input, input, input, "1.2.3.4"};
    struct trail *trail =
        trail_new((bits.pos[0] & 0x40) != 0 ? TRAIL_BATCH : TRAIL_REQUEST, &names);
    require(trail != NULL || !sound);
    if (trail == NULL)
        return;
    require(utf8_check((const uint8_t *)trail->collection, strlen(trail->collection)));
    trail_note_reply(trail, input);
    fill(trail, bits.pos, input);
    trails_open(&out, &resource, &message);
    (void)trail_add_spans(&out, &resource, trail);
    trails_close(&out, &message);
    require(!out.cut || !sound);
    if (!out.cut) {
        struct bytes all = bytes_of(out.data, out.len);
        require(protobuf_next(&all, &field) && field.number == 1 && bytes_left(&all) == 0);
        require_readable(field.content, 3);
    }
    text_release(&out);
    trail_free(trail);
}

static void run(const uint8_t *data, size_t size, bool sound)
{
    struct bytes rest = bytes_of(data + 1, size - 1);
    char *text = malloc(size);
    require(text != NULL);
    memcpy(text, rest.pos, size - 1);
    text[size - 1] = 0;
    if (data[0] % 4 == 0)
        (void)trails_rejected(rest);
    else if (data[0] % 4 == 1)
        read_pairs(text);
    else if (data[0] % 4 == 2)
        read_url(text);
    else
        write_spans(rest, size > 3 ? text + 2 : "", sound);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    run(data, size, true);
    if (fail_memory_for(data, size))
        run(data, size, false);
    memory_fail_never();
    return 0;
}
