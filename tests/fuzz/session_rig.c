#include "session_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "bson/build.h"
#include "bson/scan.h"
#include "catalog/registry.h"
#include "schema/file.h"
#include "session/hello_stream.h"
#include "session/observe.h"
#include "session/session.h"
#include "wire/header.h"
#include "wire/reply.h"
#include "wire/sections.h"

enum { READ_BYTES = 65536, END_MS = 10000, SOCKET_BYTES = 1 << 20 };

/* A requestID with a tag. No garbage looks like one. */
enum { TAG_MARK = 0x5A, TAG_MARK_AT = 24, TAG_AT = 16 };

struct upstream {
    int fd; /* -1: none */
    uint32_t uses;
    size_t have;
    uint8_t in[READ_BYTES];
};

/* The replies of a client's connection, as far as they were read. */
struct watch {
    unsigned tag; /* 0: none */
    size_t have;  /* of the header */
    size_t left;  /* of the message after its header */
    uint8_t header[WIRE_HEADER_BYTES];
};

struct rig {
    struct session_shared shared;
    struct session_worker *worker;
    struct worker *loop; /* of the hello streams; NULL: none */
    struct session_settings *merging;
    struct session_settings *plain;
    int listen_fd;
    char folder[32];
    char path[48];
    int clients[RIG_CLIENTS]; /* -1: none */
    struct watch watches[RIG_CLIENTS];
    struct upstream upstreams[RIG_UPSTREAMS];
    uint64_t received;
};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "session rig: %s\n", what);
    abort();
}

/* --- the proxy ----------------------------------------------------------------------------------
 */

static const char *const schemas[] = {
    "{\"ns\":\"d.guarded\",\"versions\":[{\"schema\":{\"required\":[\"a\"],\"properties\":{\"a\":{"
    "\"bsonType\":\"int\",\"minimum\":0}}}},{\"schema\":{\"required\":[\"a\"],\"properties\":{"
    "\"a\":{"
    "\"bsonType\":\"int\",\"minimum\":5}}}},{\"schema\":{},\"accepted_until\":{\"$date\":"
    "\"2001-01-01T00:00:00Z\"}}],\"candidate\":{\"schema\":{\"required\":[\"b\"]}}}",
    "{\"ns\":\"d.warned\",\"action\":\"warn\",\"schema\":{\"required\":[\"a\"]}}",
};

static struct registry *make_registry(void)
{
    struct registry *registry = registry_new();
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        struct schema_file file;
        struct error err;
        require(schema_file_parse(schemas[i], strlen(schemas[i]), NULL, NULL, &file, &err),
                "a schema is wrong");
        require(registry_put(registry, registry_entry_new(&file, REGISTRY_FILE, "rig")), "memory");
    }
    return registry;
}

static struct session_settings *make_settings(bool merging, enum rig_mode mode)
{
    struct config *config = NULL;
    struct error err = {0};
    char yaml[320];
    int len = snprintf(yaml, sizeof yaml,
                       "upstream: mongodb://127.0.0.1:1/\nlisten: 127.0.0.1:1\nmax_message_bytes: "
                       "2000000\nmemory_max: 8MiB\nmerge:\n  enabled: %s\npool:\n  mode: %s\n"
                       "  max_size: 3\n  max_total: 10\n",
                       merging ? "true" : "false", mode == RIG_SHARED ? "shared" : "session");
    if (!config_load_yaml("rig", yaml, (size_t)len, &config, &err))
        require(false, err.message);
    return session_settings_new(config, NULL, NULL);
}

static uint16_t port_of_member(void *context, const char *member, size_t len)
{
    (void)context;
    (void)member;
    return (uint16_t)(len + 1);
}

static void explain_no_server(void *context, char cause[SESSION_CAUSE_BYTES])
{
    (void)context;
    cause[0] = 0;
}

static uint32_t collections_change(void *context, const char *first, const char *second)
{
    (void)context;
    return (uint32_t)(strlen(first) + (second == NULL ? 0 : strlen(second)) + 1);
}

static void collections_changed(void *context, uint32_t change, bool lost)
{
    (void)context;
    (void)lost;
    require(change != 0, "a change that never began");
}

