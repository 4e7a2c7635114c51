/* The kinds of messages that a rig's clients send. */
#include "bson/build.h"
#include "bson/scan.h"
#include "session_rig_internal.h"
#include "wire/sections.h"

enum message_kind {
    MESSAGE_PING,
    MESSAGE_HELLO,
    MESSAGE_HELLO_STREAM,
    MESSAGE_INSERT,
    MESSAGE_INSERT_RETRYABLE,
    MESSAGE_INSERT_GUARDED,
    MESSAGE_INSERT_REFUSED,
    MESSAGE_INSERT_UNACKNOWLEDGED,
    MESSAGE_INSERT_IN_TRANSACTION,
    MESSAGE_UPDATE_REFUSED,
    MESSAGE_BULK_WRITE,
    MESSAGE_FIND_MODIFY,
    MESSAGE_AGGREGATE_OUT,
    MESSAGE_GET_MORE,
    MESSAGE_SASL_START,
    MESSAGE_SASL_CONTINUE,
    MESSAGE_END_SESSIONS,
    MESSAGE_STATUS,
    MESSAGES
};

size_t rig_messages(void)
{
    return MESSAGES;
}

static void add_session(struct build *body, uint32_t number, bool starts)
{
    uint8_t id[21] = {16, 0, 0, 0, 4};
    memset(id + 5, (int)(number & 3), 16); /* few sessions: retries and old numbers happen */
    build_open_object(body, "lsid");
    build_value(body, "id", BSON_KIND_BINARY, bytes_of(id, sizeof id));
    build_close(body);
    build_int64(body, "txnNumber", number >> 2);
    if (starts) {
        build_bool(body, "startTransaction", true);
        build_bool(body, "autocommit", false);
    }
}

static void add_list(struct build *body, const char *name, const char *field, const char *text)
{
    build_open_array(body, name);
    build_open_object(body, NULL);
    build_text(body, field, text);
    build_close(body);
    build_close(body);
}

static void add_update(struct build *body)
{
    build_open_array(body, "updates");
    build_open_object(body, NULL);
    build_open_object(body, "q");
    build_close(body);
    build_open_object(body, "u");
    build_open_object(body, "$set");
    build_text(body, "a", "no number");
    build_close(body);
    build_close(body);
    build_close(body);
    build_close(body);
}

static void add_bulk(struct build *body)
{
    build_int32(body, "bulkWrite", 1);
    build_open_array(body, "ops");
    build_open_object(body, NULL);
    build_int32(body, "insert", 0);
    build_open_object(body, "document");
    build_int32(body, "_id", 1);
    build_close(body);
    build_close(body);
    build_close(body);
    add_list(body, "nsInfo", "ns", "d.guarded");
}

static void add_find_modify(struct build *body)
{
    build_text(body, "findAndModify", "guarded");
    build_open_object(body, "query");
    build_close(body);
    build_open_object(body, "update");
    build_int32(body, "a", -1);
    build_close(body);
}

static void add_aggregate(struct build *body)
{
    build_text(body, "aggregate", "other");
    add_list(body, "pipeline", "$out", "guarded");
    build_open_object(body, "cursor");
    build_close(body);
}

static void add_sasl(struct build *body, bool first)
{
    static const uint8_t payload[] = {12,  0,   0,   0,   0,   'n', ',', ',', 'n',
                                      '=', 'a', ',', 'r', '=', 'b', 0,   0};
    build_int32(body, first ? "saslStart" : "saslContinue", 1);
    if (first)
        build_text(body, "mechanism", "SCRAM-SHA-256");
    else
        build_int32(body, "conversationId", 1);
    build_value(body, "payload", BSON_KIND_BINARY, bytes_of(payload, sizeof payload));
}

static void write_hello(struct build *body, bool stream)
{
    build_int32(body, "hello", 1);
    if (stream)
        build_int32(body, "maxAwaitTimeMS", 10000);
}

static const char *insert_into(enum message_kind kind)
{
    return kind == MESSAGE_INSERT_GUARDED || kind == MESSAGE_INSERT_REFUSED ? "guarded" : "free";
}

