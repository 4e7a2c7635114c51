#include "catalog/change_stream.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/server_limits.h"
#include "upstream/reading_client.h"

/* The time that the server holds an answer back without an event; a stop waits for it. */
enum { AWAIT_MS = 500 };

/* Servers before 6.0 have no expanded events: their streams report only drop, rename and
 * dropDatabase. */
enum { UNKNOWN_FIELD = 40415, FAILED_TO_PARSE = 9 };

struct change_stream {
    struct change_stream_settings settings;
    mongoc_client_t *client; /* owned by the thread */
    bool plain;              /* without expanded events */
    bool lost;               /* there was a stream, and it broke */
    bool told;               /* the log says that there is no stream */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t wake;
    bool stopping;
};

static bool is_stopping(struct change_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool stopping = stream->stopping;
    pthread_mutex_unlock(&stream->lock);
    return stopping;
}

/* --- one event ----------------------------------------------------------------------------------
 */

/* Writes "database.collection", or "database." if the event names no collection. */
static bool read_namespace(const bson_t *event, const char *field, char *out, size_t size)
{
    bson_iter_t at;
    bson_iter_t inner;
    const char *database = NULL;
    const char *collection = "";
    if (!bson_iter_init_find(&at, event, field) || !BSON_ITER_HOLDS_DOCUMENT(&at) ||
        !bson_iter_recurse(&at, &inner))
        return false;
    while (bson_iter_next(&inner)) {
        if (strcmp(bson_iter_key(&inner), "db") == 0 && BSON_ITER_HOLDS_UTF8(&inner))
            database = bson_iter_utf8(&inner, NULL);
        if (strcmp(bson_iter_key(&inner), "coll") == 0 && BSON_ITER_HOLDS_UTF8(&inner))
            collection = bson_iter_utf8(&inner, NULL);
    }
    return database != NULL && snprintf(out, size, "%s.%s", database, collection) < (int)size;
}

static void take_event(struct change_stream *stream, const bson_t *event)
{
    char first[SERVER_NAMESPACE_BYTES + 2] = "";
    char second[SERVER_NAMESPACE_BYTES + 2] = "";
    bool known = read_namespace(event, "ns", first, sizeof first);
    bool renamed = read_namespace(event, "to", second, sizeof second);
    const struct suspension_scope scope = {{known ? first : "", renamed ? second : NULL}};
    stream->settings.changed(stream->settings.arg, &scope);
}

/* --- the stream ---------------------------------------------------------------------------------
 */

static void append_command(const struct change_stream *stream, bson_t *command)
{
    static const char *const kinds[] = {"create", "modify", "drop", "rename", "dropDatabase"};
    bson_t names = BSON_INITIALIZER;
    bson_t options = BSON_INITIALIZER;
    for (int i = 0; i < 5; i++) {
        char key[4];
        (void)snprintf(key, sizeof key, "%d", i);
        BSON_APPEND_UTF8(&names, key, kinds[i]);
    }
    BSON_APPEND_BOOL(&options, "allChangesForCluster", true);
    if (!stream->plain)
        BSON_APPEND_BOOL(&options, "showExpandedEvents", true);
    BCON_APPEND(command, "aggregate", BCON_INT32(1), "pipeline", "[", "{", "$changeStream",
                BCON_DOCUMENT(&options), "}", "{", "$match", "{", "operationType", "{", "$in",
                BCON_ARRAY(&names), "}", "}", "}", "]", "cursor", "{", "}");
    bson_destroy(&names);
    bson_destroy(&options);
}

/* libmongoc's own change streams have no expanded events before its version 1.24. */
static mongoc_cursor_t *open_stream(struct change_stream *stream, bson_error_t *error)
{
    mongoc_server_description_t *server =
        mongoc_client_select_server(stream->client, true, NULL, error);
    if (server == NULL)
        return NULL;
    bson_t reply;
    bson_t command = BSON_INITIALIZER;
    bson_t options = BSON_INITIALIZER;
    append_command(stream, &command);
    BSON_APPEND_INT32(&options, "serverId", (int32_t)mongoc_server_description_id(server));
    bool ok = mongoc_client_command_with_opts(stream->client, "admin", &command, NULL, &options,
                                              &reply, error);
    BSON_APPEND_BOOL(&options, "tailable", true);
    BSON_APPEND_BOOL(&options, "awaitData", true);
    BSON_APPEND_INT64(&options, "maxAwaitTimeMS", AWAIT_MS);
    mongoc_cursor_t *cursor = NULL;
    if (ok)
        cursor = mongoc_cursor_new_from_command_reply_with_opts(stream->client, &reply, &options);
    else
        bson_destroy(&reply);
    mongoc_server_description_destroy(server);
    bson_destroy(&command);
    bson_destroy(&options);
    return cursor;
}

