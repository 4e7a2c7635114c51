#include "wire/hello.h"

#include "base/memory.h"
#include "wire/compressed.h"

struct rewriting {
    const struct wire_hello_rules *rules;
    const struct wire_hello_answer *answer; /* NULL: the reply was sent to the client itself */
    struct build *out;
    bool changed;
    bool closed; /* the answer's own fields are written */
};

static bool name_in(const struct scan_element *element, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (scan_name_is(element, names[i]))
            return true;
    return false;
}

static void copy_element(struct rewriting *rw, const struct scan_element *element)
{
    build_value(rw->out, element->name, element->kind, element->value);
}

static bool map_member(struct rewriting *rw, const struct scan_element *element,
                       char out[WIRE_ADDRESS_BYTES])
{
    const char *text = NULL;
    size_t len = 0;
    rw->changed = true;
    return scan_as_string(element, &text, &len) &&
           rw->rules->map_address(rw->rules->context, text, len, out);
}

static void rewrite_address(struct rewriting *rw, const struct scan_element *element)
{
    char address[WIRE_ADDRESS_BYTES];
    if (map_member(rw, element, address))
        build_text(rw->out, element->name, address);
}

typedef void (*keep_fn)(struct rewriting *rw, const struct scan_element *item);

/* False for a broken array. */
static bool rewrite_array(struct rewriting *rw, const struct scan_element *element, keep_fn keep)
{
    struct scan scan;
    struct scan_element item;
    if (!scan_open(&scan, element->value))
        return false;
    build_open_array(rw->out, element->name);
    while (scan_next(&scan, &item))
        keep(rw, &item);
    build_close(rw->out);
    return !scan.broken;
}

static void keep_member(struct rewriting *rw, const struct scan_element *item)
{
    char address[WIRE_ADDRESS_BYTES];
    if (map_member(rw, item, address))
        build_text(rw->out, NULL, address);
}

static void keep_compressor(struct rewriting *rw, const struct scan_element *item)
{
    const char *text = NULL;
    size_t len = 0;
    if (scan_as_string(item, &text, &len) && wire_compressor_is_known(text, len))
        build_string(rw->out, NULL, text, len);
    else
        rw->changed = true;
}

static void rewrite_message_size(struct rewriting *rw, const struct scan_element *element)
{
    int64_t size = 0;
    if (!scan_as_int64(element, &size) || size <= (int64_t)rw->rules->max_message_bytes) {
        copy_element(rw, element);
        return;
    }
    rw->changed = true;
    build_int32(rw->out, element->name, (int32_t)rw->rules->max_message_bytes);
}

/* False for a broken array. */
static bool rewrite_element(struct rewriting *rw, const struct scan_element *element)
{
    static const char *const lists[] = {"hosts", "passives", "arbiters"};
    static const char *const addresses[] = {"me", "primary"};
    if (element->kind == BSON_KIND_ARRAY && name_in(element, lists, 3))
        return rewrite_array(rw, element, keep_member);
    if (element->kind == BSON_KIND_ARRAY && scan_name_is(element, "compression"))
        return rewrite_array(rw, element, keep_compressor);
    if (element->kind == BSON_KIND_STRING && name_in(element, addresses, 2))
        rewrite_address(rw, element);
    else if (scan_name_is(element, "maxMessageSizeBytes"))
        rewrite_message_size(rw, element);
    else
        copy_element(rw, element);
    return true;
}

static void append_compression(struct rewriting *rw)
{
    const struct wire_hello_request *request = rw->answer->request;
    bool open = false;
    for (unsigned i = 0; i < request->compressor_count; i++) {
        uint8_t compressor = request->compressors[i];
        if ((rw->answer->compressors & 1U << compressor) == 0)
            continue;
        if (!open)
            build_open_array(rw->out, "compression");
        open = true;
        build_text(rw->out, NULL, wire_compressor_name(compressor));
    }
    if (open)
        build_close(rw->out);
}

/* The fields that the client's own hello adds. */
static bool append_own(struct rewriting *rw)
{
    struct scan scan;
    struct scan_element element;
    struct bytes extra = rw->answer->extra;
    if (rw->closed)
        return true;
    rw->closed = true;
    append_compression(rw);
    if (bytes_left(&extra) == 0)
        return true;
    if (!scan_open(&scan, extra))
        return false;
    while (scan_next(&scan, &element))
        copy_element(rw, &element);
    return !scan.broken;
}