static bool is_insert(enum message_kind kind)
{
    return kind >= MESSAGE_INSERT && kind <= MESSAGE_INSERT_IN_TRANSACTION;
}

static void write_insert(struct build *body, enum message_kind kind, uint32_t number)
{
    build_text(body, "insert", insert_into(kind));
    build_bool(body, "ordered", (number & 1) != 0);
    if (kind != MESSAGE_INSERT && kind != MESSAGE_INSERT_UNACKNOWLEDGED)
        add_session(body, number, kind == MESSAGE_INSERT_IN_TRANSACTION);
    if (kind == MESSAGE_INSERT_UNACKNOWLEDGED) {
        build_open_object(body, "writeConcern");
        build_int32(body, "w", 0);
        build_close(body);
    }
}

static void write_body(struct build *body, enum message_kind kind, uint32_t number)
{
    switch (kind) {
    case MESSAGE_HELLO:
    case MESSAGE_HELLO_STREAM:
        write_hello(body, kind == MESSAGE_HELLO_STREAM);
        break;
    case MESSAGE_UPDATE_REFUSED:
        build_text(body, "update", "guarded");
        add_update(body);
        break;
    case MESSAGE_BULK_WRITE:
        add_bulk(body);
        break;
    case MESSAGE_FIND_MODIFY:
        add_find_modify(body);
        break;
    case MESSAGE_AGGREGATE_OUT:
        add_aggregate(body);
        break;
    case MESSAGE_GET_MORE:
        build_int64(body, "getMore", 77);
        build_text(body, "collection", "$cmd.bulkWrite");
        break;
    case MESSAGE_SASL_START:
    case MESSAGE_SASL_CONTINUE:
        add_sasl(body, kind == MESSAGE_SASL_START);
        break;
    case MESSAGE_END_SESSIONS:
        build_open_array(body, "endSessions");
        build_close(body);
        break;
    case MESSAGE_STATUS:
        build_int32(body, "mongosluiceStatus", 1);
        break;
    case MESSAGE_PING:
        build_int32(body, "ping", 1);
        break;
    default:
        write_insert(body, kind, number);
        break;
    }
    build_text(body, "$db", "d");
}

static uint32_t flags_of(enum message_kind kind)
{
    if (kind == MESSAGE_HELLO_STREAM)
        return WIRE_FLAG_EXHAUST_ALLOWED;
    return kind == MESSAGE_INSERT_UNACKNOWLEDGED ? WIRE_FLAG_MORE_TO_COME : 0;
}

/* A kind-1 section with one document. */
static uint8_t *put_document(uint8_t *at, enum message_kind kind, uint32_t number)
{
    static const char name[] = "documents";
    struct build build;
    struct bytes document;
    build_begin(&build, RIG_MESSAGE_BYTES);
    build_int64(&build, "_id", number);
    build_int32(&build, "a", kind == MESSAGE_INSERT_REFUSED ? -1 : 1);
    rig_require(build_finish(&build, &document), "a document does not fit");
    *at++ = 1;
    bytes_store_i32(at, (int32_t)(4 + sizeof name + bytes_left(&document)));
    at = rig_put(rig_put(at + 4, name, sizeof name), document.pos, bytes_left(&document));
    build_free(&build);
    return at;
}

size_t rig_message(size_t kind, uint32_t number, uint8_t out[RIG_MESSAGE_BYTES])
{
    struct build build;
    struct bytes body;
    enum message_kind which = (enum message_kind)(kind % MESSAGES);
    build_begin(&build, RIG_MESSAGE_BYTES);
    write_body(&build, which, number);
    rig_require(build_finish(&build, &body), "a message does not fit");
    uint8_t *at = out + WIRE_HEADER_BYTES;
    bytes_store_i32(at, (int32_t)flags_of(which));
    at[4] = 0;
    at = rig_put(at + 5, body.pos, bytes_left(&body));
    build_free(&build);
    if (is_insert(which))
        at = put_document(at, which, number);
    struct wire_header header = {
        .length = (int32_t)(at - out), .request_id = (int32_t)number, .opcode = WIRE_OP_MSG};
    wire_header_write(out, &header);
    return (size_t)(at - out);
}
