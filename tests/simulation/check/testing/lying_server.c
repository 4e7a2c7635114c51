#include "lying_server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "application.h"
#include "drivers/frame.h"

enum { STORED_MAX = 256, CONNECTIONS_MAX = 32, DOCUMENTS_MAX = 64, EVENTS_MAX = 256 };

/* A stored document. */
struct stored {
    const char *collection;
    int64_t token;
    int64_t client, user;
    int64_t increments;
    unsigned written;
    bool breaks, deleted;
};

struct accepted {
    struct lying_server *server;
    struct end *end;
    struct frame_bytes in;
    struct timer *later; /* the answer to a getMore that found no event */
    bson_t *late_reply;
    int32_t late_id;
};

struct lying_server {
    struct world *world;
    enum lie lie;
    bool told; /* lies that are told once */
    int32_t next_id;
    struct stored stored[STORED_MAX];
    unsigned count;
    struct accepted accepted[CONNECTIONS_MAX];
    unsigned accepted_count;
    /* The cursor of a find or of a change stream: places in `stored`. */
    unsigned pending[EVENTS_MAX];
    unsigned pending_count, pending_next;
    bool streams;
    bool found_event;                 /* by the last getMore */
    struct stored before[STORED_MAX]; /* the transaction under way */
    unsigned count_before;
};

/* The one server of a test, for cluster_find and cluster_each. */
static struct lying_server *current;

/* A request, parsed. */
struct request {
    int32_t id;
    bool wants_reply;
    bson_t body;
    bson_t documents[DOCUMENTS_MAX]; /* of `documents`, `updates`, `deletes` or `ops` */
    unsigned count;
};

static int32_t read_int32(const uint8_t *data)
{
    uint32_t little;
    memcpy(&little, data, sizeof little);
    return (int32_t)BSON_UINT32_FROM_LE(little);
}

static int64_t integer(const bson_t *document, const char *dotted, int64_t missing)
{
    bson_iter_t iter, found;
    if (!bson_iter_init(&iter, document) || !bson_iter_find_descendant(&iter, dotted, &found)) {
        return missing;
    }
    return bson_iter_as_int64(&found);
}

static const char *text(const bson_t *document, const char *name)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, name) && BSON_ITER_HOLDS_UTF8(&iter)
               ? bson_iter_utf8(&iter, NULL)
               : "";
}

static bool has(const bson_t *document, const char *name)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, name);
}

static bool is_true(const bson_t *document, const char *name)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, name) && bson_iter_as_bool(&iter);
}

static bool subdocument(const bson_t *document, const char *name, bson_t *out)
{
    bson_iter_t iter, found;
    const uint8_t *data;
    uint32_t len;
    if (!bson_iter_init(&iter, document) || !bson_iter_find_descendant(&iter, name, &found) ||
        !BSON_ITER_HOLDS_DOCUMENT(&found)) {
        return false;
    }
    bson_iter_document(&found, &len, &data);
    return bson_init_static(out, data, len);
}

/* True the first time. */
static bool tells(struct lying_server *server, enum lie lie)
{
    if (server->lie != lie || server->told) {
        return false;
    }
    server->told = true;
    return true;
}

/* --- requests --- */

static void add_document(struct request *request, const uint8_t *data)
{
    assert(request->count < DOCUMENTS_MAX);
    size_t len = (size_t)read_int32(data);
    bool read = bson_init_static(&request->documents[request->count++], data, len);
    assert(read);
    (void)read;
}

static void read_sequences(struct request *request, const uint8_t *data, const uint8_t *end)
{
    while (data < end) {
        const uint8_t *section_end = data + 1 + read_int32(data + 1);
        const char *name = (const char *)data + 5;
        bool counts = strcmp(name, "nsInfo") != 0;
        data = data + 5 + strlen(name) + 1;
        while (data < section_end) {
            if (counts) {
                add_document(request, data);
            }
            data += read_int32(data);
        }
    }
}

