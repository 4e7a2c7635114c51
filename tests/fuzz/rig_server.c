/* The server of a rig: its connections, and its answers. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bson/scan.h"
#include "session_rig_internal.h"
#include "wire/compressed.h"
#include "wire/sections.h"

void rig_hang_up_upstream(struct rig_upstream *upstream)
{
    close(upstream->fd);
    upstream->fd = -1;
    upstream->have = 0;
    rig_end_login(upstream);
}

int rig_accept(struct rig *rig)
{
    int last = -1;
    for (size_t i = 0; i < RIG_UPSTREAMS; i++) {
        if (rig->upstreams[i].fd >= 0)
            continue;
        int fd = accept4(rig->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            fd = accept4(rig->tcp_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            break;
        rig->upstreams[i].fd = fd;
        rig->upstreams[i].have = 0;
        rig->upstreams[i].uses++;
        last = (int)i;
    }
    return last;
}

bool rig_read_more(struct rig_upstream *upstream)
{
    ssize_t got = recv(upstream->fd, upstream->in + upstream->have,
                       sizeof upstream->in - upstream->have, MSG_DONTWAIT);
    if (got > 0)
        upstream->have += (size_t)got;
    return got > 0 || (got < 0 && errno == EAGAIN);
}

size_t rig_take(struct rig *rig, size_t slot, uint8_t out[RIG_MESSAGE_BYTES])
{
    struct rig_upstream *upstream = &rig->upstreams[slot];
    if (upstream->fd < 0)
        return 0;
    bool gone = upstream->have < sizeof upstream->in && !rig_read_more(upstream);
    uint32_t len = upstream->have >= WIRE_HEADER_BYTES ? bytes_load_u32(upstream->in) : 0;
    bool broken =
        upstream->have >= WIRE_HEADER_BYTES && (len < WIRE_HEADER_BYTES || len > RIG_MESSAGE_BYTES);
    if (broken || len == 0 || upstream->have < len) {
        if (gone || broken)
            rig_hang_up_upstream(upstream);
        return 0;
    }
    memcpy(out, upstream->in, len);
    memmove(upstream->in, upstream->in + len, upstream->have - len);
    upstream->have -= len;
    return len;
}

void rig_reply(struct rig *rig, size_t slot, const uint8_t *data, size_t len)
{
    if (rig->upstreams[slot].fd >= 0)
        (void)send(rig->upstreams[slot].fd, data, len, MSG_NOSIGNAL);
}

void rig_hang_up(struct rig *rig, size_t slot)
{
    if (rig->upstreams[slot].fd >= 0)
        rig_hang_up_upstream(&rig->upstreams[slot]);
}

bool rig_is_open(const struct rig *rig, size_t slot)
{
    return rig->upstreams[slot].fd >= 0;
}

uint32_t rig_slot_uses(const struct rig *rig, size_t slot)
{
    return rig->upstreams[slot].uses;
}

uint64_t rig_batches(const struct rig *rig)
{
    const struct merger_counters *counters = session_worker_merge_counters(rig->worker);
    return atomic_load(&counters->values[MERGER_BATCHES]);
}

/* Documents in the kind-1 sections. */
static int32_t count_documents(struct bytes payload)
{
    int32_t count = 0;
    struct bytes section;
    uint8_t kind = 0;
    (void)bytes_skip(&payload, 4);
    while (bytes_read_u8(&payload, &kind) && bytes_left(&payload) >= 4) {
        int32_t len = bytes_load_i32(payload.pos);
        if (len < 5 || !bytes_take(&payload, (size_t)len, &section) || kind != 1)
            continue;
        (void)bytes_skip(&section, 4 + sizeof "documents");
        while (bytes_left(&section) >= 4 && bytes_load_i32(section.pos) >= 5 &&
               bytes_skip(&section, (size_t)bytes_load_i32(section.pos)))
            count++;
    }
    return count;
}

