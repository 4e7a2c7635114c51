#include "bench/nullreply.h"

#include <stdio.h>
#include <string.h>

#include <bson/bson.h>

#include "base/memory.h"
#include "bench/document.h"
#include "bench/packed.h"
#include "bson/scan.h"
#include "wire/compressed.h"
#include "wire/header.h"
#include "wire/query.h"
#include "wire/sections.h"

#define OP_MSG_PREFIX_BYTES   (WIRE_HEADER_BYTES + 4 + 1)         /* flags, kind 0 */
#define OP_REPLY_PREFIX_BYTES (WIRE_HEADER_BYTES + 4 + 8 + 4 + 4) /* flags, cursor, from, count */
#define FIRST_BATCH_ELEMENT   (1 + sizeof "firstBatch")           /* type byte and name */
#define CURSOR_ELEMENT        (1 + sizeof "cursor")

struct blob {
    uint8_t *data;
    size_t len;
};

struct null_replies {
    struct blob ok;
    struct blob insert;       /* {n: 0, ok: 1}: n stands first */
    struct blob hello;        /* says isWritablePrimary */
    struct blob legacy_hello; /* says ismaster */
    struct blob build_info;
    struct blob status;      /* of connectionStatus: nobody is logged in */
    struct blob batch;       /* the elements of firstBatch */
    struct blob cursor_tail; /* after firstBatch, to the end of `cursor` */
    size_t *batch_offsets;   /* batch_offsets[n]: bytes of the first n elements */
    int32_t batch_count;
    bool default_majority;
};

struct request {
    struct wire_header header;
    struct scan_element command; /* the body's first element */
    struct bytes body;
    uint32_t flags;
    int32_t documents;
};

static bool blob_take(struct blob *blob, bson_t *document, bool appended)
{
    if (appended)
        blob->data = memory_alloc(document->len);
    if (blob->data != NULL) {
        blob->len = document->len;
        memcpy(blob->data, bson_get_data(document), document->len);
    }
    bson_destroy(document);
    return blob->data != NULL;
}

static bool make_small_replies(struct null_replies *replies)
{
    bson_t ok = BSON_INITIALIZER;
    bson_t insert = BSON_INITIALIZER;
    bson_t info = BSON_INITIALIZER;
    bson_t version;
    bson_t status = BSON_INITIALIZER;
    bson_t auth;
    bson_t users;
    bool made = BSON_APPEND_DOUBLE(&ok, "ok", 1);
    made &= BSON_APPEND_INT32(&insert, "n", 0) && BSON_APPEND_DOUBLE(&insert, "ok", 1);
    made &= BSON_APPEND_UTF8(&info, "version", "7.0.0") &&
            BSON_APPEND_ARRAY_BEGIN(&info, "versionArray", &version) &&
            BSON_APPEND_INT32(&version, "0", 7) && BSON_APPEND_INT32(&version, "1", 0) &&
            BSON_APPEND_INT32(&version, "2", 0) && BSON_APPEND_INT32(&version, "3", 0) &&
            bson_append_array_end(&info, &version) && BSON_APPEND_DOUBLE(&info, "ok", 1);
    made &= BSON_APPEND_DOCUMENT_BEGIN(&status, "authInfo", &auth) &&
            BSON_APPEND_ARRAY_BEGIN(&auth, "authenticatedUsers", &users) &&
            bson_append_array_end(&auth, &users) && bson_append_document_end(&status, &auth) &&
            BSON_APPEND_DOUBLE(&status, "ok", 1);
    made = blob_take(&replies->status, &status, made) && made;
    made = blob_take(&replies->ok, &ok, made) && made;
    made = blob_take(&replies->insert, &insert, made) && made;
    return blob_take(&replies->build_info, &info, made) && made;
}

