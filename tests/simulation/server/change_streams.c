/* Change streams: they show entries of the log that a majority has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

enum { TOKEN_BYTES = 24, DEFAULT_AWAIT_MS = 1000, DEFAULT_BATCH = 101 };

/* A resume token names the next event. Tokens sort as their events do. */
static void write_token(char out[TOKEN_BYTES], int64_t position, unsigned part)
{
    (void)snprintf(out, TOKEN_BYTES, "%016llX%04X", (unsigned long long)position, part & 0xFFFF);
}

static bool read_token(const bson_iter_t *iter, struct cursor *cursor)
{
    bson_iter_t data;
    char digits[17];
    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &data) ||
        !bson_iter_find(&data, "_data") || !BSON_ITER_HOLDS_UTF8(&data))
        return false;
    const char *text = bson_iter_utf8(&data, NULL);
    if (strlen(text) != 20 || strspn(text, "0123456789ABCDEF") != 20)
        return false;
    memcpy(digits, text, 16);
    digits[16] = 0;
    cursor->position = (int64_t)strtoull(digits, NULL, 16);
    cursor->part = (unsigned)strtoul(text + 16, NULL, 16);
    return true;
}

/* --- events --- */

static const char *kind_of(const struct version *version)
{
    bool was = version->previous != NULL && !version->previous->is_deleted;
    if (version->is_deleted)
        return was ? "delete" : NULL;
    return was ? "update" : "insert";
}

static void append_key(bson_t *event, const struct version *version)
{
    const struct version *from = version->is_deleted ? version->previous : version;
    bson_t document;
    bson_t key;
    bson_iter_t id;
    if (!bson_init_static(&document, from->document, from->len) ||
        !bson_iter_init_find(&id, &document, "_id"))
        return;
    bson_append_document_begin(event, "documentKey", -1, &key);
    bson_append_iter(&key, "_id", 3, &id);
    bson_append_document_end(event, &key);
}

/* Names the fields that have another value. */
static void append_changes(bson_t *event, const struct version *version)
{
    bson_t now;
    bson_t before;
    bson_t description;
    bson_t fields;
    bson_iter_t iter;
    if (!bson_init_static(&now, version->document, version->len) ||
        !bson_init_static(&before, version->previous->document, version->previous->len) ||
        !bson_iter_init(&iter, &now))
        return;
    bson_append_document_begin(event, "updateDescription", -1, &description);
    bson_append_document_begin(&description, "updatedFields", -1, &fields);
    while (bson_iter_next(&iter)) {
        bson_iter_t old;
        size_t len = 0;
        size_t old_len = 0;
        const uint8_t *value = value_bytes(&iter, &len);
        bool had = bson_iter_init_find(&old, &before, bson_iter_key(&iter));
        const uint8_t *old_value = had ? value_bytes(&old, &old_len) : NULL;
        if (!had || len != old_len || (len > 0 && memcmp(value, old_value, len) != 0))
            bson_append_iter(&fields, bson_iter_key(&iter), -1, &iter);
    }
    bson_append_document_end(&description, &fields);
    bson_append_array_begin(&description, "removedFields", -1, &fields);
    bson_append_array_end(&description, &fields);
    bson_append_document_end(event, &description);
}

static void build_event(const struct cluster *cluster, const struct entry *entry, unsigned part,
                        const char *kind, bson_t *event)
{
    const struct version *version = entry->versions[part];
    const char *name = cluster->collections[cluster->slots[version->slot].collection].name;
    const char *dot = strchr(name, '.');
    char token[TOKEN_BYTES];
    bson_t inner;
    write_token(token, entry->index, part + 1);
    bson_append_document_begin(event, "_id", 3, &inner);
    bson_append_utf8(&inner, "_data", -1, token, -1);
    bson_append_document_end(event, &inner);
    bson_append_utf8(event, "operationType", -1, kind, -1);
    append_time(event, "clusterTime", entry->seconds, entry->increment);
    if (strcmp(kind, "insert") == 0) {
        bson_t document;
        if (bson_init_static(&document, version->document, version->len))
            bson_append_document(event, "fullDocument", -1, &document);
    }
    bson_append_document_begin(event, "ns", 2, &inner);
    bson_append_utf8(&inner, "db", 2, name, (int)(dot - name));
    bson_append_utf8(&inner, "coll", 4, dot + 1, -1);
    bson_append_document_end(event, &inner);
    append_key(event, version);
    if (strcmp(kind, "update") == 0)
        append_changes(event, version);
}

static bool shows(const struct cluster *cluster, const struct cursor *cursor,
                  const struct version *version)
{
    unsigned collection = cluster->slots[version->slot].collection;
    if (!cursor->is_of_all)
        return collection == cursor->collection;
    size_t len = strcspn(cursor->name, ".");
    return strncmp(cursor->name, "admin.", 6) == 0 ||
           (strncmp(cluster->collections[collection].name, cursor->name, len) == 0 &&
            cluster->collections[collection].name[len] == '.');
}