/* Replies are written by hand: allocations that are made to fail are to be the proxy's. */
static uint8_t *put_int32(uint8_t *at, const char *name, int32_t value)
{
    *at++ = BSON_KIND_INT32;
    at = rig_put(at, name, strlen(name) + 1);
    bytes_store_i32(at, value);
    return at + 4;
}

static uint8_t *put_text(uint8_t *at, const char *name, const char *text)
{
    *at++ = BSON_KIND_STRING;
    at = rig_put(at, name, strlen(name) + 1);
    bytes_store_i32(at, (int32_t)strlen(text) + 1);
    return rig_put(at + 4, text, strlen(text) + 1);
}

/* The place of the document's length, for close_document. */
static uint8_t *open_document(uint8_t *at, uint8_t kind, const char *name, uint8_t **start)
{
    if (name != NULL) {
        *at++ = kind;
        at = rig_put(at, name, strlen(name) + 1);
    }
    *start = at;
    return at + 4;
}

static uint8_t *close_document(uint8_t *at, uint8_t *start)
{
    *at++ = 0;
    bytes_store_i32(start, (int32_t)(at - start));
    return at;
}

static uint8_t *put_int64(uint8_t *at, uint8_t kind, const char *name, int64_t value)
{
    *at++ = kind;
    at = rig_put(at, name, strlen(name) + 1);
    bytes_store_i32(at, (int32_t)(value & UINT32_MAX));
    bytes_store_i32(at + 4, (int32_t)(value >> 32));
    return at + 8;
}

static uint8_t *put_bool(uint8_t *at, const char *name, bool value)
{
    *at++ = BSON_KIND_BOOL;
    at = rig_put(at, name, strlen(name) + 1);
    *at++ = value;
    return at;
}

/* The users of the connection: the one that the proxy logged in, or none. */
static uint8_t *put_users(uint8_t *at, const struct rig_upstream *upstream)
{
    uint8_t *info = NULL;
    uint8_t *list = NULL;
    uint8_t *user = NULL;
    at = open_document(at, BSON_KIND_OBJECT, "authInfo", &info);
    at = open_document(at, BSON_KIND_ARRAY, "authenticatedUsers", &list);
    if (upstream->logged_in) {
        at = open_document(at, BSON_KIND_OBJECT, "0", &user);
        at = put_text(put_text(at, "user", RIG_USER), "db", "admin");
        at = close_document(at, user);
    }
    return close_document(close_document(at, list), info);
}

static bool names(struct bytes payload, const char *text)
{
    return memmem(payload.pos, bytes_left(&payload), text, strlen(text)) != NULL;
}

/* `where` makes it differ from the one before: bits 8 to 10 count, then come another process, one
 * without a version, and one of a secondary. */
