#include "session/hello_stream.h"

#include <event2/event.h>
#include <stdio.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/connector.h"
#include "net/link.h"
#include "session/upstream_transport.h"
#include "wire/compressed.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/sections.h"

/* No server's hello is longer. */
enum { HELLO_REPLY_BYTES_MAX = 1024 * 1024 };

enum phase {
    PHASE_IDLE,       /* no connection */
    PHASE_DUE,        /* the next attempt waits for the timer */
    PHASE_CONNECTING, /* with the TLS handshake */
    PHASE_ASKED,      /* a reply is expected */
    PHASE_RESTING     /* the next hello waits for the timer */
};

struct hello_stream {
    struct hello_stream *next;
    struct hello_streams *streams;
    struct hello_server *server;
    struct session_settings *settings; /* a reference, of the last client that asked */
    struct hello_state *last;          /* a reference; NULL: the server did not answer yet */
    struct connector *connector;
    struct event *timer;
    struct link link;
    enum phase phase;
    bool link_used; /* the link was started and is not closed */
    bool retried;   /* a lost connection is being replaced */
    bool hello_ok;  /* the server knows `hello` */
    uint8_t compressors;
    int32_t request_id;
    int64_t asked_ms;
    int64_t failed_ms;
};

struct hello_streams {
    struct hello_streams_settings settings;
    pthread_mutex_t lock; /* guards `closed` and the posting of jobs */
    bool closed;
    struct hello_stream *list; /* utlist; for the loop's thread */
};

static void connect_now(struct hello_stream *stream);

static void set_timer(struct hello_stream *stream, int64_t delay_ms)
{
    struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = (delay_ms % 1000) * 1000};
    (void)event_add(stream->timer, &delay);
}

static void publish(struct hello_stream *stream, struct hello_state *state)
{
    struct hello_state *before = stream->last;
    stream->last = hello_state_retain(state);
    bool differs = hello_state_differs(before, state);
    hello_state_release(before);
    hello_board_publish(stream->server, state);
    if (differs)
        stream->streams->settings.changed(stream->streams->settings.arg);
}

static void close_connection(struct hello_stream *stream)
{
    if (stream->connector != NULL)
        connector_cancel(stream->connector);
    stream->connector = NULL;
    if (stream->link_used)
        link_close(&stream->link);
    stream->link_used = false;
    (void)event_del(stream->timer);
}

static void retry_in(struct hello_stream *stream, int64_t delay_ms)
{
    stream->phase = PHASE_DUE;
    set_timer(stream, delay_ms);
}

/* A connection that answered before is replaced once, at once: one that a firewall cut does not
 * make the server unknown. */
static void lose(struct hello_stream *stream, const char *cause)
{
    int64_t now_ms = clock_now_ms();
    close_connection(stream);
    if (stream->last != NULL && stream->last->up && !stream->retried) {
        stream->retried = true;
        retry_in(stream, 0);
        return;
    }
    LOG_W(LOG_TOPOLOGY, 5070, "hello", "The server does not answer hello",
          LOG_STR("server", stream->server->address), LOG_STR("error", cause));
    stream->phase = PHASE_IDLE;
    stream->failed_ms = now_ms;
    struct hello_state *down = hello_state_down(cause, now_ms);
    if (down != NULL)
        publish(stream, down);
    else
        retry_in(stream, HELLO_RETRY_MS); /* clients wait for a state */
}

static void end_unused(struct hello_stream *stream)
{
    close_connection(stream);
    stream->phase = PHASE_IDLE;
    publish(stream, NULL);
    LOG_D(LOG_TOPOLOGY, 5071, "hello", "No client asks for the server's hello any more",
          LOG_STR("server", stream->server->address));
}

/* --- asking ---------------------------------------------------------------------------------- */

static void build_metadata(struct build *build)
{
    build_open_object(build, "client");
    build_open_object(build, "application");
    build_text(build, "name", "mongosluice");
    build_close(build);
    build_open_object(build, "driver");
    build_text(build, "name", "mongosluice");
    build_text(build, "version", SLUICE_VERSION);
    build_close(build);
    build_open_object(build, "os");
    build_text(build, "type", "Linux");
    build_close(build);
    build_close(build);
}

