#include "rig_commands.h"

#include "bson/scan.h"
#include "session_rig_internal.h"

static void add_session(struct build *body, uint32_t number, bool in_transaction, bool starts)
{
    uint8_t id[21] = {16, 0, 0, 0, 4};
    memset(id + 5, (int)(number & 3), 16); /* few sessions: retries and old numbers happen */
    build_open_object(body, "lsid");
    build_value(body, "id", BSON_KIND_BINARY, bytes_of(id, sizeof id));
    build_close(body);
    build_int64(body, "txnNumber", number >> 2);
    if (starts)
        build_bool(body, "startTransaction", true);
    if (in_transaction)
        build_bool(body, "autocommit", false);
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

static void add_sasl(struct build *body, bool first, const char *mechanism)
{
    static const uint8_t payload[] = {14,  0,   0,   0,   0,   'n', ',', ',', 'n', '=',
                                      'a', 'n', 'n', ',', 'r', '=', 'b', 0,   0};
    build_int32(body, first ? "saslStart" : "saslContinue", 1);
    if (first)
        build_text(body, "mechanism", mechanism);
    else
        build_int32(body, "conversationId", 1);
    build_value(body, "payload", BSON_KIND_BINARY, bytes_of(payload, sizeof payload));
}

/* A login of a user that the proxy may know. */
static void add_start(struct build *body, const char *text)
{
    uint8_t payload[64];
    size_t len = strlen(text);
    bytes_store_i32(payload, (int32_t)len);
    payload[4] = 0;
    memcpy(payload + 5, text, len);
    build_int32(body, "saslStart", 1);
    build_text(body, "mechanism", "SCRAM-SHA-256");
    build_value(body, "payload", BSON_KIND_BINARY, bytes_of(payload, 5 + len));
}

void rig_add_padding(struct build *body)
{
    static char text[RIG_LARGE_BYTES];
    memset(text, 'x', sizeof text - 1);
    build_text(body, "padding", text);
}

static void write_hello(struct build *body, bool stream)
{
    build_int32(body, "hello", 1);
    if (stream)
        build_int32(body, "maxAwaitTimeMS", 10000);
}

void rig_add_driver(struct build *body)
{
    build_open_object(body, "client");
    build_open_object(body, "application");
    build_text(body, "name", "app");
    build_close(body);
    build_open_object(body, "driver");
    build_text(body, "name", "PyMongo|c");
    build_text(body, "version", "4.20");
    build_close(body);
    build_close(body);
}

static void write_first_hello(struct build *body)
{
    build_int32(body, "hello", 1);
    build_bool(body, "helloOk", true);
    rig_add_driver(body);
    build_open_array(body, "compression");
    build_text(body, NULL, "zlib");
    build_text(body, NULL, "snappy");
    build_close(body);
    build_text(body, "saslSupportedMechs", "admin.ann");
    build_open_object(body, "speculativeAuthenticate");
    add_start(body, "n,,n=ann,r=b");
    build_text(body, "db", "admin");
    build_close(body);
}

static void write_awaited_hello(struct build *body, int64_t counter, int64_t wait_ms)
{
    static const uint8_t process[12] = {1};
    build_int32(body, "isMaster", 1);
    build_open_object(body, "topologyVersion");
    build_value(body, "processId", BSON_KIND_OBJECT_ID, bytes_of(process, sizeof process));
    build_int64(body, "counter", counter);
    build_close(body);
    build_int64(body, "maxAwaitTimeMS", wait_ms);
}

static void add_comment(struct build *body)
{
    build_open_object(body, "comment");
    build_text(body, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    build_close(body);
}

static void add_names(struct build *body, const char *field, const char *name)
{
    build_open_array(body, field);
    build_text(body, NULL, name);
    build_close(body);
}

static void add_sessions(struct build *body, const char *field, uint32_t number)
{
    uint8_t id[21] = {16, 0, 0, 0, 4};
    memset(id + 5, (int)(number & 3), 16);
    build_open_array(body, field);
    build_open_object(body, NULL);
    build_value(body, "id", BSON_KIND_BINARY, bytes_of(id, sizeof id));
    build_close(body);
    build_close(body);
}

/* Statements that a schema refuses between others. */
static void add_mixed_bulk(struct build *body, uint32_t number)
{
    build_int32(body, "bulkWrite", 1);
    build_bool(body, "ordered", false);
    build_open_array(body, "ops");
    for (int32_t i = 0; i < 4; i++) {
        build_open_object(body, NULL);
        build_int32(body, "insert", i % 2);
        build_open_object(body, "document");
        build_int32(body, "_id", i);
        build_int32(body, "a", i == 2 ? 1 : -1);
        build_close(body);
        build_close(body);
    }
    build_close(body);
    build_open_array(body, "nsInfo");
    for (int i = 0; i < 2; i++) {
        build_open_object(body, NULL);
        build_text(body, "ns", i == 0 ? "d.guarded" : "d.free");
        build_close(body);
    }
    build_close(body);
    build_open_object(body, "cursor");
    build_int32(body, "batchSize", (int32_t)(number & 3));
    build_close(body);
}

/* --- commands whose effect the proxy follows --- */

static bool write_change(struct build *body, enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_CREATE:
        build_text(body, "create", "guarded");
        return true;
    case MESSAGE_COLL_MOD:
        build_text(body, "collMod", "guarded");
        return true;
    case MESSAGE_DROP:
        build_text(body, "drop", "guarded");
        return true;
    case MESSAGE_DROP_DATABASE:
        build_int32(body, "dropDatabase", 1);
        return true;
    case MESSAGE_RENAME:
        build_text(body, "renameCollection", "d.other");
        build_text(body, "to", "d.next");
        return true;
    case MESSAGE_CREATE_USER:
        build_text(body, "createUser", "ann");
        build_text(body, "pwd", "x");
        add_names(body, "roles", "read");
        return true;
    case MESSAGE_DROP_USER:
        build_text(body, "dropUser", "ann");
        return true;
    default:
        return false;
    }
}

static bool write_of_session(struct build *body, enum message_kind kind, uint32_t number)
{
    switch (kind) {
    case MESSAGE_COMMIT:
    case MESSAGE_ABORT:
        build_int32(body, kind == MESSAGE_COMMIT ? "commitTransaction" : "abortTransaction", 1);
        add_session(body, number, true, false);
        return true;
    case MESSAGE_UPDATE_IN_TRANSACTION:
        build_text(body, "update", "free");
        add_update(body);
        add_session(body, number, true, (number & 4) != 0);
        return true;
    case MESSAGE_KILL_SESSIONS:
        add_sessions(body, "killSessions", number);
        return true;
    case MESSAGE_KILL_ALL_SESSIONS:
        add_sessions(body, "killAllSessions", number);
        return true;
    case MESSAGE_LOGOUT:
        build_int32(body, "logout", 1);
        return true;
    case MESSAGE_AUTHENTICATE:
        build_int32(body, "authenticate", 1);
        build_text(body, "mechanism", "MONGODB-X509");
        return true;
    case MESSAGE_SASL_SHA_1:
        add_sasl(body, true, "SCRAM-SHA-1");
        return true;
    default:
        return false;
    }
}

/* Reads, and what follows them. */
static bool write_read(struct build *body, enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_FIND_TRACED:
        build_text(body, "find", "other");
        add_comment(body);
        return true;
    case MESSAGE_TAILABLE:
        build_text(body, "find", "capped");
        build_bool(body, "tailable", true);
        build_bool(body, "awaitData", true);
        return true;
    case MESSAGE_CHANGE_STREAM:
        build_text(body, "aggregate", "other");
        build_open_array(body, "pipeline");
        build_open_object(body, NULL);
        build_open_object(body, "$changeStream");
        build_close(body);
        build_close(body);
        build_close(body);
        return true;
    case MESSAGE_GET_MORE_OF_SERVER:
        build_int64(body, "getMore", RIG_CURSOR);
        build_text(body, "collection", "other");
        build_int32(body, "maxTimeMS", 50);
        return true;
    case MESSAGE_KILL_CURSORS:
        build_text(body, "killCursors", "other");
        build_open_array(body, "cursors");
        build_int64(body, NULL, RIG_CURSOR);
        build_close(body);
        return true;
    default:
        return false;
    }
}

