#include "wire/hello_request.h"

#include "wire/compressed.h"

/* The fields that a hello of a driver has, beside those that every command may have. */
enum hello_field {
    HELLO_FIELD_OTHER,
    HELLO_FIELD_HELLO_OK,
    HELLO_FIELD_CLIENT,
    HELLO_FIELD_COMPRESSION,
    HELLO_FIELD_TOPOLOGY_VERSION,
    HELLO_FIELD_MAX_AWAIT,
    HELLO_FIELD_LOAD_BALANCED,
    HELLO_FIELD_API_VERSION,
    HELLO_FIELD_API_STRICT,
    HELLO_FIELD_SPECULATIVE,
    HELLO_FIELD_MECHANISMS,
    HELLO_FIELD_INTERNAL_CLIENT,
    HELLO_FIELD_COUNT
};

static const char *const field_names[HELLO_FIELD_COUNT] = {
    [HELLO_FIELD_HELLO_OK] = "helloOk",
    [HELLO_FIELD_CLIENT] = "client",
    [HELLO_FIELD_COMPRESSION] = "compression",
    [HELLO_FIELD_TOPOLOGY_VERSION] = "topologyVersion",
    [HELLO_FIELD_MAX_AWAIT] = "maxAwaitTimeMS",
    [HELLO_FIELD_LOAD_BALANCED] = "loadBalanced",
    [HELLO_FIELD_API_VERSION] = "apiVersion",
    [HELLO_FIELD_API_STRICT] = "apiStrict",
    [HELLO_FIELD_SPECULATIVE] = "speculativeAuthenticate",
    [HELLO_FIELD_MECHANISMS] = "saslSupportedMechs",
    [HELLO_FIELD_INTERNAL_CLIENT] = "internalClient",
};

/* A server refuses more bytes in `client`. A whole hello with a token of a login needs much less
 * than the second limit. */
enum { METADATA_BYTES_MAX = 512, HELLO_BYTES_MAX = 64 * 1024 };

static enum hello_field field_of(const struct scan_element *element)
{
    for (enum hello_field field = HELLO_FIELD_OTHER + 1; field < HELLO_FIELD_COUNT; field++)
        if (scan_name_is(element, field_names[field]))
            return field;
    return HELLO_FIELD_OTHER;
}

bool wire_hello_is_command(enum command_name command)
{
    return command == COMMAND_HELLO || command == COMMAND_IS_MASTER || command == COMMAND_ISMASTER;
}

bool wire_topology_version_read(const struct scan_element *element,
                                struct wire_topology_version *out)
{
    struct scan_element part;
    if (element->kind != BSON_KIND_OBJECT || !scan_find(element->value, "processId", &part) ||
        part.kind != BSON_KIND_OBJECT_ID)
        return false;
    memcpy(out->process_id, part.value.pos, WIRE_PROCESS_ID_BYTES);
    return scan_find(element->value, "counter", &part) && part.kind == BSON_KIND_INT64 &&
           scan_as_int64(&part, &out->counter);
}

bool wire_topology_version_equal(const struct wire_topology_version *a,
                                 const struct wire_topology_version *b)
{
    return a->counter == b->counter &&
           memcmp(a->process_id, b->process_id, WIRE_PROCESS_ID_BYTES) == 0;
}

static bool is_offered(const struct wire_hello_request *request, uint8_t compressor)
{
    for (unsigned i = 0; i < request->compressor_count; i++)
        if (request->compressors[i] == compressor)
            return true;
    return false;
}

static bool read_compression(const struct scan_element *element, struct wire_hello_request *out)
{
    struct scan scan;
    struct scan_element item;
    const char *text = NULL;
    size_t len = 0;
    uint8_t compressor = 0;
    if (element->kind != BSON_KIND_ARRAY || !scan_open(&scan, element->value))
        return false;
    while (scan_next(&scan, &item)) {
        if (!scan_as_string(&item, &text, &len))
            return false;
        if (!wire_compressor_find(text, len, &compressor) || compressor == WIRE_COMPRESSOR_NOOP ||
            is_offered(out, compressor) || out->compressor_count == WIRE_HELLO_COMPRESSORS_MAX)
            continue;
        out->compressors[out->compressor_count++] = compressor;
    }
    return !scan.broken;
}

static bool is_version_one(const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    return scan_as_string(element, &text, &len) && len == 1 && text[0] == '1';
}

static bool read_bool(const struct scan_element *element, bool *out)
{
    *out = element->kind == BSON_KIND_BOOL && element->value.pos[0] != 0;
    return element->kind == BSON_KIND_BOOL;
}

/* False if only the server can judge the field. */
static bool read_field(enum hello_field field, const struct scan_element *element,
                       struct wire_hello_request *out)
{
    bool flag = false;
    switch (field) {
    case HELLO_FIELD_HELLO_OK:
        return read_bool(element, &out->hello_ok);
    case HELLO_FIELD_CLIENT:
        out->has_metadata = true;
        return element->kind == BSON_KIND_OBJECT &&
               bytes_left(&element->value) <= METADATA_BYTES_MAX;
    case HELLO_FIELD_COMPRESSION:
        return read_compression(element, out);
    case HELLO_FIELD_TOPOLOGY_VERSION:
        out->has_version = true;
        return wire_topology_version_read(element, &out->version);
    case HELLO_FIELD_MAX_AWAIT:
        out->has_await = true;
        if (!scan_as_int64(element, &out->await_ms))
            return false;
        if (out->await_ms > INT32_MAX)
            out->await_ms = INT32_MAX;
        return true;
    case HELLO_FIELD_LOAD_BALANCED:
        return read_bool(element, &flag) && !flag;
    case HELLO_FIELD_API_VERSION:
        return is_version_one(element);
    case HELLO_FIELD_API_STRICT:
        /* isMaster is in no version of the API */
        return read_bool(element, &flag) && !(flag && out->legacy_name);
    case HELLO_FIELD_INTERNAL_CLIENT:
        return false;
    case HELLO_FIELD_SPECULATIVE:
    case HELLO_FIELD_MECHANISMS:
    case HELLO_FIELD_OTHER:
    case HELLO_FIELD_COUNT:
        break;
    }
    return true;
}

enum wire_hello_kind wire_hello_request_read(const struct wire_command *request,
                                             struct wire_hello_request *out)
{
    struct wire_fields fields;
    struct scan_element element;
    uint32_t seen = 0;
    *out = (struct wire_hello_request){.legacy_name = request->known != COMMAND_HELLO};
    if ((!request->legacy && request->database_unclear) || request->repeats_name ||
        bytes_left(&request->body) > HELLO_BYTES_MAX || wire_command_has_sequences(request) ||
        (request->flags & WIRE_FLAG_MORE_TO_COME) != 0)
        return WIRE_HELLO_OTHER;
    wire_fields_open(&fields, request);
    while (wire_fields_next(&fields, &element)) {
        enum hello_field field = field_of(&element);
        bool repeated = field != HELLO_FIELD_OTHER && (seen & 1U << field) != 0;
        seen |= 1U << field;
        if (repeated || !read_field(field, &element, out))
            return WIRE_HELLO_OTHER;
    }
    bool strict_needs_version = (seen & 1U << HELLO_FIELD_API_STRICT) != 0;
    if (strict_needs_version && (seen & 1U << HELLO_FIELD_API_VERSION) == 0)
        return WIRE_HELLO_OTHER;
    bool login = (seen & (1U << HELLO_FIELD_SPECULATIVE | 1U << HELLO_FIELD_MECHANISMS)) != 0;
    return login ? WIRE_HELLO_LOGIN : WIRE_HELLO_PLAIN;
}