static void read_arrays(struct request *request)
{
    bson_iter_t iter, item;
    if (bson_iter_init_find(&iter, &request->body, "documents") &&
        bson_iter_recurse(&iter, &item)) {
        while (bson_iter_next(&item)) {
            const uint8_t *data;
            uint32_t len;
            bson_iter_document(&item, &len, &data);
            add_document(request, data);
        }
    }
}

static bool read_request(const struct frame_bytes *in, struct request *out)
{
    if (in->len < 16 || in->len < (size_t)read_int32(in->data)) {
        return false;
    }
    const uint8_t *end = in->data + read_int32(in->data);
    memset(out, 0, sizeof *out);
    out->id = read_int32(in->data + 4);
    if (read_int32(in->data + 12) == 2004) {
        const uint8_t *body = in->data + 16 + 4 + sizeof "admin.$cmd" + 8;
        out->wants_reply = true;
        return bson_init_static(&out->body, body, (size_t)read_int32(body));
    }
    uint32_t flags = (uint32_t)read_int32(in->data + 16);
    const uint8_t *body = in->data + 21;
    out->wants_reply = (flags & FRAME_MORE_TO_COME) == 0;
    bool read = bson_init_static(&out->body, body, (size_t)read_int32(body));
    read_sequences(out, body + read_int32(body), end);
    read_arrays(out);
    return read;
}

static void send_reply(struct accepted *to, int32_t response_to, bson_t *reply)
{
    struct lying_server *server = to->server;
    struct frame_bytes bytes = {0};
    frame_write_msg(&bytes, ++server->next_id, 0, reply, NULL, 0);
    uint32_t little = BSON_UINT32_TO_LE((uint32_t)response_to);
    memcpy(bytes.data + 8, &little, sizeof little);
    if (tells(server, LIE_BREAKS_FRAME)) {
        bytes.data[16] = 1;
    }
    end_send(to->end, bytes.data, bytes.len);
    frame_release(&bytes);
}

/* --- the store --- */

static const char *collection_of(const char *name)
{
    return strcmp(name, APPLICATION_CHECKED) == 0 ? APPLICATION_CHECKED : APPLICATION_OPEN;
}

static struct stored *find_stored(struct lying_server *server, const char *collection,
                                  int64_t token)
{
    for (unsigned i = 0; i < server->count; i++) {
        struct stored *stored = &server->stored[i];
        if (stored->token == token && !stored->deleted &&
            strcmp(stored->collection, collection) == 0) {
            return stored;
        }
    }
    return NULL;
}

static bool breaks_schema(const bson_t *document)
{
    const char *s = text(document, "s");
    return s[0] == '\0' || strlen(s) > 8;
}

/* 0, or the code of the write error. */
static int store(struct lying_server *server, const char *collection, const bson_t *document)
{
    int64_t token = integer(document, "_id", 0);
    bool breaks = breaks_schema(document);
    bool refuses = breaks && strcmp(collection, APPLICATION_CHECKED) == 0;
    if (find_stored(server, collection, token) != NULL) {
        return server->lie == LIE_ACCEPTS_DUPLICATE ? 0 : 11000;
    }
    if (tells(server, LIE_REFUSES_NEW)) {
        return 11000;
    }
    if (tells(server, LIE_REFUSES_VALID)) {
        return 121;
    }
    if (refuses && server->lie != LIE_STORES_REFUSED && server->lie != LIE_ACCEPTS_BROKEN) {
        return 121;
    }
    if (tells(server, LIE_ACKNOWLEDGES_WITHOUT_STORING)) {
        return 0;
    }
    assert(server->count < STORED_MAX);
    struct stored *stored = &server->stored[server->count++];
    *stored = (struct stored){.collection = collection_of(collection),
                              .token = token,
                              .client = integer(document, "c", -1),
                              .user = integer(document, "u", -1),
                              .written = tells(server, LIE_STORES_TWICE) ? 2 : 1,
                              .breaks = breaks};
    if (tells(server, LIE_STORES_UNKNOWN)) {
        server->stored[server->count] = *stored;
        server->stored[server->count++].token += 7;
    }
    return refuses && server->lie == LIE_STORES_REFUSED ? 121 : 0;
}

