#include <stdlib.h>

#include "application.h"
#include "check/check.h"
#include "operations.h"

bool step_next_document(const bson_t *reply, const char *batch, bson_iter_t *iter, bool *started,
                        bson_t *out)
{
    bson_iter_t cursor, found;
    if (!*started) {
        char path[32];
        *started = true;
        bson_snprintf(path, sizeof path, "cursor.%s", batch);
        if (!bson_iter_init(&cursor, reply) || !bson_iter_find_descendant(&cursor, path, &found) ||
            !BSON_ITER_HOLDS_ARRAY(&found) || !bson_iter_recurse(&found, iter)) {
            return false;
        }
    }
    uint32_t len;
    const uint8_t *data;
    if (!bson_iter_next(iter) || !BSON_ITER_HOLDS_DOCUMENT(iter)) {
        return false;
    }
    bson_iter_document(iter, &len, &data);
    return bson_init_static(out, data, len);
}

void step_find(struct operation *operation)
{
    struct client *client = operation->client;
    if (client->record.count == 0) {
        return;
    }
    const struct written *written =
        client->record.items[stream_below(&operation->stream, client->record.count)];
    uint64_t since = ++client->moment;
    bool was_visible = written_is_visible(client, written);
    bson_t body = BSON_INITIALIZER, filter;
    BSON_APPEND_UTF8(&body, "find", written->collection);
    BSON_APPEND_DOCUMENT_BEGIN(&body, "filter", &filter);
    BSON_APPEND_INT64(&filter, "_id", written->token);
    bson_append_document_end(&body, &filter);
    if (stream_chance(&operation->stream, 500)) {
        BSON_APPEND_BOOL(&body, "singleBatch", true);
    }
    struct result result = step_command(operation, "find", APPLICATION_DATABASE, &body);
    if (result.kind == RESULT_DONE) {
        bson_iter_t iter;
        bson_t document;
        bool started = false, found = false;
        while (step_next_document(result.reply, "firstBatch", &iter, &started, &document)) {
            found = true;
            check_document(client, written->collection, &document, since);
        }
        if (!found && was_visible && written_is_visible(client, written) && !written->busy) {
            check_fails(client, "reads its own writes", "find", result.reply,
                        "an acknowledged document is not found");
        }
    }
    result_release(&result);
    bson_destroy(&body);
}

/* --- a cursor over all documents of the client --- */

struct scan {
    struct operation *operation;
    const char *collection;
    struct written **expected; /* NULL where it was seen */
    unsigned count;
    int64_t *seen;
    unsigned seen_count;
    uint64_t since;
};

static void begin_scan(struct scan *scan, struct operation *operation, const char *collection)
{
    const struct record *record = &operation->client->record;
    *scan = (struct scan){
        .operation = operation, .collection = collection, .since = ++operation->client->moment};
    scan->expected = calloc(record->count + 1, sizeof(struct written *));
    scan->seen = calloc((size_t)PLAN_OPERATIONS_MAX * BATCH_MAX * 2, sizeof *scan->seen);
    for (unsigned i = 0; i < record->count; i++) {
        if (record->items[i]->collection == collection && !record->items[i]->busy &&
            written_is_visible(operation->client, record->items[i])) {
            scan->expected[scan->count++] = record->items[i];
        }
    }
}

static void take_batch(struct scan *scan, const bson_t *reply, const char *batch)
{
    bson_iter_t iter;
    bson_t document;
    bool started = false;
    const struct client *client = scan->operation->client;
    while (step_next_document(reply, batch, &iter, &started, &document)) {
        int64_t token = reply_integer(&document, "_id", -1);
        if (!check_document(client, scan->collection, &document, scan->since)) {
            return;
        }
        for (unsigned i = 0; i < scan->seen_count; i++) {
            if (scan->seen[i] == token) {
                check_fails(client, "cursor complete", "getMore", reply,
                            "a cursor returns a document twice");
                return;
            }
        }
        scan->seen[scan->seen_count++] = token;
        for (unsigned i = 0; i < scan->count; i++) {
            if (scan->expected[i] != NULL && scan->expected[i]->token == token) {
                scan->expected[i] = NULL;
            }
        }
    }
}

