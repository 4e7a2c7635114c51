/* Cursors: they belong to a server, a user and a session, not to a connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

struct cursor *cursor_add(struct operation *operation, const char *name)
{
    struct front *front = operation->front;
    struct cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL)
        abort();
    cursor->id = (int64_t)(stream_next(&front->stream) >> 1) | 1;
    (void)snprintf(cursor->name, sizeof cursor->name, "%s", name);
    cursor->user = operation->user;
    cursor->has_lsid = operation->has_lsid;
    memcpy(cursor->lsid, operation->lsid, sizeof cursor->lsid);
    cursor->next = front->cursors;
    front->cursors = cursor;
    return cursor;
}

struct cursor *cursor_find(struct front *front, int64_t id)
{
    for (struct cursor *each = front->cursors; each != NULL; each = each->next)
        if (each->id == id)
            return each;
    return NULL;
}

void cursor_free(struct front *front, struct cursor *cursor)
{
    struct cursor **at = &front->cursors;
    while (*at != cursor)
        at = &(*at)->next;
    *at = cursor->next;
    free(cursor->found);
    free(cursor);
}

void cursors_free_all(struct front *front)
{
    while (front->cursors != NULL)
        cursor_free(front, front->cursors);
}

void cursors_end_session(struct front *front, const uint8_t lsid[16], unsigned user)
{
    struct cursor *next = NULL;
    for (struct cursor *each = front->cursors; each != NULL; each = next) {
        next = each->next;
        if (each->has_lsid && each->user == user && memcmp(each->lsid, lsid, 16) == 0)
            cursor_free(front, each);
    }
}

/* --- batches --- */

void answer_batch_begin(struct operation *operation, struct batch *batch, bool is_first)
{
    batch->count = 0;
    bson_append_document_begin(&operation->reply, "cursor", -1, &batch->cursor);
    bson_append_array_begin(&batch->cursor, is_first ? "firstBatch" : "nextBatch", -1,
                            &batch->list);
}

void answer_batch_add(struct batch *batch, const bson_t *document)
{
    const char *key = NULL;
    char space[16];
    (void)bson_uint32_to_string(batch->count++, &key, space, sizeof space);
    bson_append_document(&batch->list, key, -1, document);
}

void answer_batch_end(struct operation *operation, struct batch *batch, int64_t id,
                      const char *name, const char *token)
{
    bson_t document;
    bson_append_array_end(&batch->cursor, &batch->list);
    if (token != NULL) {
        bson_append_document_begin(&batch->cursor, "postBatchResumeToken", -1, &document);
        bson_append_utf8(&document, "_data", -1, token, -1);
        bson_append_document_end(&batch->cursor, &document);
    }
    bson_append_int64(&batch->cursor, "id", 2, id);
    bson_append_utf8(&batch->cursor, "ns", 2, name, -1);
    bson_append_document_end(&operation->reply, &batch->cursor);
}

/* A cursor shows what a document is when it comes to it, except in a transaction. */
static const struct version *cursor_version(const struct operation *operation,
                                            const struct version *found)
{
    return operation->in_transaction ? found : operation_version(operation, found->slot);
}

void cursor_append_batch(struct operation *operation, struct cursor *cursor, bool is_first,
                         int64_t limit, bool keeps)
{
    struct batch batch;
    char name[SERVER_NAMESPACE_BYTES];
    int64_t id = cursor->id;
    (void)snprintf(name, sizeof name, "%s", cursor->name);
    answer_batch_begin(operation, &batch, is_first);
    while (cursor->at < cursor->count && (int64_t)batch.count < limit) {
        bson_t document;
        const struct version *version = cursor_version(operation, cursor->found[cursor->at++]);
        if (version != NULL && bson_init_static(&document, version->document, version->len))
            answer_batch_add(&batch, &document);
    }
    /* A full batch does not tell that it is the last. */
    bool is_full = (int64_t)batch.count == limit;
    if (!keeps || (cursor->at == cursor->count && !is_full)) {
        cursor_free(operation->front, cursor);
        id = 0;
    }
    answer_batch_end(operation, &batch, id, name, NULL);
}