static void append_error(struct lying_server *server, bson_t *array, unsigned place, unsigned index,
                         int code, const bson_t *document)
{
    bson_t error, part;
    char key[16];
    const char *name;
    bool shifts = tells(server, LIE_NAMES_WRONG_INDEX);
    bool renames = tells(server, LIE_NAMES_WRONG_DOCUMENT);
    int64_t token = integer(document, "_id", 0) + (renames ? 1 : 0);
    bson_uint32_to_string(place, &name, key, sizeof key);
    BSON_APPEND_DOCUMENT_BEGIN(array, name, &error);
    BSON_APPEND_INT32(&error, "index", (int32_t)index + (shifts ? (index == 0 ? 1 : -1) : 0));
    BSON_APPEND_INT32(&error, "code", code);
    BSON_APPEND_DOCUMENT_BEGIN(&error, code == 121 ? "errInfo" : "keyValue", &part);
    BSON_APPEND_INT64(&part, code == 121 ? "failingDocumentId" : "_id", token);
    bson_append_document_end(&error, &part);
    bson_append_document_end(array, &error);
}

static void insert(struct lying_server *server, struct request *request, bson_t *reply)
{
    const char *collection = collection_of(text(&request->body, "insert"));
    bool ordered = is_true(&request->body, "ordered");
    bson_t errors = BSON_INITIALIZER;
    int32_t stored = 0;
    unsigned failed = 0;
    for (unsigned i = 0; i < request->count; i++) {
        int code = store(server, collection, &request->documents[i]);
        stored += code == 0;
        if (code != 0) {
            append_error(server, &errors, failed++, i, code, &request->documents[i]);
            if (ordered) {
                break;
            }
        }
    }
    BSON_APPEND_INT32(reply, "n", stored + (tells(server, LIE_COUNTS_WRONGLY) ? 1 : 0));
    if (failed > 0) {
        BSON_APPEND_ARRAY(reply, "writeErrors", &errors);
    }
    bson_destroy(&errors);
}

/* update or delete of one document: {q: {_id}} or {filter: {_id}}. */
static int32_t change(struct lying_server *server, const char *collection, const bson_t *statement,
                      bool deletes)
{
    int64_t token = integer(statement, "q._id", integer(statement, "filter._id", 0));
    struct stored *stored = find_stored(server, collection, token);
    if (stored == NULL) {
        return 0;
    }
    if (deletes) {
        stored->deleted = server->lie != LIE_KEEPS_DELETED;
    } else if (!tells(server, LIE_FORGETS_INCREMENT)) {
        stored->increments += tells(server, LIE_INCREMENTS_TWICE) ? 2 : 1;
    }
    return 1;
}