static uint8_t *put_hello(uint8_t *at, struct bytes payload, uint32_t where)
{
    enum { OTHER_PROCESS = 0x800, NO_VERSION = 0x1000, SECONDARY = 0x2000 };
    uint8_t *start = NULL;
    uint8_t *part = NULL;
    at = open_document(at, 0, NULL, &start);
    at = put_bool(put_bool(at, "helloOk", true), "isWritablePrimary", (where & SECONDARY) == 0);
    if ((where & NO_VERSION) == 0) {
        at = open_document(at, BSON_KIND_OBJECT, "topologyVersion", &part);
        *at++ = BSON_KIND_OBJECT_ID;
        at = rig_put(at, "processId", sizeof "processId");
        memset(at, 0, 12);
        at[0] = (where & OTHER_PROCESS) != 0 ? 2 : 1;
        at = put_int64(at + 12, BSON_KIND_INT64, "counter", 1 + (where >> 8 & 7));
        at = close_document(at, part);
    }
    at = open_document(at, BSON_KIND_ARRAY, "hosts", &part);
    at = close_document(put_text(at, "0", "a:1"), part);
    at = put_text(put_text(at, "me", "a:1"), "primary", "a:1");
    if (names(payload, "zlib")) {
        at = open_document(at, BSON_KIND_ARRAY, "compression", &part);
        at = close_document(put_text(at, "0", "zlib"), part);
    }
    at = open_document(at, BSON_KIND_ARRAY, "saslSupportedMechs", &part);
    at = close_document(put_text(at, "0", "SCRAM-SHA-256"), part);
    if (names(payload, "speculativeAuthenticate")) {
        at = open_document(at, BSON_KIND_OBJECT, "speculativeAuthenticate", &part);
        at = put_bool(put_int32(at, "conversationId", 1), "done", false);
        at = close_document(put_int32(at, "payload", 1), part);
    }
    at = put_int64(at, BSON_KIND_DATE, "localTime", 1);
    at = put_int32(put_int32(at, "minWireVersion", 0), "maxWireVersion", 25);
    at = put_int32(put_int32(at, "maxBsonObjectSize", 16777216), "maxMessageSizeBytes", 48000000);
    at = put_int32(put_int32(at, "maxWriteBatchSize", 1000), "logicalSessionTimeoutMinutes", 30);
    at = put_int32(put_text(at, "setName", "rs0"), "connectionId", 7);
    return close_document(put_int32(at, "ok", 1), start);
}

/* An open cursor, or (by `where`) an empty one. */
static uint8_t *put_cursor(uint8_t *at, uint32_t where)
{
    uint8_t *start = NULL;
    uint8_t *cursor = NULL;
    uint8_t *list = NULL;
    at = open_document(at, 0, NULL, &start);
    at = open_document(at, BSON_KIND_OBJECT, "cursor", &cursor);
    at = put_int64(at, BSON_KIND_INT64, "id", (where & 7) == 7 ? 0 : RIG_CURSOR);
    at = put_text(at, "ns", "d.other");
    at = open_document(at, BSON_KIND_ARRAY, "firstBatch", &list);
    at = close_document(close_document(at, list), cursor);
    return close_document(put_int32(at, "ok", 1), start);
}

/* A bulkWrite's results, one for each statement that may have come. */
static uint8_t *put_bulk(uint8_t *at, const char *batch, uint32_t where)
{
    uint8_t *start = NULL;
    uint8_t *cursor = NULL;
    uint8_t *list = NULL;
    uint8_t *item = NULL;
    at = open_document(at, 0, NULL, &start);
    at = open_document(at, BSON_KIND_OBJECT, "cursor", &cursor);
    at = put_int64(at, BSON_KIND_INT64, "id", (where & 8) != 0 ? RIG_CURSOR : 0);
    at = open_document(at, BSON_KIND_ARRAY, batch, &list);
    for (int32_t i = 0; i < (int32_t)(where & 3); i++) {
        const char key[] = {(char)('0' + i), 0};
        at = open_document(at, BSON_KIND_OBJECT, key, &item);
        at = put_int32(put_int32(put_int32(at, "ok", 1), "idx", i), "n", 1);
        at = close_document(at, item);
    }
    at = put_text(close_document(at, list), "ns", "admin.$cmd.bulkWrite");
    at = close_document(at, cursor);
    at = put_int32(put_int32(at, "nErrors", 0), "nInserted", (int32_t)(where & 3));
    return close_document(put_int32(at, "ok", 1), start);
}

static uint8_t *put_killed(uint8_t *at)
{
    uint8_t *start = NULL;
    uint8_t *list = NULL;
    at = open_document(at, 0, NULL, &start);
    at = open_document(at, BSON_KIND_ARRAY, "cursorsKilled", &list);
    at = close_document(put_int64(at, BSON_KIND_INT64, "0", RIG_CURSOR), list);
    return close_document(put_int32(at, "ok", 1), start);
}