static void write_driver_hello(struct build *body, enum message_kind kind)
{
    build_int32(body, "hello", 1);
    if (kind == MESSAGE_HELLO_VERSIONED)
        build_text(body, "apiVersion", "1");
    build_bool(body, "backpressure", true);
    build_open_object(body, "client");
    build_open_object(body, "driver");
    build_text(body, "name", "rig");
    build_text(body, "version", kind == MESSAGE_HELLO_OWN ? "1 " RIG_OWN_ID : "1");
    build_close(body);
    build_close(body);
}

static bool write_odd_hello(struct build *body, enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_HELLO_PLAIN:
    case MESSAGE_HELLO_OWN:
    case MESSAGE_HELLO_VERSIONED:
        write_driver_hello(body, kind);
        return true;
    case MESSAGE_HELLO_NEGATIVE:
        write_awaited_hello(body, -1, 20);
        return true;
    case MESSAGE_HELLO_NEGATIVE_WAIT:
        write_awaited_hello(body, 1, -1);
        return true;
    case MESSAGE_HELLO_AWAITED_STREAM:
        write_awaited_hello(body, 1, 3000);
        return true;
    case MESSAGE_SASL_BOB:
    case MESSAGE_SASL_SILENT:
    case MESSAGE_SASL_EXTERNAL:
        add_start(body, "n,,n=bob,r=b");
        return true;
    case MESSAGE_LOGOUT_ADMIN:
    case MESSAGE_LOGOUT_SILENT:
        build_int32(body, "logout", 1);
        return true;
    default:
        return false;
    }
}