static void bulk_write(struct lying_server *server, struct request *request, bson_t *reply)
{
    bson_t cursor, batch;
    int32_t inserted = 0, modified = 0, deleted = 0, errors = 0;
    bool errors_only = is_true(&request->body, "errorsOnly");
    bool ordered = is_true(&request->body, "ordered");
    unsigned place = 0;
    BSON_APPEND_DOCUMENT_BEGIN(reply, "cursor", &cursor);
    BSON_APPEND_INT64(&cursor, "id", 0);
    BSON_APPEND_ARRAY_BEGIN(&cursor, "firstBatch", &batch);
    for (unsigned i = 0; i < request->count; i++) {
        bson_t document, item;
        char key[16];
        const char *name;
        int code = 0;
        int32_t n = 1;
        bson_iter_t iter;
        bson_iter_init(&iter, &request->documents[i]);
        bson_iter_next(&iter);
        const char *kind = bson_iter_key(&iter);
        const char *collection =
            bson_iter_as_int64(&iter) == 0 ? APPLICATION_OPEN : APPLICATION_CHECKED;
        if (strcmp(kind, "insert") == 0) {
            subdocument(&request->documents[i], "document", &document);
            code = store(server, collection, &document);
            n = code == 0;
            inserted += n;
        } else {
            bool deletes = strcmp(kind, "delete") == 0;
            n = change(server, collection, &request->documents[i], deletes);
            *(deletes ? &deleted : &modified) += n;
        }
        if (code != 0 && tells(server, LIE_IGNORES_BULK_ERROR)) {
            code = 0;
        }
        errors += code != 0;
        if (code == 0 && errors_only) {
            continue;
        }
        bson_uint32_to_string(place++, &name, key, sizeof key);
        BSON_APPEND_DOCUMENT_BEGIN(&batch, name, &item);
        BSON_APPEND_DOUBLE(&item, "ok", code == 0);
        BSON_APPEND_INT32(&item, "idx", (int32_t)i);
        BSON_APPEND_INT32(&item, "n", n);
        if (code != 0) {
            BSON_APPEND_INT32(&item, "code", code);
        }
        bson_append_document_end(&batch, &item);
        if (code != 0 && ordered) {
            break;
        }
    }
    bson_append_array_end(&cursor, &batch);
    bson_append_document_end(reply, &cursor);
    BSON_APPEND_INT32(reply, "nErrors", errors);
    BSON_APPEND_INT32(reply, "nInserted", inserted);
    BSON_APPEND_INT32(reply, "nMatched", modified);
    BSON_APPEND_INT32(reply, "nModified", modified);
    BSON_APPEND_INT32(reply, "nUpserted", 0);
    BSON_APPEND_INT32(reply, "nDeleted", deleted);
}

/* --- reads --- */

static void append_stored(struct lying_server *server, const struct stored *stored, bson_t *out)
{
    bool foreign = tells(server, LIE_FINDS_FOREIGN);
    BSON_APPEND_INT64(out, "_id", stored->token);
    BSON_APPEND_INT32(out, "c", (int32_t)stored->client + (foreign ? 1 : 0));
    BSON_APPEND_INT32(out, "u", (int32_t)stored->user);
    BSON_APPEND_INT64(out, "i", stored->increments);
    BSON_APPEND_UTF8(out, "s", "ok");
}

static void append_event(struct lying_server *server, unsigned place, bson_t *out)
{
    const struct stored *stored = &server->stored[place];
    bson_t part;
    char token[16];
    bson_snprintf(token, sizeof token, "%08X", place + 1);
    BSON_APPEND_DOCUMENT_BEGIN(out, "_id", &part);
    BSON_APPEND_UTF8(&part, "_data", token);
    bson_append_document_end(out, &part);
    BSON_APPEND_UTF8(out, "operationType", "insert");
    BSON_APPEND_DOCUMENT_BEGIN(out, "documentKey", &part);
    BSON_APPEND_INT64(&part, "_id", stored->token);
    bson_append_document_end(out, &part);
    BSON_APPEND_DOCUMENT_BEGIN(out, "fullDocument", &part);
    append_stored(server, stored, &part);
    bson_append_document_end(out, &part);
}

/* Documents of the cursor, at most two at a time. */
static void append_batch(struct lying_server *server, bson_t *cursor, const char *name)
{
    bson_t batch, item;
    unsigned place = 0;
    BSON_APPEND_ARRAY_BEGIN(cursor, name, &batch);
    while (server->pending_next < server->pending_count && place < 2) {
        unsigned at = server->pending[server->pending_next++];
        char key[16];
        const char *index;
        if (tells(server, server->streams ? LIE_LOSES_EVENT : LIE_SKIPS_IN_CURSOR)) {
            continue;
        }
        bson_uint32_to_string(place++, &index, key, sizeof key);
        BSON_APPEND_DOCUMENT_BEGIN(&batch, index, &item);
        if (server->streams) {
            append_event(server, at, &item);
        } else {
            append_stored(server, &server->stored[at], &item);
        }
        bson_append_document_end(&batch, &item);
        if (tells(server, server->streams ? LIE_REPEATS_EVENT : LIE_REPEATS_IN_CURSOR)) {
            server->pending_next--;
        }
    }
    bson_append_array_end(cursor, &batch);
}