/* An error with a code that the proxy looks at, or another one. */
static uint8_t *put_code(uint8_t *at, uint32_t where)
{
    static const int32_t codes[] = {43, 13, 18, 251, 20, 6, 50, 59, 225, 391, 11000, 10107};
    uint8_t *start = NULL;
    at = open_document(at, 0, NULL, &start);
    at = put_int32(put_int32(at, "ok", 0), "code", codes[where % (sizeof codes / sizeof codes[0])]);
    return close_document(put_text(at, "errmsg", "refused"), start);
}

static uint8_t *put_reply(uint8_t *at, const struct rig_upstream *upstream, int32_t documents,
                          bool asks, enum rig_answer how)
{
    uint8_t *start = NULL;
    uint8_t *list = NULL;
    uint8_t *item = NULL;
    at = open_document(at, 0, NULL, &start);
    if (how == RIG_ANSWER_ERROR) {
        at = put_int32(put_int32(at, "ok", 0), "code", 91);
        at = put_text(at, "errmsg", "going down");
        at = open_document(at, BSON_KIND_ARRAY, "errorLabels", &list);
        at = put_text(at, "0", "RetryableWriteError");
        return close_document(close_document(at, list), start);
    }
    bool fails = how == RIG_ANSWER_WRITE_ERROR && documents > 0;
    if (asks)
        at = put_users(at, upstream);
    at = put_int32(at, "n", documents - fails);
    if (fails) {
        at = open_document(at, BSON_KIND_ARRAY, "writeErrors", &list);
        at = open_document(at, BSON_KIND_OBJECT, "0", &item);
        at = put_int32(put_int32(at, "index", 0), "code", 11000);
        at = put_text(at, "errmsg", "E11000");
        at = close_document(close_document(at, item), list);
    }
    return close_document(put_int32(at, "ok", 1), start);
}

/* Whether a message's body, if it comes first, is that command. */
static bool is_command(struct bytes payload, const char *name)
{
    enum { NAME_AT = 4 + 1 + 4 + 1 }; /* flags, section's kind, document's length, field's kind */
    size_t len = strlen(name) + 1;
    return bytes_left(&payload) > NAME_AT + len && memcmp(payload.pos + NAME_AT, name, len) == 0;
}

/* The document of the answer. */
static uint8_t *put_answer(uint8_t *at, struct rig_upstream *upstream, struct bytes payload,
                           enum rig_answer how, uint32_t where)
{
    bool right = how != RIG_ANSWER_ERROR && how != RIG_ANSWER_WRITE_ERROR && how != RIG_ANSWER_CODE;
    if (how == RIG_ANSWER_CODE)
        return put_code(at, where);
    uint8_t *end = right ? rig_answer_login(upstream, payload, at) : NULL;
    if (end != NULL)
        return end;
    if (right && (is_command(payload, "hello") || is_command(payload, "isMaster") ||
                  is_command(payload, "ismaster")))
        return put_hello(at, payload, where);
    if (right && (is_command(payload, "find") || is_command(payload, "aggregate")))
        return put_cursor(at, where);
    if (right && is_command(payload, "bulkWrite"))
        return put_bulk(at, "firstBatch", where);
    if (right && is_command(payload, "getMore"))
        return put_bulk(at, "nextBatch", where);
    if (right && is_command(payload, "killCursors"))
        return put_killed(at);
    return put_reply(at, upstream, count_documents(payload),
                     is_command(payload, "connectionStatus"), how);
}

/* The message as an OP_COMPRESSED that is not compressed. Returns its length. */
static size_t wrap(uint8_t *message, size_t len)
{
    struct wire_header header = wire_header_read(message);
    uint8_t *payload = message + WIRE_HEADER_BYTES;
    memmove(payload + WIRE_COMPRESSED_BYTES, payload, len - WIRE_HEADER_BYTES);
    bytes_store_i32(payload, header.opcode);
    bytes_store_i32(payload + 4, (int32_t)(len - WIRE_HEADER_BYTES));
    payload[8] = WIRE_COMPRESSOR_NOOP;
    header.opcode = WIRE_OP_COMPRESSED;
    header.length = (int32_t)(len + WIRE_COMPRESSED_BYTES);
    wire_header_write(message, &header);
    return len + WIRE_COMPRESSED_BYTES;
}

