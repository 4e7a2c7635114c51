#include "trace/trace_comment.h"

#include <string.h>

#include "base/text.h"

static const char traceparent_name[] = "traceparent";

static bool read_parent(const struct scan_element *element, struct trace_found *out)
{
    const char *text = NULL;
    size_t len = 0;
    return scan_as_string(element, &text, &len) && trace_context_read(text, len, &out->context);
}

/* {traceparent, tracestate} and nothing else stands alone. */
static void read_document(struct bytes document, struct trace_found *out)
{
    struct scan scan;
    struct scan_element element;
    size_t states = 0;
    bool alone = true;
    if (!scan_open(&scan, document))
        return;
    while (scan_next(&scan, &element)) {
        if (scan_name_is(&element, traceparent_name)) {
            bool first = out->carrier == TRACE_CARRIER_NONE && read_parent(&element, out);
            alone = alone && first;
            if (first)
                out->carrier = TRACE_CARRIER_DOCUMENT;
        } else if (scan_name_is(&element, "tracestate") && element.kind == BSON_KIND_STRING) {
            alone = alone && states++ == 0;
        } else {
            alone = false;
        }
    }
    out->alone = alone && !scan.broken && out->carrier != TRACE_CARRIER_NONE;
}

/* A pair key='value' at *text; moves *text behind it. */
struct pair {
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
};

static bool read_pair(const char **text, const char *end, struct pair *out)
{
    const char *equals = memchr(*text, '=', (size_t)(end - *text));
    if (equals == NULL || end - equals < 3 || equals[1] != '\'')
        return false;
    const char *value = equals + 2;
    const char *quote = memchr(value, '\'', (size_t)(end - value));
    if (quote == NULL)
        return false;
    *out = (struct pair){*text, (size_t)(equals - *text), value, (size_t)(quote - value)};
    *text = quote + 1;
    return true;
}

/* The keys of Datadog's tracers: services, environment, version, host and database. */
static bool is_tracer_key(const struct pair *pair)
{
    static const char *const keys[] = {"dddb", "dddbs", "dde",   "ddh",
                                       "ddps", "ddpv",  "ddprs", "ddsh"};
    enum { COUNT = sizeof keys / sizeof keys[0] };
    return text_index(keys, COUNT, pair->key, pair->key_len) < COUNT;
}

/* Pairs with commas between them. An application's own comment may stand before the first pair. */
static void read_pairs(const char *text, size_t len, struct trace_found *out)
{
    const char *end = text + len;
    struct pair pair;
    bool alone = true;
    while (text < end) {
        if (!read_pair(&text, end, &pair))
            break;
        if (!text_is(pair.key, pair.key_len, traceparent_name))
            alone = alone && is_tracer_key(&pair);
        else if (out->carrier == TRACE_CARRIER_NONE &&
                 trace_context_read(pair.value, pair.value_len, &out->context))
            out->carrier = TRACE_CARRIER_STRING;
        else
            alone = false;
        if (text == end) {
            out->alone = alone && out->carrier != TRACE_CARRIER_NONE;
            return;
        }
        if (*text++ != ',')
            break;
    }
}

void trace_comment_read(const struct scan_element *comment, struct trace_found *out)
{
    const char *text = NULL;
    size_t len = 0;
    *out = (struct trace_found){0};
    if (bytes_left(&comment->value) > TRACE_COMMENT_BYTES_MAX)
        return;
    if (comment->kind == BSON_KIND_OBJECT)
        read_document(comment->value, out);
    else if (scan_as_string(comment, &text, &len))
        read_pairs(text, len, out);
}

void trace_section_read(struct bytes document, struct trace_found *out)
{
    struct scan_element otel;
    struct scan_element parent;
    *out = (struct trace_found){0};
    if (bytes_left(&document) <= TRACE_COMMENT_BYTES_MAX && scan_find(document, "otel", &otel) &&
        otel.kind == BSON_KIND_OBJECT && scan_find(otel.value, traceparent_name, &parent) &&
        read_parent(&parent, out)) {
        out->carrier = TRACE_CARRIER_SECTION;
        out->alone = true;
    }
}

/* {otel: {traceparent: "…"}}: everything but the characters is constant. */
struct bytes trace_section_write(const struct trace_context *context,
                                 uint8_t out[TRACE_SECTION_BYTES])
{
    static const char outer[] = "\x03otel";
    static const char inner[] = "\x02traceparent";
    enum {
        OUTER_AT = 4,
        INNER_AT = OUTER_AT + sizeof outer,
        NAME_AT = INNER_AT + 4,
        LENGTH_AT = NAME_AT + sizeof inner,
        TEXT_AT = LENGTH_AT + 4,
        INNER_END = TEXT_AT + TRACE_PARENT_CHARS + 2,
        END = INNER_END + 1
    };
    _Static_assert((int)END <= (int)TRACE_SECTION_BYTES, "the section fits");
    char parent[TRACE_PARENT_CHARS + 1];
    memset(out, 0, TRACE_SECTION_BYTES);
    trace_context_write(context, parent);
    bytes_store_i32(out, END);
    memcpy(out + OUTER_AT, outer, sizeof outer);
    bytes_store_i32(out + INNER_AT, INNER_END - INNER_AT);
    memcpy(out + NAME_AT, inner, sizeof inner);
    bytes_store_i32(out + LENGTH_AT, TRACE_PARENT_CHARS + 1);
    memcpy(out + TEXT_AT, parent, TRACE_PARENT_CHARS);
    return bytes_of(out, END);
}

void trace_comment_write(struct build *body, enum trace_carrier carrier,
                         const struct trace_context *context)
{
    char parent[TRACE_PARENT_CHARS + 1];
    char pair[sizeof traceparent_name + sizeof parent + 2];
    trace_context_write(context, parent);
    if (carrier == TRACE_CARRIER_DOCUMENT) {
        build_open_object(body, "comment");
        build_text(body, traceparent_name, parent);
        build_close(body);
        return;
    }
    struct text text = text_over(pair, sizeof pair);
    text_format(&text, "%s='%s'", traceparent_name, parent);
    build_string(body, "comment", text.data, text.len);
}