static void append_cursor(struct lying_server *server, bson_t *reply, const char *batch)
{
    bson_t cursor;
    BSON_APPEND_DOCUMENT_BEGIN(reply, "cursor", &cursor);
    append_batch(server, &cursor, batch);
    bool open = server->streams || server->pending_next < server->pending_count;
    BSON_APPEND_INT64(&cursor, "id", open ? 77 : 0);
    BSON_APPEND_UTF8(&cursor, "ns", "app.open");
    bson_append_document_end(reply, &cursor);
}

static void find(struct lying_server *server, const bson_t *body, bson_t *reply)
{
    const char *collection = collection_of(text(body, "find"));
    int64_t token = integer(body, "filter._id", 0);
    server->pending_count = server->pending_next = 0;
    server->streams = false;
    for (unsigned i = 0; i < server->count && server->lie != LIE_FINDS_NOTHING; i++) {
        const struct stored *stored = &server->stored[i];
        bool gone = stored->deleted && server->lie != LIE_FINDS_DELETED;
        if (strcmp(stored->collection, collection) == 0 && !gone &&
            (token == 0 || token == stored->token)) {
            server->pending[server->pending_count++] = i;
        }
    }
    append_cursor(server, reply, "firstBatch");
}

static void aggregate(struct lying_server *server, bson_t *reply)
{
    server->streams = true;
    server->pending_count = server->pending_next = 0;
    append_cursor(server, reply, "firstBatch");
}

static void get_more(struct lying_server *server, bson_t *reply)
{
    if (server->streams) {
        for (unsigned i = server->pending_count; i < server->count; i++) {
            server->pending[server->pending_count++] = i;
        }
    }
    unsigned before = server->pending_next;
    append_cursor(server, reply, "nextBatch");
    server->found_event = server->pending_next > before;
}

static void hello(struct lying_server *server, const bson_t *body, bson_t *reply)
{
    bson_t hosts;
    (void)body;
    BSON_APPEND_UTF8(reply, "setName", "rs0");
    BSON_APPEND_BOOL(reply, "ismaster", true);
    BSON_APPEND_BOOL(reply, "helloOk", true);
    BSON_APPEND_INT32(reply, "logicalSessionTimeoutMinutes", 30);
    BSON_APPEND_INT32(reply, "maxWireVersion", 25);
    BSON_APPEND_ARRAY_BEGIN(reply, "hosts", &hosts);
    BSON_APPEND_UTF8(&hosts, "0",
                     server->lie == LIE_NAMES_HIDDEN_HOST ? "hidden.example:27017" : "a:27017");
    bson_append_array_end(reply, &hosts);
}

/* SCRAM's messages of a server that does not know the password. */
static void converse(const bson_t *body, bson_t *reply)
{
    char payload[256] = "v=AAAA";
    bson_iter_t iter;
    if (bson_iter_init_find(&iter, body, "saslStart")) {
        const uint8_t *data;
        uint32_t len;
        bson_iter_init_find(&iter, body, "payload");
        bson_iter_binary(&iter, NULL, &len, &data);
        const char *nonce = strstr((const char *)data, "r=");
        bson_snprintf(payload, sizeof payload, "%.*sserver,s=c2FsdA==,i=4096",
                      (int)(len - (uint32_t)(nonce - (const char *)data)), nonce);
    }
    BSON_APPEND_INT32(reply, "conversationId", 1);
    BSON_APPEND_BOOL(reply, "done", false);
    BSON_APPEND_BINARY(reply, "payload", BSON_SUBTYPE_BINARY, (const uint8_t *)payload,
                       (uint32_t)strlen(payload));
}