static bool append_replica_set(bson_t *hello, const struct null_options *options)
{
    static const bson_oid_t election_id = {{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}};
    bson_t hosts;
    return BSON_APPEND_UTF8(hello, "setName", options->replica_set) &&
           BSON_APPEND_INT32(hello, "setVersion", 1) &&
           BSON_APPEND_BOOL(hello, "secondary", false) &&
           BSON_APPEND_ARRAY_BEGIN(hello, "hosts", &hosts) &&
           BSON_APPEND_UTF8(&hosts, "0", options->address) &&
           bson_append_array_end(hello, &hosts) &&
           BSON_APPEND_UTF8(hello, "primary", options->address) &&
           BSON_APPEND_UTF8(hello, "me", options->address) &&
           BSON_APPEND_OID(hello, "electionId", &election_id);
}

static bool make_hello(struct blob *blob, const struct null_options *options, const char *primary)
{
    bson_t hello = BSON_INITIALIZER;
    bool made = BSON_APPEND_BOOL(&hello, "helloOk", true) &&
                BSON_APPEND_BOOL(&hello, primary, true) &&
                (options->replica_set == NULL || append_replica_set(&hello, options)) &&
                BSON_APPEND_INT32(&hello, "maxBsonObjectSize", 16 * 1024 * 1024) &&
                BSON_APPEND_INT32(&hello, "maxMessageSizeBytes", NULL_MAX_MESSAGE_BYTES) &&
                BSON_APPEND_INT32(&hello, "maxWriteBatchSize", 100000) &&
                BSON_APPEND_DATE_TIME(&hello, "localTime", INT64_C(1700000000000)) &&
                BSON_APPEND_INT32(&hello, "logicalSessionTimeoutMinutes", 30) &&
                BSON_APPEND_INT32(&hello, "connectionId", 1) &&
                BSON_APPEND_INT32(&hello, "minWireVersion", 0) &&
                BSON_APPEND_INT32(&hello, "maxWireVersion", 21) &&
                BSON_APPEND_BOOL(&hello, "readOnly", false) && BSON_APPEND_DOUBLE(&hello, "ok", 1);
    return blob_take(blob, &hello, made);
}

/* Encodes the batch's elements, each `03 "<index>\0" document`, and the bytes after firstBatch. */
static bool make_batch(struct null_replies *replies, const struct null_options *options)
{
    size_t document_len = 0;
    uint8_t *document = document_make(options->document_bytes, &document_len);
    size_t count = (size_t)options->find_documents;
    replies->batch_offsets = memory_array(count + 1, sizeof *replies->batch_offsets);
    bool fits = document != NULL && count <= NULL_MAX_MESSAGE_BYTES / 2 / (document_len + 16);
    if (fits)
        replies->batch.data = memory_alloc(count * (document_len + 16));
    if (!fits || replies->batch_offsets == NULL || replies->batch.data == NULL) {
        memory_free(document);
        return false;
    }
    uint8_t *at = replies->batch.data;
    for (size_t i = 0; i < count; i++) {
        *at++ = BSON_KIND_OBJECT;
        at += snprintf((char *)at, 12, "%zu", i) + 1;
        document_set_id(document, i);
        memcpy(at, document, document_len);
        at += document_len;
        replies->batch_offsets[i + 1] = (size_t)(at - replies->batch.data);
    }
    replies->batch.len = replies->batch_offsets[count];
    replies->batch_count = options->find_documents;
    memory_free(document);
    bson_t tail = BSON_INITIALIZER;
    bool made = BSON_APPEND_INT64(&tail, "id", 0) && BSON_APPEND_UTF8(&tail, "ns", "bench.items");
    return blob_take(&replies->cursor_tail, &tail, made);
}

struct null_replies *null_replies_make(const struct null_options *options)
{
    struct null_replies *replies = memory_zalloc(sizeof *replies);
    if (replies == NULL)
        return NULL;
    replies->default_majority = options->default_majority;
    if (make_small_replies(replies) && make_hello(&replies->hello, options, "isWritablePrimary") &&
        make_hello(&replies->legacy_hello, options, "ismaster") && make_batch(replies, options))
        return replies;
    null_replies_free(replies);
    return NULL;
}

