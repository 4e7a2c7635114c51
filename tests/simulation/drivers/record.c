#include "record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct written *record_add(struct record *record, int64_t token, const char *collection)
{
    if (record->count == record->cap) {
        record->cap = record->cap == 0 ? 16 : record->cap * 2;
        record->items = realloc(record->items, record->cap * sizeof(struct written *));
        assert(record->items != NULL);
    }
    struct written *written = calloc(1, sizeof *written);
    assert(written != NULL);
    written->token = token;
    written->collection = collection;
    written->increments_majority = true;
    record->items[record->count++] = written;
    return written;
}

void written_begin(struct written *written)
{
    written->busy = true;
}

void written_end(struct written *written, uint64_t moment)
{
    written->busy = false;
    written->changed = moment;
}

struct written *record_find(const struct record *record, const char *collection, int64_t token)
{
    for (unsigned i = 0; i < record->count; i++) {
        struct written *written = record->items[i];
        if (written->token == token && strcmp(written->collection, collection) == 0) {
            return written;
        }
    }
    return NULL;
}

void record_release(struct record *record)
{
    for (unsigned i = 0; i < record->count; i++) {
        free(record->items[i]);
    }
    free(record->items);
    memset(record, 0, sizeof *record);
}