static void connection_status(struct lying_server *server, bson_t *reply)
{
    bson_t info, users, user;
    BSON_APPEND_DOCUMENT_BEGIN(reply, "authInfo", &info);
    BSON_APPEND_ARRAY_BEGIN(&info, "authenticatedUsers", &users);
    if (server->lie == LIE_NAMES_ANOTHER_USER) {
        BSON_APPEND_DOCUMENT_BEGIN(&users, "0", &user);
        BSON_APPEND_UTF8(&user, "user", "user2");
        bson_append_document_end(&users, &user);
    }
    bson_append_array_end(&info, &users);
    bson_append_document_end(reply, &info);
}

/* The documents of a transaction are stored at once, and taken back by an abort. */
static void end_transaction(struct lying_server *server, bool commits)
{
    if (!commits) {
        memcpy(server->stored, server->before, sizeof server->before);
        server->count = server->count_before;
    } else if (tells(server, LIE_COMMITS_HALF)) {
        server->count--;
    }
}

static void run(struct lying_server *server, struct request *request, const char *name,
                bson_t *reply)
{
    if (has(&request->body, "startTransaction")) {
        memcpy(server->before, server->stored, sizeof server->before);
        server->count_before = server->count;
    }
    if (strcmp(name, "insert") == 0) {
        insert(server, request, reply);
    } else if (strcmp(name, "update") == 0 || strcmp(name, "delete") == 0) {
        const char *collection = collection_of(text(&request->body, name));
        int32_t n = change(server, collection, &request->documents[0], name[0] == 'd');
        BSON_APPEND_INT32(reply, "n", n);
        BSON_APPEND_INT32(reply, "nModified", n);
    } else if (strcmp(name, "bulkWrite") == 0) {
        bulk_write(server, request, reply);
    } else if (strcmp(name, "find") == 0) {
        find(server, &request->body, reply);
    } else if (strcmp(name, "aggregate") == 0) {
        aggregate(server, reply);
    } else if (strcmp(name, "getMore") == 0) {
        get_more(server, reply);
    } else if (strcmp(name, "isMaster") == 0 || strcmp(name, "hello") == 0) {
        hello(server, &request->body, reply);
    } else if (strncmp(name, "sasl", 4) == 0) {
        converse(&request->body, reply);
    } else if (strcmp(name, "connectionStatus") == 0) {
        connection_status(server, reply);
    } else if (strcmp(name, "commitTransaction") == 0 || strcmp(name, "abortTransaction") == 0) {
        end_transaction(server, name[0] == 'c');
    }
}

/* --- connections --- */

static void send_late(void *arg)
{
    struct accepted *to = arg;
    to->later = NULL;
    if (to->end != NULL) {
        send_reply(to, to->late_id, to->late_reply);
    }
    bson_destroy(to->late_reply);
    to->late_reply = NULL;
}

static void answer(struct accepted *from, struct request *request)
{
    struct lying_server *server = from->server;
    bson_iter_t iter;
    bson_iter_init(&iter, &request->body);
    bson_iter_next(&iter);
    const char *name = bson_iter_key(&iter);
    bool is_hello = strcmp(name, "isMaster") == 0 || strcmp(name, "hello") == 0;
    bson_t reply = BSON_INITIALIZER;
    if (!is_hello && tells(server, LIE_FAILS_INSIDE)) {
        BSON_APPEND_INT32(&reply, "ok", 0);
        BSON_APPEND_INT32(&reply, "code", 1);
    } else if (request->wants_reply || server->lie != LIE_DELAYS_UNACKNOWLEDGED) {
        run(server, request, name, &reply);
        BSON_APPEND_INT32(&reply, "ok", 1);
    }
    if (!is_hello && tells(server, LIE_IS_SILENT)) {
        bson_destroy(&reply);
        return;
    }
    if (strcmp(name, "getMore") == 0 && server->streams && !server->found_event) {
        from->late_reply = bson_copy(&reply);
        from->late_id = request->id;
        from->later = world_after(server->world, 500000, send_late, from);
    } else if (request->wants_reply) {
        bool another = !is_hello && tells(server, LIE_ANSWERS_ANOTHER);
        send_reply(from, request->id - (another ? 1 : 0), &reply);
        if (!is_hello && tells(server, LIE_ANSWERS_TWICE)) {
            send_reply(from, request->id, &reply);
        }
    }
    bson_destroy(&reply);
}

