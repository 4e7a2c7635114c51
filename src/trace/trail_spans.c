#include "trace/trail_spans.h"

#include <stdio.h>

#include "base/host_port.h"
#include "base/name_values.h"
#include "base/utf8.h"
#include "trace/protobuf.h"

/* The field numbers of the messages. */
enum { REQUEST_RESOURCE_SPANS = 1 };
enum { RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_SPANS_SCOPE = 1, SCOPE_SPANS_SPANS = 2 };
enum { SCOPE_NAME = 1, SCOPE_VERSION = 2 };
enum {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_PARENT_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_LINKS = 13,
    SPAN_DROPPED_LINKS = 14,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16
};
enum { LINK_TRACE_ID = 1, LINK_SPAN_ID = 2, LINK_FLAGS = 6 };
enum { STATUS_CODE = 3, STATUS_ERROR = 2 };
enum { ATTRIBUTE_KEY = 1, ATTRIBUTE_VALUE = 2, VALUE_STRING = 1, VALUE_BOOL = 2, VALUE_INT = 3 };
enum span_kind { KIND_INTERNAL = 1, KIND_SERVER = 2, KIND_CLIENT = 3 };
enum { FLAG_SAMPLED = 1, FLAG_HAS_IS_REMOTE = 0x100, FLAG_IS_REMOTE = 0x200 };

static const char scope_name[] = "mongosluice";

/* --- attributes --- */

static void add_text_bytes(struct text *out, unsigned field, const char *key, size_t key_len,
                           const char *value, size_t len)
{
    size_t attribute = protobuf_open(out, field);
    protobuf_add_bytes(out, ATTRIBUTE_KEY, key, key_len);
    size_t any = protobuf_open(out, ATTRIBUTE_VALUE);
    protobuf_add_bytes(out, VALUE_STRING, value, len);
    protobuf_close(out, any);
    protobuf_close(out, attribute);
}

static void add_text(struct text *out, unsigned field, const char *key, const char *value)
{
    if (value[0] != 0)
        add_text_bytes(out, field, key, strlen(key), value, strlen(value));
}

static void add_number(struct text *out, const char *key, unsigned kind, uint64_t value)
{
    size_t attribute = protobuf_open(out, SPAN_ATTRIBUTES);
    protobuf_add_string(out, ATTRIBUTE_KEY, key);
    size_t any = protobuf_open(out, ATTRIBUTE_VALUE);
    protobuf_add_varint(out, kind, value);
    protobuf_close(out, any);
    protobuf_close(out, attribute);
}

static void add_integer(struct text *out, const char *key, uint64_t value)
{
    add_number(out, key, VALUE_INT, value);
}

/* --- the resource --- */

static void add_resource_attributes(struct text *out, const char *rest)
{
    struct name_value pair;
    char value[NAME_VALUE_BYTES];
    while (name_values_next(&rest, &pair)) {
        size_t len = name_value_decode(&pair, value);
        if (utf8_check((const uint8_t *)value, len))
            add_text_bytes(out, RESOURCE_ATTRIBUTES, pair.name, pair.name_len, value, len);
    }
}

void trails_open(struct text *out, const struct trail_resource *resource,
                 struct trails_message *message)
{
    message->resource_spans = protobuf_open(out, REQUEST_RESOURCE_SPANS);
    size_t of = protobuf_open(out, RESOURCE_SPANS_RESOURCE);
    add_text(out, RESOURCE_ATTRIBUTES, "service.name", resource->service_name);
    add_text(out, RESOURCE_ATTRIBUTES, "service.version", resource->service_version);
    add_text(out, RESOURCE_ATTRIBUTES, "service.instance.id", resource->instance);
    add_resource_attributes(out, resource->attributes);
    protobuf_close(out, of);
    message->scope_spans = protobuf_open(out, RESOURCE_SPANS_SCOPE_SPANS);
    size_t scope = protobuf_open(out, SCOPE_SPANS_SCOPE);
    protobuf_add_string(out, SCOPE_NAME, scope_name);
    protobuf_add_string(out, SCOPE_VERSION, resource->service_version);
    protobuf_close(out, scope);
}

void trails_close(struct text *out, const struct trails_message *message)
{
    protobuf_close(out, message->scope_spans);
    protobuf_close(out, message->resource_spans);
}