/* The next event, or NULL when none is there; moves the cursor. */
static const struct entry *next_event(const struct member *member, struct cursor *cursor,
                                      unsigned *part, const char **kind)
{
    while (cursor->position <= member->committed) {
        const struct entry *entry = member->log[cursor->position - 1];
        while (cursor->part < entry->version_count) {
            const struct version *version = entry->versions[cursor->part];
            *part = cursor->part++;
            *kind = kind_of(version);
            if (*kind != NULL && shows(member->cluster, cursor, version))
                return entry;
        }
        cursor->position++;
        cursor->part = 0;
    }
    return NULL;
}

static uint32_t fill(struct operation *operation, struct cursor *cursor, bool is_first,
                     int64_t limit)
{
    struct batch batch;
    char token[TOKEN_BYTES];
    const char *kind = NULL;
    unsigned part = 0;
    answer_batch_begin(operation, &batch, is_first);
    while (batch.count < limit) {
        const struct entry *entry = next_event(operation->member, cursor, &part, &kind);
        if (entry == NULL)
            break;
        bson_t event = BSON_INITIALIZER;
        build_event(operation->cluster, entry, part, kind, &event);
        answer_batch_add(&batch, &event);
        bson_destroy(&event);
    }
    write_token(token, cursor->position, cursor->part);
    answer_batch_end(operation, &batch, cursor->id, cursor->name, token);
    return batch.count;
}

/* --- opening --- */

static int64_t first_at(const struct member *member, uint32_t seconds, uint32_t increment)
{
    for (size_t i = 0; i < member->log_count; i++) {
        const struct entry *entry = member->log[i];
        if (entry->seconds > seconds ||
            (entry->seconds == seconds && entry->increment >= increment))
            return entry->index;
    }
    return (int64_t)member->log_count + 1;
}

static bool read_options(const struct operation *operation, const bson_iter_t *stage,
                         struct cursor *cursor)
{
    bson_iter_t option;
    cursor->position = operation->member->committed + 1;
    if (!bson_iter_recurse(stage, &option))
        return false;
    while (bson_iter_next(&option)) {
        const char *key = bson_iter_key(&option);
        if (strcmp(key, "resumeAfter") == 0 || strcmp(key, "startAfter") == 0) {
            if (!read_token(&option, cursor))
                return false;
        } else if (strcmp(key, "startAtOperationTime") == 0) {
            uint32_t seconds = 0;
            uint32_t increment = 0;
            bson_iter_timestamp(&option, &seconds, &increment);
            cursor->position = first_at(operation->member, seconds, increment);
        }
    }
    return cursor->position >= 1;
}

static int64_t batch_size(const struct operation *operation)
{
    bson_iter_t options;
    bson_iter_t size;
    bool found = operation_field(operation, "cursor", &options) &&
                 bson_iter_recurse(&options, &size) && bson_iter_find(&size, "batchSize");
    return found ? bson_iter_as_int64(&size) : DEFAULT_BATCH;
}

enum step change_stream_open(struct operation *operation, const bson_iter_t *stage)
{
    char name[SERVER_NAMESPACE_BYTES];
    bson_iter_t first;
    if (!cluster_is_set(operation->cluster))
        return operation_fail(operation, 40573,
                              "The $changeStream stage is only supported on replica sets");
    bool is_of_all = bson_iter_init(&first, &operation->body) && bson_iter_next(&first) &&
                     !BSON_ITER_HOLDS_UTF8(&first);
    if (is_of_all)
        (void)snprintf(name, sizeof name, "%.35s.$cmd.aggregate", operation->database);
    else if (!operation_namespace(operation, name))
        return STEP_DONE;
    struct cursor *cursor = cursor_add(operation, name);
    cursor->is_stream = true;
    cursor->is_of_all = is_of_all;
    cursor->collection = is_of_all ? 0 : cluster_collection(operation->cluster, name);
    if (!read_options(operation, stage, cursor)) {
        cursor_free(operation->front, cursor);
        return operation_fail(operation, 260, "Invalid resume token");
    }
    (void)fill(operation, cursor, true, batch_size(operation));
    return STEP_DONE;
}

/* --- waiting for events --- */

static struct cursor *cursor_of(const struct operation *operation)
{
    bson_iter_t iter;
    return bson_iter_init(&iter, &operation->body) && bson_iter_next(&iter)
               ? cursor_find(operation->front, bson_iter_as_int64(&iter))
               : NULL;
}

static bool has_event(struct operation *operation)
{
    const struct cursor *cursor = cursor_of(operation);
    return cursor == NULL || operation->member->role == MEMBER_DOWN ||
           operation->member->committed >= cursor->position;
}

enum step change_stream_more(struct operation *operation, struct cursor *cursor)
{
    int64_t await_ms = operation->max_time_ms != 0 ? operation->max_time_ms : DEFAULT_AWAIT_MS;
    int64_t until_us = operation->began_us + await_ms * 1000;
    int64_t limit = operation_int(operation, "batchSize", DEFAULT_BATCH);
    uint32_t count = fill(operation, cursor, false, limit <= 0 ? DEFAULT_BATCH : limit);
    if (count > 0 || world_now_us(operation->cluster->world) >= until_us)
        return STEP_DONE;
    bson_reinit(&operation->reply);
    return operation_park(operation, has_event, until_us);
}