static void open_server(struct rig *rig)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/sluice-rig-XXXXXX");
    require(mkdtemp(rig->folder) != NULL, "no temporary folder");
    (void)snprintf(rig->path, sizeof rig->path, "%s/s", rig->folder);
    memcpy(at.sun_path, rig->path, strlen(rig->path) + 1);
    rig->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    require(rig->listen_fd >= 0 && bind(rig->listen_fd, (struct sockaddr *)&at, sizeof at) == 0 &&
                listen(rig->listen_fd, 128) == 0,
            "the server cannot listen");
}

/* --- the hello streams, of shared mode ---
 */

static void hellos_changed(void *arg)
{
    session_worker_look_at_hellos(((struct rig *)arg)->worker);
}

static void stop_hellos(void *context)
{
    hello_streams_stop(((struct rig *)context)->shared.hello_streams);
}

static void do_nothing(void *context)
{
    (void)context;
}

static void open_hellos(struct rig *rig)
{
    struct error err = {0};
    struct worker_settings thread = {
        .name = "hello", .context = rig, .tick_ms = 1000, .tick = do_nothing, .stop = stop_hellos};
    require(worker_create(&thread, &rig->loop, &err), err.message);
    struct hello_streams_settings settings = {.loop = rig->loop,
                                              .budget = &rig->shared.budget,
                                              .board = &rig->shared.hello_board,
                                              .changed = hellos_changed,
                                              .arg = rig};
    rig->shared.hello_streams = hello_streams_create(&settings);
    require(rig->shared.hello_streams != NULL, "memory");
    require(worker_run(rig->loop, &err), err.message);
}

struct rig *rig_open(enum rig_mode mode)
{
    struct error err = {0};
    struct rig *rig = calloc(1, sizeof *rig);
    require(rig != NULL, "memory");
    log_configure(-1, LOG_FORMAT_JSON, LOG_FATAL);
    for (size_t i = 0; i < RIG_CLIENTS; i++)
        rig->clients[i] = -1;
    for (size_t i = 0; i < RIG_UPSTREAMS; i++)
        rig->upstreams[i].fd = -1;
    open_server(rig);
    struct session_shared *shared = &rig->shared;
    shared->started_ms = clock_now_ms();
    atomic_store(&shared->budget.limit_bytes, (size_t)8 * 1024 * 1024);
    shared->transactions = transactions_create();
    shared->bulk_cursors = bulk_cursors_create(&shared->budget);
    shared->awaited_cursors = awaited_cursors_create();
    schemas_in_force_init(&shared->in_force);
    shared->retries = retry_table_create((size_t)1024 * 1024);
    shared->hooks = (struct session_hooks){.context = rig,
                                           .port_of_member = port_of_member,
                                           .explain_no_server = explain_no_server,
                                           .collections_change = collections_change,
                                           .collections_changed = collections_changed};
    hello_board_init(&shared->hello_board);
    rig->merging = make_settings(true, mode);
    rig->plain = make_settings(false, mode);
    rig->worker = session_worker_start(0, shared, rig->merging, &err);
    require(rig->worker != NULL, err.message);
    struct registry *registry = make_registry();
    schemas_in_force_publish(&shared->in_force, registry);
    registry_release(registry);
    if (mode == RIG_SHARED)
        open_hellos(rig);
    return rig;
}

void rig_close(struct rig *rig)
{
    if (rig->loop != NULL)
        worker_stop(rig->loop); /* it posts to the session worker */
    session_worker_stop(rig->worker);
    hello_streams_destroy(rig->shared.hello_streams);
    hello_board_release(&rig->shared.hello_board);
    schemas_in_force_release(&rig->shared.in_force);
    session_settings_release(rig->merging);
    session_settings_release(rig->plain);
    transactions_destroy(rig->shared.transactions);
    bulk_cursors_destroy(rig->shared.bulk_cursors);
    awaited_cursors_destroy(rig->shared.awaited_cursors);
    retry_table_destroy(rig->shared.retries);
    close(rig->listen_fd);
    unlink(rig->path);
    rmdir(rig->folder);
    free(rig);
}