/* --- spans --- */

struct span {
    const struct trail *trail;
    const struct trail_resource *resource;
    const uint8_t *id;
    const uint8_t *parent_id; /* NULL: none */
    const char *name;
    enum span_kind kind;
    uint32_t flags;
    const struct trail_period *period;
};

static uint64_t wall_ns(const struct trail_resource *resource, int64_t us)
{
    return (uint64_t)(us + resource->wall_offset_us) * 1000;
}

static size_t open_span(struct text *out, const struct span *span)
{
    const struct trail *trail = span->trail;
    int64_t from_us = span->period->from_us;
    /* a span without an end was cut off with its request */
    int64_t to_us = span->period->to_us != 0 ? span->period->to_us : trail->whole.to_us;
    size_t start = protobuf_open(out, SCOPE_SPANS_SPANS);
    protobuf_add_bytes(out, SPAN_TRACE_ID, trail->context.trace_id, TRACE_ID_BYTES);
    protobuf_add_bytes(out, SPAN_SPAN_ID, span->id, TRACE_SPAN_ID_BYTES);
    if (span->parent_id != NULL)
        protobuf_add_bytes(out, SPAN_PARENT_ID, span->parent_id, TRACE_SPAN_ID_BYTES);
    protobuf_add_string(out, SPAN_NAME, span->name);
    protobuf_add_varint(out, SPAN_KIND, span->kind);
    protobuf_add_fixed64(out, SPAN_START, wall_ns(span->resource, from_us));
    protobuf_add_fixed64(out, SPAN_END, wall_ns(span->resource, to_us < from_us ? from_us : to_us));
    protobuf_add_fixed32(out, SPAN_FLAGS, span->flags);
    return start;
}

static void add_link(struct text *out, const struct trace_context *context)
{
    size_t link = protobuf_open(out, SPAN_LINKS);
    protobuf_add_bytes(out, LINK_TRACE_ID, context->trace_id, TRACE_ID_BYTES);
    protobuf_add_bytes(out, LINK_SPAN_ID, context->span_id, TRACE_SPAN_ID_BYTES);
    protobuf_add_fixed32(out, LINK_FLAGS, FLAG_SAMPLED | FLAG_HAS_IS_REMOTE);
    protobuf_close(out, link);
}

static void add_database(struct text *out, const struct trail *trail)
{
    add_text(out, SPAN_ATTRIBUTES, "db.system.name", "mongodb");
    add_text(out, SPAN_ATTRIBUTES, "db.operation.name", trail->operation);
    add_text(out, SPAN_ATTRIBUTES, "db.namespace", trail->database);
    add_text(out, SPAN_ATTRIBUTES, "db.collection.name", trail->collection);
}

static void add_outcome(struct text *out, const struct trail *trail)
{
    char code[12] = "_OTHER";
    if (!trail->failed)
        return;
    if (trail->code != 0) {
        (void)snprintf(code, sizeof code, "%d", trail->code);
        add_text(out, SPAN_ATTRIBUTES, "db.response.status_code", code);
    }
    add_text(out, SPAN_ATTRIBUTES, "error.type", code);
    size_t status = protobuf_open(out, SPAN_STATUS);
    protobuf_add_varint(out, STATUS_CODE, STATUS_ERROR);
    protobuf_close(out, status);
}

/* "host:port", or the path of a Unix socket. */
static void add_server(struct text *out, const struct trail *trail)
{
    struct host_port server;
    bool path = trail->server[0] == '/';
    if (trail->server[0] == 0)
        return;
    if (path || !host_port_read(trail->server, strlen(trail->server), &server)) {
        add_text(out, SPAN_ATTRIBUTES, "server.address", trail->server);
    } else {
        add_text(out, SPAN_ATTRIBUTES, "server.address", server.host);
        if (server.has_port)
            add_integer(out, "server.port", server.port);
    }
    add_text(out, SPAN_ATTRIBUTES, "network.transport", path ? "unix" : "tcp");
}

/* "insert orders", or "ping" without a collection. */
static void write_name(const struct trail *trail, char *out, size_t size)
{
    const char *space = trail->collection[0] != 0 ? " " : "";
    (void)snprintf(out, size, "%s%s%s", trail->operation, space, trail->collection);
}