/* With the name that every server knows, until the server says that it knows `hello`. */
static void build_first(struct build *build)
{
    build_int32(build, "ismaster", 1);
    build_bool(build, "helloOk", true);
    build_metadata(build);
    build_open_array(build, "compression");
    for (unsigned i = WIRE_COMPRESSOR_SNAPPY; i <= WIRE_COMPRESSOR_ZSTD; i++)
        build_text(build, NULL, wire_compressor_name((uint8_t)i));
    build_close(build);
}

static void build_next(struct build *build, const struct hello_stream *stream)
{
    const struct hello_state *last = stream->last;
    build_int32(build, stream->hello_ok ? "hello" : "ismaster", 1);
    build_bool(build, "helloOk", true);
    if (!last->has_version)
        return;
    build_open_object(build, "topologyVersion");
    build_value(build, "processId", BSON_KIND_OBJECT_ID,
                bytes_of(last->version.process_id, WIRE_PROCESS_ID_BYTES));
    build_int64(build, "counter", last->version.counter);
    build_close(build);
    build_int32(build, "maxAwaitTimeMS", HELLO_REFRESH_MS);
}

static bool build_hello(struct hello_stream *stream, bool first, uint8_t **message, size_t *len)
{
    struct build build;
    struct bytes document;
    build_begin(&build, SIZE_MAX);
    if (first)
        build_first(&build);
    else
        build_next(&build, stream);
    build_text(&build, "$db", "admin");
    bool ok = build_finish(&build, &document) &&
              wire_reply_frame((struct wire_reply_to){0}, ++stream->request_id, 0, document,
                               message, len);
    build_free(&build);
    return ok;
}

static void ask(struct hello_stream *stream, bool first)
{
    struct error err;
    uint8_t *message = NULL;
    size_t len = 0;
    if (!build_hello(stream, first, &message, &len)) {
        lose(stream, "out of memory for a hello");
        return;
    }
    stream->phase = PHASE_ASKED;
    stream->asked_ms = clock_now_ms();
    set_timer(stream, HELLO_REFRESH_MS + stream->settings->config->connect_timeout_ms);
    if (!link_send(&stream->link, message, len, &err))
        lose(stream, err.message);
    memory_free(message);
}

/* --- replies --------------------------------------------------------------------------------- */

static bool read_ok(struct bytes document, struct error *err)
{
    struct scan_element element;
    const char *text = "no error message";
    size_t len = strlen(text);
    if (scan_find(document, "ok", &element) && scan_is_true(&element))
        return true;
    if (scan_find(document, "errmsg", &element))
        (void)scan_as_string(&element, &text, &len);
    return error_set(err, ERROR_HOST_UNREACHABLE, "the server refused hello: %.*s",
                     (int)(len < 200 ? len : 200), text);
}

static bool read_reply(struct hello_stream *stream, const uint8_t *message, struct bytes *document,
                       struct error *err)
{
    struct wire_header header = wire_header_read(message);
    struct bytes payload =
        bytes_of(message + WIRE_HEADER_BYTES, (size_t)header.length - WIRE_HEADER_BYTES);
    uint32_t flags = 0;
    if (header.response_to != stream->request_id || header.opcode != WIRE_OP_MSG)
        return error_set(err, ERROR_PROTOCOL, "the server sent a message that answers no hello");
    return wire_sections_find_body(payload, document, &flags, err) && read_ok(*document, err);
}

/* A server that answers an awaitable hello too early must not be asked without a pause. */
static void continue_asking(struct hello_stream *stream, bool changed, int64_t now_ms)
{
    int64_t rest_ms = stream->asked_ms + HELLO_REFRESH_MS - now_ms;
    bool awaits = stream->last->has_version && (changed || rest_ms < HELLO_REFRESH_MS / 2);
    if (awaits) {
        ask(stream, false);
        return;
    }
    stream->phase = PHASE_RESTING;
    set_timer(stream, rest_ms > 0 ? rest_ms : 0);
}

