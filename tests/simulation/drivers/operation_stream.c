#include <stdio.h>
#include <string.h>

#include "application.h"
#include "check/check.h"
#include "operations.h"

enum { WATCHED_MOST = 3, AWAIT_MS = 500, TOKEN_BYTES = 256 };

/* How long events of acknowledged inserts may take after the faults. */
static const int64_t events_us = 60000000;

/* A change stream on one collection, and own inserts that it must show. */
struct watch {
    struct operation *operation;
    const char *collection;
    struct batch batch;
    unsigned seen[WATCHED_MOST];
    char token[TOKEN_BYTES]; /* of the last event; "" before the first */
    int64_t cursor;
    struct session *session;
    struct server *server;
    bool has_gap; /* opened anew without a token */
};

static bool take_events(struct watch *watch, const bson_t *reply, const char *batch)
{
    const struct client *client = watch->operation->client;
    bson_iter_t iter, found, at;
    bson_t event;
    bool started = false;
    while (step_next_document(reply, batch, &iter, &started, &event)) {
        bson_iter_init(&at, &event);
        if (!bson_iter_find_descendant(&at, "_id._data", &found) || !BSON_ITER_HOLDS_UTF8(&found)) {
            check_fails(client, "change stream complete", "getMore", reply,
                        "an event has no resume token");
            return false;
        }
        const char *token = bson_iter_utf8(&found, NULL);
        if (strcmp(token, watch->token) <= 0) {
            check_fails(client, "change stream complete", "getMore", reply,
                        "the events' tokens do not ascend");
            return false;
        }
        snprintf(watch->token, sizeof watch->token, "%s", token);
        int64_t id = reply_integer(&event, "documentKey._id", -1);
        bool inserts = bson_iter_init_find(&at, &event, "operationType") &&
                       strcmp(bson_iter_utf8(&at, NULL), "insert") == 0;
        for (unsigned i = 0; i < watch->batch.count && inserts; i++) {
            if (watch->batch.entries[i].written->token == id && watch->seen[i]++ > 0) {
                check_fails(client, "change stream complete", "getMore", reply,
                            "a change stream shows an insert twice");
                return false;
            }
        }
    }
    watch->cursor = reply_integer(reply, "cursor.id", 0);
    bson_iter_init(&at, reply);
    if (bson_iter_find_descendant(&at, "cursor.postBatchResumeToken._data", &found) &&
        BSON_ITER_HOLDS_UTF8(&found)) {
        snprintf(watch->token, sizeof watch->token, "%s", bson_iter_utf8(&found, NULL));
    }
    return true;
}

static bool open_stream(struct watch *watch)
{
    bson_t body = BSON_INITIALIZER, pipeline, stage, options, token, cursor;
    struct client *client = watch->operation->client;
    BSON_APPEND_UTF8(&body, "aggregate", watch->collection);
    BSON_APPEND_ARRAY_BEGIN(&body, "pipeline", &pipeline);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$changeStream", &options);
    if (watch->token[0] != '\0') {
        BSON_APPEND_DOCUMENT_BEGIN(&options, "resumeAfter", &token);
        BSON_APPEND_UTF8(&token, "_data", watch->token);
        bson_append_document_end(&options, &token);
    }
    bson_append_document_end(&stage, &options);
    bson_append_document_end(&pipeline, &stage);
    bson_append_array_end(&body, &pipeline);
    BSON_APPEND_DOCUMENT_BEGIN(&body, "cursor", &cursor);
    bson_append_document_end(&body, &cursor);
    struct command command = {.name = "aggregate",
                              .database = APPLICATION_DATABASE,
                              .body = &body,
                              .retryable = true,
                              .keeps_session = true};
    struct result result = command_run(client, &command);
    bson_destroy(&body);
    session_check_in(client, watch->session);
    watch->session = result.session;
    watch->server = result.server;
    bool opened = result.kind == RESULT_DONE && take_events(watch, result.reply, "firstBatch");
    if (result.kind != RESULT_DONE) {
        step_check_failure(watch->operation, "aggregate", &result);
    }
    result_release(&result);
    return opened;
}

/* False: the stream is lost, and must be resumed. */
static bool get_more(struct watch *watch)
{
    bson_t body = BSON_INITIALIZER;
    BSON_APPEND_INT64(&body, "getMore", watch->cursor);
    BSON_APPEND_UTF8(&body, "collection", watch->collection);
    BSON_APPEND_INT64(&body, "maxTimeMS", AWAIT_MS);
    struct command command = {.name = "getMore",
                              .database = APPLICATION_DATABASE,
                              .body = &body,
                              .session = watch->session,
                              .sessionless = watch->session == NULL,
                              .server = watch->server,
                              .awaits_us = (int64_t)AWAIT_MS * 1000};
    struct result result = command_run(watch->operation->client, &command);
    bson_destroy(&body);
    bool done = result.kind == RESULT_DONE;
    if (done) {
        done = take_events(watch, result.reply, "nextBatch") && watch->cursor != 0;
    } else {
        step_check_failure(watch->operation, "getMore", &result);
        /* A dropped user's connection stays without rights. */
        watch->has_gap = result.code == 13;
    }
    result_release(&result);
    return done;
}

/* Own inserts that must come and did not yet. */
static unsigned count_missing(const struct watch *watch)
{
    const struct client *client = watch->operation->client;
    unsigned missing = 0;
    for (unsigned i = 0; i < watch->batch.count; i++) {
        const struct written *written = watch->batch.entries[i].written;
        missing += written->fate == FATE_STORED && watch->seen[i] == 0 &&
                   (written->majority || !plan_can_roll_back(client->plan));
    }
    return missing;
}

static void insert_watched(struct watch *watch)
{
    unsigned count = 1 + stream_below(&watch->operation->stream, WATCHED_MOST);
    for (unsigned i = 0; i < count; i++) {
        struct batch one = {.collection = watch->collection, .ordered = true};
        documents_add(watch->operation, &one, false);
        documents_insert(watch->operation, &one);
        written_begin(one.entries[0].written);
        watch->batch.entries[watch->batch.count++] = one.entries[0];
    }
}

void step_change_stream(struct operation *operation)
{
    struct client *client = operation->client;
    struct watch watch = {.operation = operation,
                          .collection = documents_choose_collection(operation)};
    watch.batch.collection = watch.collection;
    if (open_stream(&watch)) {
        bool open = true;
        insert_watched(&watch);
        int64_t calm = plan_calm_us(client->plan), now = world_now_us(client->world);
        int64_t until = (now > calm ? now : calm) + events_us;
        unsigned lost = 0;
        while (count_missing(&watch) > 0 && !watch.has_gap && client->alive &&
               !world_failed(client->world) && world_now_us(client->world) < until) {
            if (open) {
                open = get_more(&watch);
                continue;
            }
            watch.has_gap = watch.token[0] == '\0';
            if (!fiber_wait(10000 << (lost < 6 ? lost : 6))) {
                break;
            }
            lost++;
            open = open_stream(&watch);
        }
        if (count_missing(&watch) > 0 && !watch.has_gap && client->alive) {
            world_fail(client->world, "change stream complete",
                       "%s: operation %u: a change stream on %s does not show %u acknowledged "
                       "inserts",
                       client->actor, operation->step->number, watch.collection,
                       count_missing(&watch));
        }
    }
    session_check_in(client, watch.session);
    documents_release(operation, &watch.batch);
}