/* Writes the answer's message to `out`, which has room for it, and returns its length. */
static size_t make_answer(struct rig_upstream *upstream, struct bytes message, enum rig_answer how,
                          uint32_t where, uint8_t *out)
{
    enum { REPLY_FIELDS_BYTES = 20, NUMBER_RETURNED_AT = 16 };
    struct wire_header header = wire_header_read(message.pos);
    struct bytes payload =
        bytes_of(message.pos + WIRE_HEADER_BYTES, bytes_left(&message) - WIRE_HEADER_BYTES);
    uint8_t *at = out + WIRE_HEADER_BYTES;
    size_t front = how == RIG_ANSWER_LEGACY ? REPLY_FIELDS_BYTES : 5;
    memset(at, 0, front);
    if (how == RIG_ANSWER_LEGACY)
        at[NUMBER_RETURNED_AT] = 1;
    else if (how == RIG_ANSWER_MORE)
        bytes_store_i32(at, WIRE_FLAG_MORE_TO_COME);
    const uint8_t *end = put_answer(at + front, upstream, payload, how, where);
    size_t len = (size_t)(end - out);
    struct wire_header reply = {.length = (int32_t)len,
                                .request_id = (int32_t)where,
                                .response_to = header.request_id + (how == RIG_ANSWER_TO_NOBODY),
                                .opcode = how == RIG_ANSWER_LEGACY ? WIRE_OP_REPLY : WIRE_OP_MSG};
    wire_header_write(out, &reply);
    return how == RIG_ANSWER_COMPRESSED ? wrap(out, len) : len;
}

/* A reply that holds nothing but a long string. Sends what the proxy takes; if this is not all, the
 * connection ends. */
static void send_large(struct rig *rig, struct rig_upstream *upstream, struct bytes message)
{
    enum { PADDING_BYTES = 700000, PORTIONS_MAX = 12 };
    static uint8_t out[PADDING_BYTES + 64];
    static char text[PADDING_BYTES];
    uint8_t *start = NULL;
    memset(text, 'x', sizeof text - 1);
    memset(out + WIRE_HEADER_BYTES, 0, 5);
    uint8_t *end = open_document(out + WIRE_HEADER_BYTES + 5, 0, NULL, &start);
    end = close_document(put_int32(put_text(end, "x", text), "ok", 1), start);
    size_t len = (size_t)(end - out);
    struct wire_header header = {.length = (int32_t)len,
                                 .response_to = wire_header_read(message.pos).request_id,
                                 .opcode = WIRE_OP_MSG};
    wire_header_write(out, &header);
    size_t at = 0;
    for (int i = 0; i < PORTIONS_MAX && at < len; i++) {
        ssize_t sent = send(upstream->fd, out + at, len - at, MSG_NOSIGNAL);
        at += sent > 0 ? (size_t)sent : 0;
        rig_settle(rig);
    }
    if (at < len)
        shutdown(upstream->fd, SHUT_RDWR); /* the next round closes it */
}