/* Before the stream there is a gap: changes in it are unknown. */
static void note_open(struct change_stream *stream)
{
    static const struct suspension_scope all = {{"", NULL}};
    if (stream->lost)
        stream->settings.changed(stream->settings.arg, &all);
    else
        stream->settings.begins(stream->settings.arg);
    stream->lost = true;
    stream->told = false;
}

static void note_none(struct change_stream *stream, const char *cause)
{
    if (!stream->told && !is_stopping(stream))
        LOG_I(LOG_SCHEMA, 3031, "schemas",
              "No change stream reports changes of collections; the proxy reads them from time to "
              "time",
              LOG_STR("cause", cause));
    stream->told = true;
}

static void follow_open(struct change_stream *stream, mongoc_cursor_t *cursor, bson_error_t *error)
{
    const bson_t *event = NULL;
    note_open(stream);
    while (!is_stopping(stream) && mongoc_cursor_more(cursor) &&
           !mongoc_cursor_error(cursor, error))
        while (mongoc_cursor_next(cursor, &event) && !is_stopping(stream))
            take_event(stream, event);
}

/* Follows the stream until it breaks. True: try again at once. */
static bool follow(struct change_stream *stream)
{
    bson_error_t error = {.message = "the server closed the stream"};
    mongoc_cursor_t *cursor = open_stream(stream, &error);
    bool unknown = cursor == NULL && !stream->plain &&
                   (error.code == UNKNOWN_FIELD || error.code == FAILED_TO_PARSE);
    if (unknown)
        stream->plain = true;
    if (cursor != NULL)
        follow_open(stream, cursor, &error);
    if (!unknown)
        note_none(stream, error.message);
    mongoc_cursor_destroy(cursor);
    return unknown;
}

static void *run(void *arg)
{
    struct change_stream *stream = arg;
    while (!is_stopping(stream)) {
        if (follow(stream))
            continue;
        pthread_mutex_lock(&stream->lock);
        struct timespec until = clock_deadline(stream->settings.retry_ms);
        while (!stream->stopping &&
               pthread_cond_timedwait(&stream->wake, &stream->lock, &until) == 0) {
        }
        pthread_mutex_unlock(&stream->lock);
    }
    return NULL;
}

/* --- life ---------------------------------------------------------------------------------------
 */

static void release(struct change_stream *stream)
{
    if (stream->client != NULL)
        mongoc_client_destroy(stream->client);
    pthread_cond_destroy(&stream->wake);
    pthread_mutex_destroy(&stream->lock);
    memory_free(stream);
}

struct change_stream *change_stream_start(const struct uri *uri,
                                          const struct change_stream_settings *settings,
                                          struct error *err)
{
    struct change_stream *stream = memory_zalloc(sizeof *stream);
    if (stream == NULL) {
        (void)error_no_memory(err, "the change stream");
        return NULL;
    }
    stream->settings = *settings;
    pthread_mutex_init(&stream->lock, NULL);
    clock_init_condition(&stream->wake);
    stream->client = reading_client_new(uri, "the collections' validators", err);
    if (stream->client != NULL && pthread_create(&stream->thread, NULL, run, stream) == 0)
        return stream;
    if (stream->client != NULL)
        (void)error_set(err, ERROR_INTERNAL,
                        "cannot start a thread for the change stream of the collections");
    release(stream);
    return NULL;
}

void change_stream_stop(struct change_stream *stream)
{
    if (stream == NULL)
        return;
    pthread_mutex_lock(&stream->lock);
    stream->stopping = true;
    pthread_cond_signal(&stream->wake);
    pthread_mutex_unlock(&stream->lock);
    pthread_join(stream->thread, NULL);
    release(stream);
}