static void add_request(struct text *out, struct span span)
{
    const struct trail *trail = span.trail;
    span.id = trail->context.span_id;
    span.parent_id = trail->has_parent ? trail->parent_id : NULL;
    span.kind = KIND_SERVER;
    span.period = &trail->whole;
    span.flags |= trail->has_parent ? FLAG_IS_REMOTE : 0;
    size_t start = open_span(out, &span);
    add_database(out, trail);
    add_text(out, SPAN_ATTRIBUTES, "client.address", trail->client_address);
    if (trail->client_port != 0)
        add_integer(out, "client.port", trail->client_port);
    add_integer(out, "mongosluice.connection_id", trail->connection_id);
    if (trail->kind == TRAIL_REQUEST && trail->merged)
        add_number(out, "mongosluice.merged", VALUE_BOOL, 1);
    add_outcome(out, trail);
    protobuf_close(out, start);
}

static void add_wait(struct text *out, struct span span, enum trail_wait wait)
{
    static const char *const names[TRAIL_WAITS] = {"wait for the resume", "wait for the pool",
                                                   "wait for the batch"};
    span.id = span.trail->span_ids[1 + wait];
    span.name = names[wait];
    span.kind = KIND_INTERNAL;
    span.period = &span.trail->waits[wait];
    protobuf_close(out, open_span(out, &span));
}

static void add_upstream(struct text *out, struct span span)
{
    const struct trail *trail = span.trail;
    span.id = trail->span_ids[0];
    span.period = &trail->upstream;
    span.kind = trail->merged ? KIND_INTERNAL : KIND_CLIENT;
    if (trail->merged)
        span.name = "batch";
    size_t start = open_span(out, &span);
    if (trail->merged) {
        add_link(out, &trail->batch);
    } else {
        add_database(out, trail);
        add_server(out, trail);
        add_outcome(out, trail);
    }
    protobuf_close(out, start);
}

static void add_batch(struct text *out, struct span span)
{
    const struct trail *trail = span.trail;
    span.id = trail->context.span_id;
    span.parent_id = NULL;
    span.kind = KIND_CLIENT;
    span.period = &trail->whole;
    size_t start = open_span(out, &span);
    add_database(out, trail);
    add_server(out, trail);
    add_integer(out, "db.operation.batch.size", trail->inserts);
    add_integer(out, "mongosluice.batch.documents", trail->documents);
    add_outcome(out, trail);
    for (size_t i = 0; i < trail->link_count; i++)
        add_link(out, &trail->links[i]);
    if (trail->links_left_out > 0)
        protobuf_add_varint(out, SPAN_DROPPED_LINKS, trail->links_left_out);
    protobuf_close(out, start);
}

unsigned trail_add_spans(struct text *out, const struct trail_resource *resource,
                         const struct trail *trail)
{
    char name[2 * TRAIL_SERVER_BYTES];
    unsigned count = 1;
    struct span span = {.trail = trail,
                        .resource = resource,
                        .parent_id = trail->context.span_id,
                        .name = name,
                        .flags = FLAG_SAMPLED | FLAG_HAS_IS_REMOTE};
    write_name(trail, name, sizeof name);
    if (trail->kind == TRAIL_BATCH) {
        add_batch(out, span);
        return count;
    }
    add_request(out, span);
    for (int wait = 0; wait < TRAIL_WAITS; wait++) {
        if (trail->waits[wait].from_us == 0)
            continue;
        add_wait(out, span, (enum trail_wait)wait);
        count++;
    }
    if (trail->upstream.from_us != 0) {
        add_upstream(out, span);
        count++;
    }
    return count;
}

/* --- the collector's response --- */

enum { RESPONSE_PARTIAL_SUCCESS = 1, PARTIAL_REJECTED = 1 };

uint64_t trails_rejected(struct bytes response)
{
    struct protobuf_field field;
    struct protobuf_field inner;
    uint64_t rejected = 0;
    while (protobuf_next(&response, &field)) {
        if (field.number != RESPONSE_PARTIAL_SUCCESS)
            continue;
        while (protobuf_next(&field.content, &inner))
            if (inner.number == PARTIAL_REJECTED)
                rejected = inner.value;
    }
    return rejected;
}