void rig_control(struct rig *rig, enum rig_event event)
{
    switch (event) {
    case RIG_PAUSE:
        (void)session_worker_pause(rig->worker);
        break;
    case RIG_RESUME:
        (void)session_worker_resume(rig->worker);
        break;
    case RIG_MERGE_ON:
        session_worker_set_settings(rig->worker, rig->merging);
        break;
    default:
        session_worker_set_settings(rig->worker, rig->plain);
        break;
    }
}

static void wait_ms(long ms)
{
    struct timespec wait = {.tv_nsec = ms * 1000000};
    nanosleep(&wait, NULL);
}

void rig_settle(struct rig *rig)
{
    struct session_rows rows;
    struct session_query query = {
        .workers = &rig->worker, .worker_count = 1, .limit = RIG_CLIENTS, .timeout_ms = END_MS};
    /* the worker's thread answers after its earlier work; twice, since that work makes more ready
     * for the next turn */
    for (int i = 0; i < 2; i++)
        if (session_list(&query, &rows)) {
            memory_free(rows.of);
            require(rows.complete, "the worker does not turn");
        } else {
            wait_ms(1); /* there is no memory to ask it with */
        }
}

/* --- messages -----------------------------------------------------------------------------------
 */

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

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
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
    require(build_finish(&build, &document), "a document does not fit");
    *at++ = 1;
    bytes_store_i32(at, (int32_t)(4 + sizeof name + bytes_left(&document)));
    at = put(put(at + 4, name, sizeof name), document.pos, bytes_left(&document));
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
    require(build_finish(&build, &body), "a message does not fit");
    uint8_t *at = out + WIRE_HEADER_BYTES;
    bytes_store_i32(at, (int32_t)flags_of(which));
    at[4] = 0;
    at = put(at + 5, body.pos, bytes_left(&body));
    build_free(&build);
    if (is_insert(which))
        at = put_document(at, which, number);
    struct wire_header header = {
        .length = (int32_t)(at - out), .request_id = (int32_t)number, .opcode = WIRE_OP_MSG};
    wire_header_write(out, &header);
    return (size_t)(at - out);
}

/* --- clients ------------------------------------------------------------------------------------
 */

uint32_t rig_request_id(unsigned tag, uint32_t number)
{
    return (uint32_t)TAG_MARK << TAG_MARK_AT | (tag & 0xFF) << TAG_AT | (number & 0xFFFF);
}

void rig_watch(struct rig *rig, size_t client, unsigned tag)
{
    rig->watches[client] = (struct watch){.tag = tag};
}

static void check_reply(struct watch *watch, size_t client)
{
    uint32_t to = bytes_load_u32(watch->header + 8);
    uint32_t length = bytes_load_u32(watch->header);
    if (to >> TAG_MARK_AT == TAG_MARK && (to >> TAG_AT & 0xFF) != watch->tag) {
        (void)fprintf(stderr, "client %zu of tag %u got the reply to a request of tag %u\n", client,
                      watch->tag, to >> TAG_AT & 0xFF);
        abort();
    }
    watch->left = length > WIRE_HEADER_BYTES ? length - WIRE_HEADER_BYTES : 0;
    watch->have = 0;
}

static void watch_replies(struct watch *watch, size_t client, struct bytes data)
{
    while (bytes_left(&data) > 0) {
        size_t skip = watch->left < bytes_left(&data) ? watch->left : bytes_left(&data);
        (void)bytes_skip(&data, skip);
        watch->left -= skip;
        while (watch->left == 0 && watch->have < WIRE_HEADER_BYTES && bytes_left(&data) > 0)
            (void)bytes_read_u8(&data, &watch->header[watch->have++]);
        if (watch->have == WIRE_HEADER_BYTES)
            check_reply(watch, client);
    }
}

static void drink(struct rig *rig, size_t client)
{
    uint8_t waste[READ_BYTES];
    for (;;) {
        ssize_t got = recv(rig->clients[client], waste, sizeof waste, MSG_DONTWAIT);
        if (got <= 0)
            return;
        rig->received += (uint64_t)got;
        if (rig->watches[client].tag != 0)
            watch_replies(&rig->watches[client], client, bytes_of(waste, (size_t)got));
    }
}