static void append_local_time(struct rewriting *rw, const struct scan_element *element)
{
    uint8_t moved[8];
    uint64_t time_ms = bytes_load_u64(element->value.pos) + (uint64_t)rw->answer->elapsed_ms;
    bytes_store_i32(moved, (int32_t)(uint32_t)time_ms);
    bytes_store_i32(moved + 4, (int32_t)(uint32_t)(time_ms >> 32));
    build_value(rw->out, element->name, BSON_KIND_DATE, bytes_of(moved, sizeof moved));
}

/* A server's connectionId is an int32, until it has given all of them. */
static void append_connection_id(struct rewriting *rw, const struct scan_element *element)
{
    int64_t id = rw->answer->connection_id;
    if (id <= INT32_MAX)
        build_int32(rw->out, element->name, (int32_t)id);
    else
        build_int64(rw->out, element->name, id);
}

static bool answer_element(struct rewriting *rw, const struct scan_element *element)
{
    static const char *const primaries[] = {"isWritablePrimary", "ismaster"};
    static const char *const others[] = {"compression", "saslSupportedMechs",
                                         "speculativeAuthenticate", "serviceId"};
    const struct wire_hello_request *request = rw->answer->request;
    if (scan_name_is(element, "ok") && !append_own(rw))
        return false;
    if (name_in(element, primaries, 2))
        build_value(rw->out, primaries[request->legacy_name], element->kind, element->value);
    else if (scan_name_is(element, "connectionId"))
        append_connection_id(rw, element);
    else if (scan_name_is(element, "localTime") && element->kind == BSON_KIND_DATE)
        append_local_time(rw, element);
    else if (!name_in(element, others, 4) &&
             !(scan_name_is(element, "helloOk") && !request->hello_ok))
        return rewrite_element(rw, element);
    return true;
}

/* False for a malformed document. Without memory, rw->out has failed. */
static bool rewrite(struct rewriting *rw, struct bytes reply)
{
    struct scan scan;
    struct scan_element element;
    bool ok = scan_open(&scan, reply);
    while (ok && scan_next(&scan, &element))
        ok = rw->answer != NULL ? answer_element(rw, &element) : rewrite_element(rw, &element);
    return ok && !scan.broken && (rw->answer == NULL || append_own(rw));
}

bool wire_hello_rewrite(struct bytes reply, const struct wire_hello_rules *rules, bool *changed,
                        uint8_t **out, size_t *out_len)
{
    struct build build;
    struct bytes rewritten;
    struct rewriting rw = {.rules = rules, .out = &build};
    build_begin(&build, SIZE_MAX);
    bool ok = rewrite(&rw, reply) && build_finish(&build, &rewritten);
    *changed = ok && rw.changed;
    if (*changed) {
        *out_len = bytes_left(&rewritten);
        *out = memory_alloc(*out_len);
        ok = *out != NULL;
        if (ok)
            memcpy(*out, rewritten.pos, *out_len);
    }
    build_free(&build);
    return ok;
}

bool wire_hello_answer(struct bytes reply, const struct wire_hello_answer *answer,
                       const struct wire_hello_rules *rules, struct build *build, struct bytes *out)
{
    struct rewriting rw = {.rules = rules, .answer = answer, .out = build};
    build_begin(build, SIZE_MAX);
    return rewrite(&rw, reply) && build_finish(build, out);
}

bool wire_hello_version(struct bytes document, struct wire_topology_version *out)
{
    struct scan_element element;
    return scan_find(document, "topologyVersion", &element) &&
           wire_topology_version_read(&element, out);
}

uint8_t wire_hello_compressors(struct bytes reply)
{
    struct scan scan;
    struct scan_element element;
    const char *text = NULL;
    size_t len = 0;
    uint8_t compressor = 0;
    uint8_t found = 0;
    if (!scan_find(reply, "compression", &element) || element.kind != BSON_KIND_ARRAY ||
        !scan_open(&scan, element.value))
        return 0;
    while (scan_next(&scan, &element))
        if (scan_as_string(&element, &text, &len) && wire_compressor_find(text, len, &compressor))
            found |= (uint8_t)(1U << compressor);
    return found;
}