static bool is_hello_request(const struct request *request)
{
    return has(&request->body, "isMaster") || has(&request->body, "hello");
}

static void on_came(void *arg, struct end *end, const uint8_t *data, size_t len)
{
    struct accepted *from = arg;
    struct request request;
    frame_append(&from->in, data, len);
    while (read_request(&from->in, &request)) {
        if (!is_hello_request(&request) && tells(from->server, LIE_BREAKS_CONNECTION)) {
            end_reset(end);
            from->end = NULL;
            return;
        }
        answer(from, &request);
        frame_consume(&from->in, (size_t)read_int32(from->in.data));
    }
}

static void on_ended(void *arg, struct end *end, bool reset)
{
    struct accepted *from = arg;
    (void)end;
    (void)reset;
    from->end = NULL;
}

static void on_accepted(void *arg, struct end *end)
{
    static const struct end_handler handler = {.came = on_came, .ended = on_ended};
    struct lying_server *server = arg;
    assert(server->accepted_count < CONNECTIONS_MAX);
    struct accepted *accepted = &server->accepted[server->accepted_count++];
    accepted->server = server;
    accepted->end = end;
    end_handle(end, &handler, accepted);
}

struct lying_server *lying_server_create(struct world *world, enum lie lie)
{
    struct lying_server *server = calloc(1, sizeof *server);
    assert(server != NULL);
    server->world = world;
    server->lie = lie;
    current = server;
    world_listen(world, "a:27017", on_accepted, server);
    return server;
}

void lying_server_destroy(struct lying_server *server)
{
    world_unlisten(server->world, "a:27017");
    for (unsigned i = 0; i < server->accepted_count; i++) {
        struct accepted *accepted = &server->accepted[i];
        if (accepted->end != NULL) {
            end_close(accepted->end);
        }
        world_cancel(server->world, accepted->later);
        bson_destroy(accepted->late_reply);
        frame_release(&accepted->in);
    }
    current = NULL;
    free(server);
}

/* --- in place of the cluster --- */

static void describe(const struct stored *stored, struct cluster_document *out)
{
    bool other = current->lie == LIE_STORES_AS_ANOTHER;
    *out = (struct cluster_document){.token = stored->token,
                                     .user = (unsigned)stored->user + (other ? 1 : 0),
                                     .written = stored->written,
                                     .increments = stored->increments,
                                     .breaks_schema = stored->breaks};
}

bool cluster_find(const struct cluster *cluster, const char *collection, int64_t token,
                  struct cluster_document *out)
{
    (void)cluster;
    const struct stored *stored = find_stored(current, collection, token);
    if (stored != NULL) {
        describe(stored, out);
    }
    return stored != NULL;
}

void cluster_each(const struct cluster *cluster, const char *collection,
                  void (*each)(void *arg, const struct cluster_document *document), void *arg)
{
    (void)cluster;
    for (unsigned i = 0; i < current->count; i++) {
        const struct stored *stored = &current->stored[i];
        if (!stored->deleted && strcmp(stored->collection, collection) == 0) {
            struct cluster_document document;
            describe(stored, &document);
            each(arg, &document);
        }
    }
}
