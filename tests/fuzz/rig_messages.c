/* The messages that a rig's clients send. */
#include "base/memory.h"
#include "bson/scan.h"
#include "rig_commands.h"
#include "session_rig_internal.h"
#include "wire/compressed.h"
#include "wire/sections.h"

size_t rig_messages(void)
{
    return MESSAGES;
}

static uint32_t flags_of(enum message_kind kind)
{
    if (kind == MESSAGE_HELLO_STREAM)
        return WIRE_FLAG_EXHAUST_ALLOWED;
    bool is_silent = kind == MESSAGE_INSERT_UNACKNOWLEDGED || kind == MESSAGE_UPDATE_SILENT ||
                     kind == MESSAGE_INSERT_REFUSED_SILENT || kind == MESSAGE_LOGOUT_SILENT ||
                     kind == MESSAGE_INSERT_MIXED_SILENT || kind == MESSAGE_SASL_SILENT;
    if (kind == MESSAGE_UPDATE_CHECKSUM)
        return WIRE_FLAG_CHECKSUM_PRESENT;
    return is_silent ? WIRE_FLAG_MORE_TO_COME : 0;
}

/* A kind-1 section with one document, or of a mixed insert with three. */
static uint8_t *put_documents(uint8_t *at, enum message_kind kind, uint32_t number)
{
    static const char name[] = "documents";
    bool mixed = kind == MESSAGE_INSERT_MIXED || kind == MESSAGE_INSERT_MIXED_RETRYABLE ||
                 kind == MESSAGE_INSERT_MIXED_SILENT;
    uint8_t *start = at + 1;
    *at = 1;
    at = rig_put(start + 4, name, sizeof name);
    for (uint32_t i = 0; i < (mixed ? 3U : 1U); i++) {
        struct build build;
        struct bytes document;
        build_begin(&build, RIG_LARGE_BYTES + RIG_MESSAGE_BYTES);
        build_int64(&build, "_id", number + i);
        build_int32(
            &build, kind == MESSAGE_INSERT_WARNED ? "b" : "a",
            kind == MESSAGE_INSERT_REFUSED || kind == MESSAGE_INSERT_REFUSED_SILENT || i == 1 ? -1
                                                                                              : 1);
        if (kind == MESSAGE_LARGE_INSERT || kind == MESSAGE_LARGE_FREE)
            rig_add_padding(&build);
        rig_require(build_finish(&build, &document), "a document does not fit");
        at = rig_put(at, document.pos, bytes_left(&document));
        build_free(&build);
    }
    bytes_store_i32(start, (int32_t)(at - start));
    return at;
}

static int32_t opcode_of(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_HELLO_LEGACY:
    case MESSAGE_FIND_LEGACY:
    case MESSAGE_COMMAND_LEGACY:
        return WIRE_OP_QUERY;
    case MESSAGE_INSERT_LEGACY:
        return WIRE_OP_INSERT;
    default:
        return WIRE_OP_MSG;
    }
}

/* OP_QUERY on a collection, or a command on $cmd. */
static uint8_t *put_query(uint8_t *at, enum message_kind kind)
{
    static const char command[] = "admin.$cmd";
    static const char find[] = "d.other";
    struct build build;
    struct bytes body;
    build_begin(&build, RIG_MESSAGE_BYTES);
    if (kind == MESSAGE_HELLO_LEGACY) {
        build_int32(&build, "isMaster", 1);
        build_bool(&build, "helloOk", true);
        rig_add_driver(&build);
    } else if (kind == MESSAGE_COMMAND_LEGACY) {
        build_text(&build, "find", "other");
    }
    rig_require(build_finish(&build, &body), "a query does not fit");
    memset(at, 0, 4); /* flags */
    at = kind == MESSAGE_FIND_LEGACY ? rig_put(at + 4, find, sizeof find)
                                     : rig_put(at + 4, command, sizeof command);
    memset(at, 0, 4); /* numberToSkip */
    bytes_store_i32(at + 4, -1);
    at = rig_put(at + 8, body.pos, bytes_left(&body));
    build_free(&build);
    return at;
}