void rig_send(struct rig *rig, size_t client, const uint8_t *data, size_t len)
{
    int pair[2];
    int *fd = &rig->clients[client];
    if (*fd < 0) {
        require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0,
                "no socket pair");
        *fd = pair[0];
        session_worker_accept(rig->worker, pair[1], rig->path);
    }
    drink(rig, client);
    if (send(*fd, data, len, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        rig_leave(rig, client, false); /* it was thrown out */
}

void rig_leave(struct rig *rig, size_t client, bool reset)
{
    if (rig->clients[client] < 0)
        return;
    if (!reset) /* otherwise unread bytes turn the close into a reset */
        drink(rig, client);
    close(rig->clients[client]);
    rig->clients[client] = -1;
    rig->watches[client].tag = 0;
}

bool rig_is_there(struct rig *rig, size_t client)
{
    uint8_t one = 0;
    if (rig->clients[client] < 0)
        return false;
    drink(rig, client);
    ssize_t got = recv(rig->clients[client], &one, 1, MSG_DONTWAIT | MSG_PEEK);
    if (got > 0 || (got < 0 && errno == EAGAIN))
        return true;
    rig_leave(rig, client, false);
    return false;
}

uint64_t rig_received(const struct rig *rig)
{
    return rig->received;
}

/* --- the server ---------------------------------------------------------------------------------
 */

static void hang_up(struct upstream *upstream)
{
    close(upstream->fd);
    upstream->fd = -1;
    upstream->have = 0;
}

int rig_accept(struct rig *rig)
{
    int last = -1;
    for (size_t i = 0; i < RIG_UPSTREAMS; i++) {
        if (rig->upstreams[i].fd >= 0)
            continue;
        int fd = accept4(rig->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            break;
        rig->upstreams[i].fd = fd;
        rig->upstreams[i].have = 0;
        rig->upstreams[i].uses++;
        last = (int)i;
    }
    return last;
}

/* False when it is gone. */
static bool read_more(struct upstream *upstream)
{
    ssize_t got = recv(upstream->fd, upstream->in + upstream->have,
                       sizeof upstream->in - upstream->have, MSG_DONTWAIT);
    if (got > 0)
        upstream->have += (size_t)got;
    return got > 0 || (got < 0 && errno == EAGAIN);
}

size_t rig_take(struct rig *rig, size_t slot, uint8_t out[RIG_MESSAGE_BYTES])
{
    struct upstream *upstream = &rig->upstreams[slot];
    if (upstream->fd < 0)
        return 0;
    bool gone = upstream->have < sizeof upstream->in && !read_more(upstream);
    uint32_t len = upstream->have >= WIRE_HEADER_BYTES ? bytes_load_u32(upstream->in) : 0;
    bool broken =
        upstream->have >= WIRE_HEADER_BYTES && (len < WIRE_HEADER_BYTES || len > RIG_MESSAGE_BYTES);
    if (broken || len == 0 || upstream->have < len) {
        if (gone || broken)
            hang_up(upstream);
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
        hang_up(&rig->upstreams[slot]);
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
    at = put(at, name, strlen(name) + 1);
    bytes_store_i32(at, value);
    return at + 4;
}

static uint8_t *put_text(uint8_t *at, const char *name, const char *text)
{
    *at++ = BSON_KIND_STRING;
    at = put(at, name, strlen(name) + 1);
    bytes_store_i32(at, (int32_t)strlen(text) + 1);
    return put(at + 4, text, strlen(text) + 1);
}

/* The place of the document's length, for close_document. */
static uint8_t *open_document(uint8_t *at, uint8_t kind, const char *name, uint8_t **start)
{
    if (name != NULL) {
        *at++ = kind;
        at = put(at, name, strlen(name) + 1);
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

/* No server of the rig has users. */
static uint8_t *put_nobody(uint8_t *at)
{
    uint8_t *info = NULL;
    uint8_t *list = NULL;
    at = open_document(at, BSON_KIND_OBJECT, "authInfo", &info);
    at = open_document(at, BSON_KIND_ARRAY, "authenticatedUsers", &list);
    return close_document(close_document(at, list), info);
}

static uint8_t *put_reply(uint8_t *at, int32_t documents, bool asks, enum rig_answer how)
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
        at = put_nobody(at);
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

static bool is_question(struct bytes payload)
{
    static const char name[] = "connectionStatus";
    enum { NAME_AT = 4 + 1 + 4 + 1 }; /* flags, section's kind, document's length, field's kind */
    return bytes_left(&payload) > NAME_AT + sizeof name &&
           memcmp(payload.pos + NAME_AT, name, sizeof name) == 0;
}

static void answer(struct upstream *upstream, struct bytes message, enum rig_answer how,
                   uint32_t where)
{
    uint8_t out[RIG_MESSAGE_BYTES];
    struct wire_header header = wire_header_read(message.pos);
    struct bytes payload =
        bytes_of(message.pos + WIRE_HEADER_BYTES, bytes_left(&message) - WIRE_HEADER_BYTES);
    memset(out + WIRE_HEADER_BYTES, 0, 5);
    const uint8_t *end =
        put_reply(out + WIRE_HEADER_BYTES + 5, count_documents(payload), is_question(payload), how);
    size_t len = (size_t)(end - out);
    struct wire_header reply = {.length = (int32_t)len,
                                .request_id = (int32_t)where,
                                .response_to = header.request_id + (how == RIG_ANSWER_TO_NOBODY),
                                .opcode = WIRE_OP_MSG};
    wire_header_write(out, &reply);
    if (how == RIG_ANSWER_MUTATED)
        out[where % len] ^= (uint8_t)(1 + (where >> 8) % 255);
    if (how == RIG_ANSWER_CUT)
        len /= 2;
    (void)send(upstream->fd, out, len, MSG_NOSIGNAL);
    if (how == RIG_ANSWER_TWICE)
        (void)send(upstream->fd, out, len, MSG_NOSIGNAL);
}

/* Answers the whole messages that have come. */
static size_t answer_all(struct upstream *upstream, enum rig_answer how, uint32_t where)
{
    size_t seen = 0;
    size_t at = 0;
    while (upstream->have - at >= WIRE_HEADER_BYTES) {
        uint32_t len = bytes_load_u32(upstream->in + at);
        if (len < WIRE_HEADER_BYTES || len > upstream->have - at)
            break;
        struct bytes message = bytes_of(upstream->in + at, len);
        at += len;
        seen++;
        if (len > WIRE_HEADER_BYTES + 4 &&
            (bytes_load_u32(message.pos + WIRE_HEADER_BYTES) & WIRE_FLAG_MORE_TO_COME) == 0)
            answer(upstream, message, how, where);
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
        struct upstream *upstream = &rig->upstreams[i];
        if (upstream->fd < 0)
            continue;
        size_t had = upstream->have;
        bool gone = !read_more(upstream);
        bool got = upstream->have > had;
        if (!gone && how != RIG_ANSWER_HANGUP)
            seen += answer_all(upstream, how, where);
        if (gone || ((how == RIG_ANSWER_HANGUP || how == RIG_ANSWER_CUT) && got))
            hang_up(upstream);
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

/* --- the end ------------------------------------------------------------------------------------
 */

bool rig_end_all(struct rig *rig)
{
    int64_t end_ms = clock_now_ms() + END_MS;
    rig_control(rig, RIG_RESUME);
    rig_control(rig, RIG_MERGE_ON);
    for (size_t i = 0; i < RIG_CLIENTS; i++)
        rig_leave(rig, i, i % 2 == 1);
    while (session_worker_clients(rig->worker) > 0) {
        if (clock_now_ms() > end_ms)
            return false;
        (void)rig_serve(rig, RIG_ANSWER_HANGUP, 0); /* a w:0 write may still be under way */
        for (size_t i = 0; i < RIG_UPSTREAMS; i++)
            if (rig->upstreams[i].fd >= 0)
                hang_up(&rig->upstreams[i]);
        rig_settle(rig);
        wait_ms(session_worker_clients(rig->worker) > 0);
    }
    const struct merger_counters *counters = session_worker_merge_counters(rig->worker);
    for (size_t i = 0; i < RIG_UPSTREAMS; i++)
        if (rig->upstreams[i].fd >= 0)
            hang_up(&rig->upstreams[i]);
    return atomic_load(&counters->values[MERGER_WAITING_NOW]) == 0 &&
           atomic_load(&rig->shared.clients_now) == 0 && atomic_load(&rig->shared.refused_now) == 0;
}
