/* The export of spans: a collector's response, the options endpoint, headers and
 * resource_attributes, and trails with any names. Spans that are written can be read, field by
 * field. The first byte chooses. */
#include "base/http_url.h"
#include "base/name_values.h"
#include "base/utf8.h"
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

static void write_spans(struct bytes name, const char *attributes)
{
    const struct trail_names names = {name, name, name, "1.2.3.4"};
    struct trail_resource resource = {"s", "1", "i", attributes, 0};
    struct trail *trail = trail_new(TRAIL_REQUEST, &names);
    struct text out = text_growing();
    struct trails_message message;
    struct protobuf_field field;
    require(trail != NULL);
    require(utf8_check((const uint8_t *)trail->collection, strlen(trail->collection)));
    trail_note_reply(trail, name);
    trail->upstream.from_us = 1;
    trails_open(&out, &resource, &message);
    (void)trail_add_spans(&out, &resource, trail);
    trails_close(&out, &message);
    struct bytes all = bytes_of(out.data, out.len);
    require(protobuf_next(&all, &field) && field.number == 1 && bytes_left(&all) == 0);
    require_readable(field.content, 3);
    text_release(&out);
    trail_free(trail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
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
        write_spans(rest, text);
    free(text);
    return 0;
}