void null_replies_free(struct null_replies *replies)
{
    if (replies == NULL)
        return;
    memory_free(replies->ok.data);
    memory_free(replies->insert.data);
    memory_free(replies->hello.data);
    memory_free(replies->legacy_hello.data);
    memory_free(replies->build_info.data);
    memory_free(replies->status.data);
    memory_free(replies->batch.data);
    memory_free(replies->cursor_tail.data);
    memory_free(replies->batch_offsets);
    memory_free(replies);
}

/* Appends the reply's frame for a document of `document_len` bytes. The caller writes the document
 * at the returned place. NULL without memory. */
static uint8_t *append_frame(struct bench_buffer *out, const struct request *request,
                             size_t document_len)
{
    bool legacy = request->header.opcode == WIRE_OP_QUERY;
    size_t prefix = legacy ? OP_REPLY_PREFIX_BYTES : OP_MSG_PREFIX_BYTES;
    if (!bench_buffer_reserve(out, prefix + document_len))
        return NULL;
    uint8_t *at = out->data + out->len;
    memset(at, 0, prefix);
    struct wire_header header = {.length = (int32_t)(prefix + document_len),
                                 .request_id = request->header.request_id,
                                 .response_to = request->header.request_id,
                                 .opcode = legacy ? WIRE_OP_REPLY : WIRE_OP_MSG};
    wire_header_write(at, &header);
    if (legacy) {
        at[WIRE_HEADER_BYTES] = 8; /* AwaitCapable, as servers set it */
        at[OP_REPLY_PREFIX_BYTES - 4] = 1;
    }
    out->len += prefix + document_len;
    return at + prefix;
}

static bool append_blob(struct bench_buffer *out, const struct request *request,
                        const struct blob *blob)
{
    uint8_t *at = append_frame(out, request, blob->len);
    if (at != NULL)
        memcpy(at, blob->data, blob->len);
    return at != NULL;
}

static bool append_insert(struct bench_buffer *out, const struct request *request,
                          const struct blob *blob)
{
    uint8_t *at = append_frame(out, request, blob->len);
    if (at == NULL)
        return false;
    memcpy(at, blob->data, blob->len);
    bytes_store_i32(at + 4 + 1 + sizeof "n", request->documents);
    return true;
}

/* As many documents as `limit` allows. */
static int32_t count_found(const struct request *request, const struct null_replies *replies)
{
    struct scan_element limit;
    int64_t wanted = 0;
    if (scan_find(request->body, "limit", &limit) && scan_as_int64(&limit, &wanted) && wanted > 0 &&
        wanted < replies->batch_count)
        return (int32_t)wanted;
    return replies->batch_count;
}

/* {cursor: {firstBatch: […], id: 0, ns: …}, ok: 1} with `count` documents. */
static bool append_cursor(struct bench_buffer *out, const struct request *request,
                          const struct null_replies *replies, int32_t count)
{
    size_t batch = 4 + replies->batch_offsets[count] + 1;
    /* The tail document's length field goes, its final NUL ends `cursor`. */
    size_t cursor = 4 + FIRST_BATCH_ELEMENT + batch + replies->cursor_tail.len - 4;
    size_t total = 4 + CURSOR_ELEMENT + cursor + replies->ok.len - 4;
    uint8_t *at = append_frame(out, request, total);
    if (at == NULL)
        return false;
    bytes_store_i32(at, (int32_t)total);
    memcpy(at + 4,
           "\x03"
           "cursor",
           CURSOR_ELEMENT);
    at += 4 + CURSOR_ELEMENT;
    bytes_store_i32(at, (int32_t)cursor);
    memcpy(at + 4,
           "\x04"
           "firstBatch",
           FIRST_BATCH_ELEMENT);
    at += 4 + FIRST_BATCH_ELEMENT;
    bytes_store_i32(at, (int32_t)batch);
    memcpy(at + 4, replies->batch.data, batch - 5);
    at[batch - 1] = 0;
    at += batch;
    memcpy(at, replies->cursor_tail.data + 4, replies->cursor_tail.len - 4);
    memcpy(at + replies->cursor_tail.len - 4, replies->ok.data + 4, replies->ok.len - 4);
    return true;
}