/* --- getMore and killCursors --- */

static bool is_of_session(const struct operation *operation, const struct cursor *cursor)
{
    return operation->has_lsid == cursor->has_lsid &&
           (!cursor->has_lsid || memcmp(operation->lsid, cursor->lsid, 16) == 0);
}

enum step run_get_more(struct operation *operation)
{
    bson_iter_t name;
    bson_iter_t iter;
    char full[SERVER_NAMESPACE_BYTES];
    if (!bson_iter_init(&iter, &operation->body) || !bson_iter_next(&iter) ||
        !BSON_ITER_HOLDS_INT64(&iter) || !operation_field(operation, "collection", &name) ||
        !BSON_ITER_HOLDS_UTF8(&name))
        return operation_fail(operation, 14, "getMore needs a cursor id and a collection");
    long long id = (long long)bson_iter_int64(&iter);
    struct cursor *cursor = cursor_find(operation->front, id);
    if (cursor == NULL)
        return operation_fail(operation, 43, "cursor id %lld not found", id);
    if (cursor->user != operation->user)
        return operation_fail(operation, 13,
                              "cursor id %lld was not created by the authenticated user", id);
    if (!is_of_session(operation, cursor))
        return operation_fail(operation, 13,
                              "Cannot run getMore on cursor %lld, which was created in another "
                              "session or in none",
                              id);
    (void)snprintf(full, sizeof full, "%.35s.%.35s", operation->database,
                   bson_iter_utf8(&name, NULL));
    if (strcmp(full, cursor->name) != 0)
        return operation_fail(operation, 13,
                              "Requested getMore on namespace '%s', but cursor belongs to a "
                              "different namespace %s",
                              full, cursor->name);
    if (cursor->is_stream)
        return change_stream_more(operation, cursor);
    int64_t limit = operation_int(operation, "batchSize", INT64_MAX);
    cursor_append_batch(operation, cursor, false, limit <= 0 ? INT64_MAX : limit, true);
    return STEP_DONE;
}

static void append_ids(struct operation *operation, const bson_iter_t *ids, bool killed)
{
    bson_t list;
    bson_iter_t each;
    uint32_t count = 0;
    bson_append_array_begin(&operation->reply, killed ? "cursorsKilled" : "cursorsNotFound", -1,
                            &list);
    (void)bson_iter_recurse(ids, &each);
    while (bson_iter_next(&each)) {
        const char *key = NULL;
        char space[16];
        const struct cursor *cursor = cursor_find(operation->front, bson_iter_as_int64(&each));
        bool is_own = cursor != NULL && cursor->user == operation->user;
        if (is_own != killed)
            continue;
        (void)bson_uint32_to_string(count++, &key, space, sizeof space);
        bson_append_int64(&list, key, -1, bson_iter_as_int64(&each));
    }
    bson_append_array_end(&operation->reply, &list);
}

enum step run_kill_cursors(struct operation *operation)
{
    bson_iter_t ids;
    bson_iter_t each;
    bson_t empty;
    if (!operation_field(operation, "cursors", &ids) || !BSON_ITER_HOLDS_ARRAY(&ids))
        return operation_fail(operation, 14, "killCursors needs an array 'cursors'");
    append_ids(operation, &ids, true);
    append_ids(operation, &ids, false);
    bson_append_array_begin(&operation->reply, "cursorsAlive", -1, &empty);
    bson_append_array_end(&operation->reply, &empty);
    bson_append_array_begin(&operation->reply, "cursorsUnknown", -1, &empty);
    bson_append_array_end(&operation->reply, &empty);
    (void)bson_iter_recurse(&ids, &each);
    while (bson_iter_next(&each)) {
        struct cursor *cursor = cursor_find(operation->front, bson_iter_as_int64(&each));
        if (cursor != NULL && cursor->user == operation->user)
            cursor_free(operation->front, cursor);
    }
    cluster_wake(operation->cluster);
    return STEP_DONE;
}