/* Rare commands. */
static bool write_odd(struct build *body, enum message_kind kind, uint32_t number)
{
    switch (kind) {
    case MESSAGE_LARGE:
        build_text(body, "find", "other");
        rig_add_padding(body);
        return true;
    case MESSAGE_PING_VERSIONED:
        build_int32(body, "ping", 1);
        build_text(body, "apiVersion", "1");
        return true;
    case MESSAGE_BULK_SESSION:
        add_mixed_bulk(body, 1);
        add_session(body, number, false, false);
        return true;
    case MESSAGE_GET_MORE_BULK:
        build_int64(body, "getMore", RIG_CURSOR);
        build_text(body, "collection", "$cmd.bulkWrite");
        return true;
    case MESSAGE_KILL_CURSORS_BULK:
        build_text(body, "killCursors", "$cmd.bulkWrite");
        build_open_array(body, "cursors");
        build_int64(body, NULL, RIG_CURSOR);
        build_close(body);
        return true;
    case MESSAGE_END_SESSION:
        add_sessions(body, "endSessions", number);
        return true;
    case MESSAGE_UPDATE_REFUSED_IN_TRANSACTION:
    case MESSAGE_UPDATE_SILENT:
    case MESSAGE_UPDATE_CHECKSUM:
        build_text(body, "update", "guarded");
        add_update(body);
        if (kind == MESSAGE_UPDATE_REFUSED_IN_TRANSACTION)
            add_session(body, number, true, (number & 4) != 0);
        return true;
    case MESSAGE_APPLY_OPS:
        build_open_array(body, "applyOps");
        build_close(body);
        return true;
    case MESSAGE_STATUS_WRONG:
        build_int32(body, "mongosluice", 1);
        build_int32(body, "namespaces", 1);
        return true;
    case MESSAGE_STATUS_WRONG_NAMES:
        build_int32(body, "mongosluice", 1);
        build_open_array(body, "namespaces");
        build_int32(body, NULL, 1);
        build_close(body);
        return true;
    default:
        return false;
    }
}

static bool write_more(struct build *body, enum message_kind kind, uint32_t number)
{
    switch (kind) {
    case MESSAGE_HELLO_FIRST:
        write_first_hello(body);
        return true;
    case MESSAGE_HELLO_AWAITED:
        write_awaited_hello(body, 1, 20);
        return true;
    case MESSAGE_BULK_MIXED:
    case MESSAGE_BULK_MIXED_SILENT:
        add_mixed_bulk(body, number);
        build_bool(body, "errorsOnly", kind == MESSAGE_BULK_MIXED_SILENT);
        return true;
    case MESSAGE_STATUS_NAMES:
        build_int32(body, "mongosluice", 1);
        add_names(body, "namespaces", "d.left");
        return true;
    case MESSAGE_COMPRESSED:
        build_int32(body, "ping", 1);
        return true;
    case MESSAGE_UNKNOWN:
        build_int32(body, "frobnicate", 1);
        return true;
    default:
        return write_change(body, kind) || write_of_session(body, kind, number) ||
               write_read(body, kind) || write_odd(body, kind, number) ||
               write_odd_hello(body, kind);
    }
}