static bool count_sequence(struct bytes section, int32_t *count)
{
    const char *name = NULL;
    size_t name_len = 0;
    if (!bytes_read_cstring(&section, &name, &name_len))
        return false;
    if (strcmp(name, "documents") != 0)
        return true;
    while (bytes_left(&section) >= 4) {
        int32_t len = bytes_load_i32(section.pos);
        if (len < 5 || !bytes_skip(&section, (size_t)len))
            return false;
        (*count)++;
    }
    return bytes_left(&section) == 0;
}

static bool count_array(struct bytes body, int32_t *count)
{
    struct scan_element array;
    struct scan scan;
    struct scan_element element;
    if (!scan_find(body, "documents", &array))
        return true;
    if (array.kind != BSON_KIND_ARRAY || !scan_open(&scan, array.value))
        return false;
    while (scan_next(&scan, &element))
        (*count)++;
    return !scan.broken;
}

static bool read_sections(struct bytes payload, struct request *request)
{
    struct bytes flags;
    if (!bytes_take(&payload, 4, &flags))
        return false;
    request->flags = bytes_load_u32(flags.pos);
    if (request->flags & WIRE_FLAG_CHECKSUM_PRESENT) {
        if (bytes_left(&payload) < 4)
            return false;
        payload.end -= 4;
    }
    uint8_t kind = 0;
    while (bytes_read_u8(&payload, &kind)) {
        struct bytes section;
        if (kind > 1 || bytes_left(&payload) < 4)
            return false;
        int32_t len = bytes_load_i32(payload.pos);
        if (len < 5 || !bytes_take(&payload, (size_t)len, &section))
            return false;
        if (kind == 0) {
            request->body = section;
            continue;
        }
        section.pos += 4;
        if (!count_sequence(section, &request->documents))
            return false;
    }
    return request->body.pos != NULL;
}

static bool read_request(struct bytes message, struct request *request)
{
    *request = (struct request){.header = wire_header_read(message.pos)};
    struct bytes payload = message;
    struct scan scan;
    if (!bytes_skip(&payload, WIRE_HEADER_BYTES))
        return false;
    if (request->header.opcode == WIRE_OP_QUERY) {
        struct wire_query query;
        if (!wire_query_read(payload, &query, NULL))
            return false;
        request->body = query.command;
    } else if (request->header.opcode != WIRE_OP_MSG || !read_sections(payload, request)) {
        return false;
    }
    return scan_open(&scan, request->body) && scan_next(&scan, &request->command);
}

/* The counters, under the names that MongoDB has where it has one. */
static bool append_server_status(struct bench_buffer *out, const struct request *request,
                                 const struct null_counters *counters)
{
    bson_t status = BSON_INITIALIZER;
    bson_t connections;
    bool made = BSON_APPEND_DOCUMENT_BEGIN(&status, "connections", &connections) &&
                BSON_APPEND_INT64(&connections, "current", (int64_t)counters->open) &&
                BSON_APPEND_INT64(&connections, "totalCreated", (int64_t)counters->opened) &&
                bson_append_document_end(&status, &connections) &&
                BSON_APPEND_INT64(&status, "commands", (int64_t)counters->messages) &&
                BSON_APPEND_DOUBLE(&status, "ok", 1);
    uint8_t *at = made ? append_frame(out, request, status.len) : NULL;
    if (at != NULL)
        memcpy(at, bson_get_data(&status), status.len);
    bson_destroy(&status);
    return at != NULL;
}

static bool is_legacy_hello(const struct scan_element *name)
{
    return scan_name_is(name, "ismaster") || scan_name_is(name, "isMaster");
}

static bool is_write(const struct scan_element *name)
{
    static const char *const writes[] = {"insert",    "update",        "delete",
                                         "bulkWrite", "findAndModify", "commitTransaction"};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
        if (scan_name_is(name, writes[i]))
            return true;
    return false;
}

/* Does it wait for the journal, as a replica set's primary does: for j, for the majority, a tag, or
 * other members? */