static void end_scan(struct scan *scan, bool complete)
{
    const struct client *client = scan->operation->client;
    for (unsigned i = 0; i < scan->count && complete; i++) {
        const struct written *missing = scan->expected[i];
        if (missing != NULL && !missing->busy && written_is_visible(client, missing)) {
            world_fail(client->world, "cursor complete",
                       "%s: a cursor over %s does not return the acknowledged document %lld",
                       client->actor, scan->collection, (long long)missing->token);
        }
    }
    free(scan->expected);
    free(scan->seen);
}

static void make_find(const struct scan *scan, bson_t *body)
{
    bson_t filter, range;
    unsigned index = scan->operation->client->index;
    BSON_APPEND_UTF8(body, "find", scan->collection);
    BSON_APPEND_DOCUMENT_BEGIN(body, "filter", &filter);
    BSON_APPEND_DOCUMENT_BEGIN(&filter, "_id", &range);
    BSON_APPEND_INT64(&range, "$gte", application_token(index, 0, 0));
    BSON_APPEND_INT64(&range, "$lt", application_token(index + 1, 0, 0));
    bson_append_document_end(&filter, &range);
    bson_append_document_end(body, &filter);
    BSON_APPEND_INT32(body, "batchSize", 2);
}

/* The rest of the cursor, on its server and in its session. True: it came to its end. */
static bool read_rest(struct scan *scan, struct result *first)
{
    struct operation *operation = scan->operation;
    int64_t cursor = reply_integer(first->reply, "cursor.id", 0);
    bool kills = stream_chance(&operation->stream, 150);
    while (cursor != 0) {
        bson_t body = BSON_INITIALIZER, cursors;
        const char *name = kills ? "killCursors" : "getMore";
        if (kills) {
            BSON_APPEND_UTF8(&body, name, scan->collection);
            BSON_APPEND_ARRAY_BEGIN(&body, "cursors", &cursors);
            BSON_APPEND_INT64(&cursors, "0", cursor);
            bson_append_array_end(&body, &cursors);
        } else {
            BSON_APPEND_INT64(&body, name, cursor);
            BSON_APPEND_UTF8(&body, "collection", scan->collection);
            BSON_APPEND_INT32(&body, "batchSize", 2);
        }
        struct command command = {.name = name,
                                  .database = APPLICATION_DATABASE,
                                  .body = &body,
                                  .session = first->session,
                                  .sessionless = first->session == NULL,
                                  .server = first->server};
        struct result result = command_run(operation->client, &command);
        bool done = result.kind == RESULT_DONE;
        if (!done) {
            step_check_failure(operation, name, &result);
        } else if (!kills) {
            take_batch(scan, result.reply, "nextBatch");
            cursor = reply_integer(result.reply, "cursor.id", 0);
        }
        result_release(&result);
        bson_destroy(&body);
        if (!done || kills || world_failed(operation->client->world)) {
            return false;
        }
    }
    return true;
}

void step_cursor(struct operation *operation)
{
    struct client *client = operation->client;
    struct scan scan;
    bson_t body = BSON_INITIALIZER;
    begin_scan(&scan, operation, documents_choose_collection(operation));
    make_find(&scan, &body);
    struct command command = {.name = "find",
                              .database = APPLICATION_DATABASE,
                              .body = &body,
                              .retryable = true,
                              .keeps_session = true};
    struct result result = command_run(client, &command);
    bool complete = false;
    if (result.kind == RESULT_DONE) {
        take_batch(&scan, result.reply, "firstBatch");
        complete = read_rest(&scan, &result);
    } else {
        step_check_failure(operation, "find", &result);
    }
    end_scan(&scan, complete);
    session_check_in(client, result.session);
    result_release(&result);
    bson_destroy(&body);
}