static void answer(struct rig *rig, struct rig_upstream *upstream, struct bytes message,
                   enum rig_answer how, uint32_t where)
{
    enum { RESPONSE_TO_AT = 8 };
    uint8_t out[RIG_MESSAGE_BYTES];
    if (how == RIG_ANSWER_LARGE) {
        send_large(rig, upstream, message);
        return;
    }
    size_t len = make_answer(upstream, message, how, where, out);
    size_t first = how == RIG_ANSWER_CUT || how == RIG_ANSWER_IN_PARTS ? len / 2 : len;
    if (how == RIG_ANSWER_MUTATED)
        out[where % len] ^= (uint8_t)(1 + (where >> 8) % 255);
    (void)send(upstream->fd, out, first, MSG_NOSIGNAL);
    if (how == RIG_ANSWER_TWICE)
        (void)send(upstream->fd, out, len, MSG_NOSIGNAL);
    if (how == RIG_ANSWER_IN_PARTS) {
        rig_settle(rig);
        (void)send(upstream->fd, out + first, len - first, MSG_NOSIGNAL);
    }
    if (how == RIG_ANSWER_MORE) {
        bytes_store_i32(out + WIRE_HEADER_BYTES, 0);
        bytes_store_i32(out + RESPONSE_TO_AT, (int32_t)where);
        (void)send(upstream->fd, out, len, MSG_NOSIGNAL);
    }
}

/* Drops the header of the PROXY protocol that the connection begins with. */
static void drop_proxy_header(struct rig_upstream *upstream)
{
    static const uint8_t signature[12] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};
    enum { LENGTH_AT = 14, FRONT_BYTES = 16 };
    if (upstream->have < FRONT_BYTES || memcmp(upstream->in, signature, sizeof signature) != 0)
        return;
    size_t len = FRONT_BYTES + ((size_t)upstream->in[LENGTH_AT] << 8) + upstream->in[LENGTH_AT + 1];
    len = len < upstream->have ? len : upstream->have;
    memmove(upstream->in, upstream->in + len, upstream->have - len);
    upstream->have -= len;
}

/* Answers the whole messages that have come. */
static size_t answer_all(struct rig *rig, struct rig_upstream *upstream, enum rig_answer how,
                         uint32_t where)
{
    size_t seen = 0;
    size_t at = 0;
    drop_proxy_header(upstream);
    while (upstream->have - at >= WIRE_HEADER_BYTES) {
        uint32_t len = bytes_load_u32(upstream->in + at);
        if (len < WIRE_HEADER_BYTES || len > upstream->have - at)
            break;
        struct bytes message = bytes_of(upstream->in + at, len);
        if (how == RIG_ANSWER_QUESTIONS && len > WIRE_HEADER_BYTES + 4 &&
            count_documents(bytes_of(message.pos + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES)) > 0)
            break;
        at += len;
        seen++;
        if (how != RIG_ANSWER_NONE && len > WIRE_HEADER_BYTES + 4 &&
            (bytes_load_u32(message.pos + WIRE_HEADER_BYTES) & WIRE_FLAG_MORE_TO_COME) == 0)
            answer(rig, upstream, message, how, where);
    }
    memmove(upstream->in, upstream->in + at, upstream->have - at);
    upstream->have -= at;
    if (upstream->have == sizeof upstream->in)
        upstream->have = 0; /* one that is too long for this server: it is not answered */
    return seen;
}

size_t rig_serve(struct rig *rig, enum rig_answer how, uint32_t where)
{
    size_t seen = 0;
    (void)rig_accept(rig);
    for (size_t i = 0; i < RIG_UPSTREAMS; i++) {
        struct rig_upstream *upstream = &rig->upstreams[i];
        if (upstream->fd < 0)
            continue;
        size_t had = upstream->have;
        bool gone = !rig_read_more(upstream);
        bool got = upstream->have > had;
        if (!gone && how != RIG_ANSWER_HANGUP)
            seen += answer_all(rig, upstream, how, where);
        if (gone || ((how == RIG_ANSWER_HANGUP || how == RIG_ANSWER_CUT) && got))
            rig_hang_up_upstream(upstream);
    }
    return seen;
}

void rig_serve_raw(struct rig *rig, const uint8_t *data, size_t len)
{
    (void)rig_accept(rig);
    for (size_t i = RIG_UPSTREAMS; i > 0; i--)
        if (rig->upstreams[i - 1].fd >= 0) {
            (void)send(rig->upstreams[i - 1].fd, data, len, MSG_NOSIGNAL);
            return;
        }
}