static bool waits_for_journal(const struct null_replies *replies, struct bytes body)
{
    struct scan_element concern;
    struct scan_element element;
    int64_t members = 0;
    if (!scan_find(body, "writeConcern", &concern) || concern.kind != BSON_KIND_OBJECT)
        return replies->default_majority;
    if (scan_find(concern.value, "j", &element) && scan_is_true(&element))
        return true;
    if (!scan_find(concern.value, "w", &element))
        return replies->default_majority;
    return !scan_as_int64(&element, &members) || members > 1;
}

static void note_asked(const struct null_replies *replies, const struct request *request,
                       struct null_asked *asked)
{
    const struct scan_element *name = &request->command;
    struct scan_element number;
    asked->handshake = scan_name_is(name, "hello") || is_legacy_hello(name);
    asked->insert = scan_name_is(name, "insert");
    asked->documents = request->documents;
    asked->retryable = asked->insert && scan_find(request->body, "txnNumber", &number);
    asked->durable = is_write(name) && waits_for_journal(replies, request->body);
}

static bool append_reply(const struct null_replies *replies, const struct request *request,
                         struct null_counters *counters, struct bench_buffer *out)
{
    const struct scan_element *name = &request->command;
    if (scan_name_is(name, "insert")) {
        counters->inserts++;
        counters->documents += (uint64_t)request->documents;
        return append_insert(out, request, &replies->insert);
    }
    if (scan_name_is(name, "find")) {
        counters->finds++;
        return append_cursor(out, request, replies, count_found(request, replies));
    }
    if (scan_name_is(name, "listCollections") || scan_name_is(name, "listIndexes"))
        return append_cursor(out, request, replies, 0);
    if (scan_name_is(name, "hello"))
        return append_blob(out, request, &replies->hello);
    if (is_legacy_hello(name))
        return append_blob(out, request, &replies->legacy_hello);
    if (scan_name_is(name, "buildInfo") || scan_name_is(name, "buildinfo"))
        return append_blob(out, request, &replies->build_info);
    if (scan_name_is(name, "serverStatus"))
        return append_server_status(out, request, counters);
    if (scan_name_is(name, "connectionStatus"))
        return append_blob(out, request, &replies->status);
    return append_blob(out, request, &replies->ok);
}

static enum null_verdict answer_plain(const struct null_replies *replies, struct bytes message,
                                      struct null_counters *counters, struct bench_buffer *out,
                                      struct null_asked *asked)
{
    struct request request;
    size_t before = out->len;
    *asked = (struct null_asked){0};
    if (!read_request(message, &request))
        return NULL_BROKEN;
    if (scan_name_is(&request.command, "insert") && !count_array(request.body, &request.documents))
        return NULL_BROKEN;
    counters->messages++;
    note_asked(replies, &request, asked);
    if (!append_reply(replies, &request, counters, out))
        return NULL_BROKEN;
    if (request.header.opcode == WIRE_OP_MSG && request.flags & WIRE_FLAG_MORE_TO_COME) {
        out->len = before;
        return NULL_SILENT;
    }
    return NULL_ANSWERED;
}

/* The reply from `at` on is compressed in its place. */
static bool pack_reply(struct bench_buffer *out, size_t at, uint8_t compressor)
{
    uint8_t *packed = NULL;
    size_t len = 0;
    if (!wire_compressed_write(compressor, out->data + at, out->len - at, &packed, &len))
        return false;
    out->len = at;
    bool kept = bench_buffer_append(out, packed, len);
    memory_free(packed);
    return kept;
}

enum null_verdict null_answer(const struct null_replies *replies, struct bytes message,
                              struct null_counters *counters, struct bench_buffer *out,
                              struct null_asked *asked)
{
    uint8_t *plain = NULL;
    size_t len = 0;
    size_t before = out->len;
    uint8_t compressor = 0;
    if (!packed_is(message))
        return answer_plain(replies, message, counters, out, asked);
    if (!packed_open(message, NULL_MAX_MESSAGE_BYTES, &plain, &len, &compressor))
        return NULL_BROKEN;
    enum null_verdict verdict = answer_plain(replies, bytes_of(plain, len), counters, out, asked);
    memory_free(plain);
    if (verdict == NULL_ANSWERED && !pack_reply(out, before, compressor))
        return NULL_BROKEN;
    return verdict;
}