static void take_reply(struct hello_stream *stream, struct bytes document)
{
    struct scan_element element;
    int64_t now_ms = clock_now_ms();
    bool first = stream->last == NULL || !stream->last->up || stream->retried;
    if (scan_find(document, "compression", &element))
        stream->compressors = wire_hello_compressors(document);
    if (scan_find(document, "helloOk", &element))
        stream->hello_ok = scan_is_true(&element);
    struct hello_state *state = hello_state_up(document, stream->compressors, now_ms);
    if (state == NULL) {
        lose(stream, "out of memory for a reply to hello");
        return;
    }
    bool changed = hello_state_differs(stream->last, state);
    stream->retried = false;
    if (first)
        LOG_D(LOG_TOPOLOGY, 5072, "hello", "The server answers hello",
              LOG_STR("server", stream->server->address));
    publish(stream, state);
    if (now_ms - atomic_load(&stream->server->used_ms) > HELLO_UNUSED_MS)
        end_unused(stream);
    else
        continue_asking(stream, changed || first, now_ms);
}

/* True if a whole message is there. */
static bool has_message(const struct buffer *in, size_t *missing, struct error *err)
{
    size_t have = buffer_length(in);
    *missing = 0;
    if (have < WIRE_HEADER_BYTES) {
        *missing = WIRE_HEADER_BYTES - have;
        return false;
    }
    int32_t length = bytes_load_i32(buffer_begin(in));
    if (!wire_length_is_valid(length, HELLO_REPLY_BYTES_MAX))
        return error_set(err, ERROR_PROTOCOL, "the server's answer to hello has a length of %d",
                         length);
    if (have < (size_t)length)
        *missing = (size_t)length - have;
    return *missing == 0;
}

static void take_messages(struct hello_stream *stream)
{
    struct buffer *in = &stream->link.in;
    struct error err;
    struct bytes document = {0};
    size_t missing = 0;
    if (!has_message(in, &missing, &err)) {
        if (missing == 0)
            lose(stream, err.message);
        return;
    }
    size_t length = (size_t)bytes_load_i32(buffer_begin(in));
    if (stream->phase != PHASE_ASKED || length != buffer_length(in))
        lose(stream, "the server sent more than the answer to hello");
    else if (!read_reply(stream, buffer_begin(in), &document, &err))
        lose(stream, err.message);
    else {
        struct buffer message = *in; /* the next hello may close the link */
        *in = (struct buffer){0};
        take_reply(stream, document);
        buffer_release(&message, stream->streams->settings.budget);
    }
}

static void stream_readable(void *arg)
{
    struct hello_stream *stream = arg;
    struct budget *budget = stream->streams->settings.budget;
    uint8_t *scratch = worker_scratch(stream->streams->settings.loop);
    struct error err;
    size_t got = 0;
    switch (link_read(&stream->link, scratch, WORKER_SCRATCH_BYTES, &got, &err)) {
    case TRANSPORT_OK:
        if (!buffer_append(&stream->link.in, budget, scratch, got))
            lose(stream, "the proxy's message buffers are at their limit (option memory_max)");
        else
            take_messages(stream);
        break;
    case TRANSPORT_EOF:
        lose(stream, "the server closed the connection");
        break;
    case TRANSPORT_ERROR:
        lose(stream, err.message);
        break;
    case TRANSPORT_WANT_READ:
    case TRANSPORT_WANT_WRITE:
        break;
    }
}

/* --- connecting ------------------------------------------------------------------------------ */

static void stream_opened(void *arg)
{
    struct hello_stream *stream = arg;
    stream->compressors = 0;
    stream->hello_ok = false;
    ask(stream, true);
}

static void stream_drained(void *arg)
{
    (void)arg;
}

static void stream_ended(void *arg)
{
    lose(arg, "the server closed the connection");
}

static void stream_failed(void *arg, const char *cause)
{
    lose(arg, cause);
}

static const struct link_handler stream_handler = {.opened = stream_opened,
                                                   .readable = stream_readable,
                                                   .drained = stream_drained,
                                                   .ended = stream_ended,
                                                   .failed = stream_failed};

static void connected(void *arg, int fd, const char *cause)
{
    struct hello_stream *stream = arg;
    const struct hello_streams_settings *settings = &stream->streams->settings;
    struct error err;
    stream->connector = NULL;
    if (fd < 0) {
        lose(stream, cause);
        return;
    }
    link_init(&stream->link, settings->budget, worker_turn(settings->loop), &stream_handler,
              stream);
    if (!upstream_transport_init(&stream->link.transport, fd, stream->server->address,
                                 stream->settings->upstream_tls, &err)) {
        lose(stream, err.message);
        return;
    }
    stream->link_used = true;
    link_start(&stream->link, worker_base(settings->loop));
}

