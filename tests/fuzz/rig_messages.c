/* The messages that a rig's clients send. */
#include "bson/scan.h"
#include "rig_commands.h"
#include "session_rig_internal.h"
#include "wire/sections.h"

size_t rig_messages(void)
{
    return MESSAGES;
}

static uint32_t flags_of(enum message_kind kind)
{
    if (kind == MESSAGE_HELLO_STREAM)
        return WIRE_FLAG_EXHAUST_ALLOWED;
    return kind == MESSAGE_INSERT_UNACKNOWLEDGED ? WIRE_FLAG_MORE_TO_COME : 0;
}

/* A kind-1 section with one document, or of a mixed insert with three. */
static uint8_t *put_documents(uint8_t *at, enum message_kind kind, uint32_t number)
{
    static const char name[] = "documents";
    bool mixed = kind == MESSAGE_INSERT_MIXED || kind == MESSAGE_INSERT_MIXED_RETRYABLE;
    uint8_t *start = at + 1;
    *at = 1;
    at = rig_put(start + 4, name, sizeof name);
    for (uint32_t i = 0; i < (mixed ? 3U : 1U); i++) {
        struct build build;
        struct bytes document;
        build_begin(&build, RIG_MESSAGE_BYTES);
        build_int64(&build, "_id", number + i);
        build_int32(&build, "a", kind == MESSAGE_INSERT_REFUSED || i == 1 ? -1 : 1);
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
    }
    rig_require(build_finish(&build, &body), "a query does not fit");
    memset(at, 0, 4); /* flags */
    at = kind == MESSAGE_HELLO_LEGACY ? rig_put(at + 4, command, sizeof command)
                                      : rig_put(at + 4, find, sizeof find);
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
    build_begin(&build, RIG_MESSAGE_BYTES);
    rig_write_body(&build, kind, number);
    rig_require(build_finish(&build, &body), "a message does not fit");
    bytes_store_i32(at, (int32_t)flags_of(kind));
    at[4] = 0;
    at = rig_put(at + 5, body.pos, bytes_left(&body));
    build_free(&build);
    return rig_is_insert(kind) ? put_documents(at, kind, number) : at;
}

/* The message as an OP_COMPRESSED that is not compressed. */
static size_t wrap(uint8_t *message, size_t len)
{
    enum { FIELDS_BYTES = 9 };
    struct wire_header header = wire_header_read(message);
    uint8_t *payload = message + WIRE_HEADER_BYTES;
    memmove(payload + FIELDS_BYTES, payload, len - WIRE_HEADER_BYTES);
    bytes_store_i32(payload, header.opcode);
    bytes_store_i32(payload + 4, (int32_t)(len - WIRE_HEADER_BYTES));
    payload[8] = 0;
    header.opcode = WIRE_OP_COMPRESSED;
    header.length = (int32_t)(len + FIELDS_BYTES);
    wire_header_write(message, &header);
    return len + FIELDS_BYTES;
}

size_t rig_message(size_t kind, uint32_t number, uint8_t out[RIG_MESSAGE_BYTES])
{
    enum message_kind which = (enum message_kind)(kind % MESSAGES);
    int32_t opcode = opcode_of(which);
    uint8_t *at = out + WIRE_HEADER_BYTES;
    at = opcode == WIRE_OP_QUERY ? put_query(at, which) : put_message(at, which, number);
    struct wire_header header = {
        .length = (int32_t)(at - out), .request_id = (int32_t)number, .opcode = opcode};
    wire_header_write(out, &header);
    size_t len = (size_t)(at - out);
    return which == MESSAGE_COMPRESSED ? wrap(out, len) : len;
}