static uint8_t *put_message(uint8_t *at, enum message_kind kind, uint32_t number)
{
    struct build build;
    struct bytes body;
    build_begin(&build, RIG_LARGE_BYTES + RIG_MESSAGE_BYTES);
    rig_write_body(&build, kind, number);
    rig_require(build_finish(&build, &body), "a message does not fit");
    bytes_store_i32(at, (int32_t)flags_of(kind));
    at[4] = 0;
    at = rig_put(at + 5, body.pos, bytes_left(&body));
    build_free(&build);
    if (kind == MESSAGE_UPDATE_CHECKSUM)
        at = rig_put(at, "sum", 4);
    return rig_is_insert(kind) ? put_documents(at, kind, number) : at;
}

/* The message as an OP_COMPRESSED. */
static size_t compress(enum message_kind kind, const uint8_t *message, size_t len, uint8_t *to)
{
    uint8_t *out = NULL;
    size_t out_len = 0;
    rig_require(wire_compressed_write(kind == MESSAGE_COMPRESSED ? WIRE_COMPRESSOR_NOOP
                                                                 : WIRE_COMPRESSOR_ZLIB,
                                      message, len, &out, &out_len) &&
                    out_len <= RIG_MESSAGE_BYTES,
                "a compressed message does not fit");
    memcpy(to, out, out_len);
    memory_free(out);
    return out_len;
}

/* A header of the PROXY protocol, version 2: for a client of the load balancer, or of its own. */
static size_t put_proxy_header(uint8_t *out, bool names_client)
{
    static const uint8_t local[] = {13,  10,  13,  10, 0,    13, 10, 'Q',
                                    'U', 'I', 'T', 10, 0x20, 0,  0,  0};
    static const uint8_t named[] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10, 0x21, 0x11,
                                    0,  12, 10, 0,  0, 1,  10, 0,   0,   2,   1,   2,  3,    4};
    (void)rig_put(out, names_client ? named : local, names_client ? sizeof named : sizeof local);
    return names_client ? sizeof named : sizeof local;
}

static bool is_compressed(enum message_kind kind)
{
    return kind == MESSAGE_COMPRESSED || kind == MESSAGE_LARGE || kind == MESSAGE_LARGE_INSERT ||
           kind == MESSAGE_LARGE_FREE;
}

static size_t write_message(enum message_kind kind, uint32_t number, uint8_t *out)
{
    int32_t opcode = opcode_of(kind);
    uint8_t *at = out + WIRE_HEADER_BYTES;
    at = opcode == WIRE_OP_QUERY ? put_query(at, kind) : put_message(at, kind, number);
    size_t len = (size_t)(at - out);
    struct wire_header header = {
        .length = (int32_t)len, .request_id = (int32_t)number, .opcode = opcode};
    wire_header_write(out, &header);
    return len;
}

static uint8_t large[RIG_LARGE_BYTES + RIG_MESSAGE_BYTES];

const uint8_t *rig_large_message(uint32_t number, size_t *len)
{
    static const enum message_kind kinds[] = {MESSAGE_LARGE, MESSAGE_LARGE_INSERT,
                                              MESSAGE_LARGE_FREE};
    *len = write_message(kinds[number % 3], number, large);
    return large;
}

size_t rig_message(size_t kind, uint32_t number, uint8_t out[RIG_MESSAGE_BYTES])
{
    enum message_kind which = (enum message_kind)(kind % MESSAGES);
    if (which == MESSAGE_PROXY_HEADER || which == MESSAGE_PROXY_HEADER_LOCAL)
        return put_proxy_header(out, which == MESSAGE_PROXY_HEADER);
    if (!is_compressed(which))
        return write_message(which, number, out);
    size_t len = write_message(which, number, large);
    return compress(which, large, len, out);
}