static void connect_now(struct hello_stream *stream)
{
    stream->phase = PHASE_CONNECTING;
    set_timer(stream, stream->settings->config->connect_timeout_ms);
    struct connector *connector =
        connector_start(stream->streams->settings.loop, stream->server->address, connected, stream);
    if (connector != NULL)
        stream->connector = connector;
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    struct hello_stream *stream = arg;
    char cause[100];
    (void)fd;
    (void)what;
    switch (stream->phase) {
    case PHASE_IDLE:
        break;
    case PHASE_DUE:
        connect_now(stream);
        break;
    case PHASE_RESTING:
        ask(stream, false);
        break;
    case PHASE_CONNECTING:
    case PHASE_ASKED:
        (void)snprintf(cause, sizeof cause, "no %s within %lld ms (option connect_timeout_ms)",
                       stream->phase == PHASE_ASKED ? "answer to hello" : "connection",
                       (long long)stream->settings->config->connect_timeout_ms);
        lose(stream, cause);
        break;
    }
}

/* --- clients ask ----------------------------------------------------------------------------- */

static struct hello_stream *find_stream(struct hello_streams *streams, struct hello_server *server)
{
    if (server->stream != NULL)
        return server->stream;
    struct hello_stream *stream = memory_zalloc(sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->streams = streams;
    stream->server = server;
    stream->timer = event_new(worker_base(streams->settings.loop), -1, 0, timer_fired, stream);
    if (stream->timer == NULL) {
        memory_free(stream);
        return NULL;
    }
    server->stream = stream;
    LL_PREPEND(streams->list, stream);
    return stream;
}

struct hello_question {
    struct hello_streams *streams;
    struct hello_server *server;
    struct session_settings *settings; /* a reference */
};

static void answer_question(void *context, void *arg)
{
    struct hello_question *question = arg;
    struct hello_stream *stream = find_stream(question->streams, question->server);
    (void)context;
    if (stream == NULL) {
        struct hello_state *down = hello_state_down("out of memory for a hello", clock_now_ms());
        hello_board_publish(question->server, down);
        question->streams->settings.changed(question->streams->settings.arg);
        session_settings_release(question->settings);
    } else {
        session_settings_release(stream->settings);
        stream->settings = question->settings;
        int64_t wait_ms = stream->failed_ms + HELLO_RETRY_MS - clock_now_ms();
        if (stream->phase == PHASE_IDLE)
            retry_in(stream, stream->failed_ms != 0 && wait_ms > 0 ? wait_ms : 0);
    }
    memory_free(question);
}

bool hello_streams_ask(struct hello_streams *streams, struct hello_server *server,
                       struct session_settings *settings)
{
    struct hello_question *question = memory_alloc(sizeof *question);
    if (question == NULL)
        return false;
    *question = (struct hello_question){streams, server, session_settings_retain(settings)};
    pthread_mutex_lock(&streams->lock);
    /* with the lock held: the loop lives until the streams are closed */
    bool posted =
        !streams->closed && worker_post(streams->settings.loop, answer_question, question);
    bool closed = streams->closed;
    pthread_mutex_unlock(&streams->lock);
    if (!posted) {
        session_settings_release(settings);
        memory_free(question);
    }
    return posted || closed;
}

struct hello_streams *hello_streams_create(const struct hello_streams_settings *settings)
{
    struct hello_streams *streams = memory_zalloc(sizeof *streams);
    if (streams == NULL)
        return NULL;
    streams->settings = *settings;
    pthread_mutex_init(&streams->lock, NULL);
    return streams;
}

void hello_streams_stop(struct hello_streams *streams)
{
    struct hello_stream *stream = NULL;
    pthread_mutex_lock(&streams->lock);
    streams->closed = true;
    pthread_mutex_unlock(&streams->lock);
    LL_FOREACH(streams->list, stream)
    {
        close_connection(stream);
        stream->phase = PHASE_IDLE;
        event_free(stream->timer);
    }
}

void hello_streams_destroy(struct hello_streams *streams)
{
    struct hello_stream *stream = NULL;
    struct hello_stream *next = NULL;
    if (streams == NULL)
        return;
    LL_FOREACH_SAFE(streams->list, stream, next)
    {
        session_settings_release(stream->settings);
        hello_state_release(stream->last);
        memory_free(stream);
    }
    pthread_mutex_destroy(&streams->lock);
    memory_free(streams);
}