static const char *insert_into(enum message_kind kind)
{
    bool guarded = kind == MESSAGE_INSERT_GUARDED || kind == MESSAGE_INSERT_REFUSED ||
                   kind == MESSAGE_INSERT_MIXED || kind == MESSAGE_INSERT_MIXED_RETRYABLE ||
                   kind == MESSAGE_INSERT_REFUSED_SILENT || kind == MESSAGE_LARGE_INSERT ||
                   kind == MESSAGE_INSERT_MIXED_SILENT;
    if (kind == MESSAGE_INSERT_WARNED)
        return "warned";
    return guarded ? "guarded" : "free";
}

bool rig_is_insert(enum message_kind kind)
{
    return (kind >= MESSAGE_INSERT && kind <= MESSAGE_INSERT_IN_TRANSACTION) ||
           kind == MESSAGE_INSERT_MIXED || kind == MESSAGE_INSERT_MIXED_RETRYABLE ||
           kind == MESSAGE_INSERT_REFUSED_SILENT || kind == MESSAGE_LARGE_INSERT ||
           kind == MESSAGE_INSERT_TRACED || kind == MESSAGE_INSERT_MIXED_SILENT ||
           kind == MESSAGE_INSERT_VERSIONED || kind == MESSAGE_LARGE_FREE ||
           kind == MESSAGE_INSERT_WARNED;
}

static void write_insert(struct build *body, enum message_kind kind, uint32_t number)
{
    build_text(body, "insert", insert_into(kind));
    build_bool(body, "ordered", (number & 16) != 0);
    bool silent = kind == MESSAGE_INSERT_UNACKNOWLEDGED || kind == MESSAGE_INSERT_REFUSED_SILENT ||
                  kind == MESSAGE_INSERT_MIXED_SILENT;
    bool numbered = kind == MESSAGE_INSERT_RETRYABLE || kind == MESSAGE_INSERT_GUARDED ||
                    kind == MESSAGE_INSERT_REFUSED || kind == MESSAGE_INSERT_IN_TRANSACTION ||
                    kind == MESSAGE_INSERT_MIXED_RETRYABLE;
    if (kind == MESSAGE_INSERT_TRACED)
        add_comment(body);
    if (kind == MESSAGE_INSERT_VERSIONED)
        build_text(body, "apiVersion", "1");
    if (numbered)
        add_session(body, number, kind == MESSAGE_INSERT_IN_TRANSACTION,
                    kind == MESSAGE_INSERT_IN_TRANSACTION);
    if (silent) {
        build_open_object(body, "writeConcern");
        build_int32(body, "w", 0);
        build_close(body);
    }
}

static const char *database_of(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_GET_MORE_BULK:
    case MESSAGE_KILL_CURSORS_BULK:
    case MESSAGE_BULK_SESSION:
    case MESSAGE_SASL_BOB:
    case MESSAGE_SASL_SILENT:
    case MESSAGE_LOGOUT_ADMIN:
    case MESSAGE_LOGOUT_SILENT:
        return "admin";
    case MESSAGE_SASL_EXTERNAL:
        return "$external";
    default:
        return "d";
    }
}

void rig_write_body(struct build *body, enum message_kind kind, uint32_t number)
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
        add_sasl(body, kind == MESSAGE_SASL_START, "SCRAM-SHA-256");
        break;
    case MESSAGE_END_SESSIONS:
        build_open_array(body, "endSessions");
        build_close(body);
        break;
    case MESSAGE_STATUS:
        build_int32(body, "mongosluice", 1);
        break;
    case MESSAGE_PING:
        build_int32(body, "ping", 1);
        break;
    default:
        if (!write_more(body, kind, number))
            write_insert(body, kind, number);
        break;
    }
    build_text(body, "$db", database_of(kind));
}
