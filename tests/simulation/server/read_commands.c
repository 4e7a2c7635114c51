/* find, aggregate (but change streams) and count. */
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

struct collected {
    struct version **all;
    size_t count, capacity, most;
    size_t skip;
};

static bool collect(void *arg, struct version *version)
{
    struct collected *collected = arg;
    if (collected->skip > 0) {
        collected->skip--;
        return true;
    }
    array_grow((void **)&collected->all, &collected->capacity, collected->count + 1,
               sizeof(struct version *));
    collected->all[collected->count++] = version;
    return collected->count < collected->most;
}

static bool read_filter(struct operation *operation, const char *field, bson_t *out)
{
    bson_iter_t iter;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!operation_field(operation, field, &iter)) {
        bson_init(out);
        return true;
    }
    if (!BSON_ITER_HOLDS_DOCUMENT(&iter)) {
        (void)operation_fail(operation, 14, "Expected field '%s' to be of type object", field);
        return false;
    }
    bson_iter_document(&iter, &len, &data);
    if (bson_init_static(out, data, len) && match_check(out) == 0)
        return true;
    (void)operation_fail(operation, 2, "unknown operator in '%s'", field);
    return false;
}

/* --- sort by _id --- */

static int64_t id_of(const struct version *version)
{
    bson_t document;
    bson_iter_t id;
    return bson_init_static(&document, version->document, version->len) &&
                   bson_iter_init_find(&id, &document, "_id") && BSON_ITER_HOLDS_INT(&id)
               ? bson_iter_as_int64(&id)
               : 0;
}

static int compare_up(const void *a, const void *b)
{
    int64_t x = id_of(*(struct version *const *)a);
    int64_t y = id_of(*(struct version *const *)b);
    return (x > y) - (x < y);
}

static int compare_down(const void *a, const void *b)
{
    return compare_up(b, a);
}

/* False: another order is asked for. */
static bool read_order(struct operation *operation, int *order)
{
    bson_iter_t iter;
    bson_iter_t field;
    *order = 0;
    if (!operation_field(operation, "sort", &iter) || !bson_iter_recurse(&iter, &field) ||
        !bson_iter_next(&field))
        return true;
    *order = bson_iter_as_int64(&field) < 0 ? -1 : 1;
    if (strcmp(bson_iter_key(&field), "_id") == 0 && !bson_iter_next(&field))
        return true;
    (void)operation_fail(operation, 2, "the model server sorts by _id only");
    return false;
}

enum step run_find(struct operation *operation)
{
    char name[SERVER_NAMESPACE_BYTES];
    bson_t filter;
    bson_iter_t single;
    int order = 0;
    int64_t limit = operation_int(operation, "limit", 0);
    int64_t batch = operation_int(operation, "batchSize", 101);
    if (!operation_namespace(operation, name) || !read_filter(operation, "filter", &filter) ||
        !read_order(operation, &order))
        return STEP_DONE;
    enum step step = operation_check_out(operation);
    if (step != STEP_GO_ON)
        return step;
    if (batch < 0 || limit < 0)
        return operation_fail(operation, 51024, "BSON field value must be >= 0");
    struct collected collected = {.most = order == 0 && limit > 0 ? (size_t)limit : SIZE_MAX,
                                  .skip = (size_t)operation_int(operation, "skip", 0)};
    find_each(operation, cluster_collection(operation->cluster, name), &filter, collect,
              &collected);
    if (order != 0 && collected.count > 1)
        qsort(collected.all, collected.count, sizeof(struct version *),
              order > 0 ? compare_up : compare_down);
    if (limit > 0 && collected.count > (size_t)limit)
        collected.count = (size_t)limit;
    struct cursor *cursor = cursor_add(operation, name);
    cursor->found = collected.all;
    cursor->count = collected.count;
    bool is_single =
        (operation_field(operation, "singleBatch", &single) && bson_iter_as_bool(&single)) ||
        (limit > 0 && batch >= limit);
    cursor_append_batch(operation, cursor, true, batch, !is_single);
    return STEP_DONE;
}

/* --- counting --- */

static bool count_one(void *arg, struct version *version)
{
    (void)version;
    ++*(int64_t *)arg;
    return true;
}

enum step run_count(struct operation *operation)
{
    char name[SERVER_NAMESPACE_BYTES];
    bson_t filter;
    int64_t count = 0;
    if (!operation_namespace(operation, name) || !read_filter(operation, "query", &filter))
        return STEP_DONE;
    find_each(operation, cluster_collection(operation->cluster, name), &filter, count_one, &count);
    bson_append_int32(&operation->reply, "n", 1, (int32_t)count);
    return STEP_DONE;
}

static void answer_count(struct operation *operation, const char *name, const char *field,
                         bool with_id, int64_t count)
{
    struct batch batch;
    bson_t document = BSON_INITIALIZER;
    answer_batch_begin(operation, &batch, true);
    if (with_id)
        bson_append_int32(&document, "_id", 3, 1);
    bson_append_int32(&document, field, -1, (int32_t)count);
    if (count > 0)
        answer_batch_add(&batch, &document);
    answer_batch_end(operation, &batch, 0, name, NULL);
    bson_destroy(&document);
}

/* [{$match: filter}] */
static enum step answer_matches(struct operation *operation, const char *name, const bson_t *filter)
{
    struct collected collected = {.most = SIZE_MAX};
    find_each(operation, cluster_collection(operation->cluster, name), filter, collect, &collected);
    struct cursor *cursor = cursor_add(operation, name);
    cursor->found = collected.all;
    cursor->count = collected.count;
    bson_iter_t options;
    bson_iter_t size;
    int64_t batch = 101;
    if (operation_field(operation, "cursor", &options) && bson_iter_recurse(&options, &size) &&
        bson_iter_find(&size, "batchSize"))
        batch = bson_iter_as_int64(&size);
    cursor_append_batch(operation, cursor, true, batch, true);
    return STEP_DONE;
}

static enum step run_pipeline(struct operation *operation, bson_iter_t *stages)
{
    char name[SERVER_NAMESPACE_BYTES];
    bson_t filter = BSON_INITIALIZER;
    bson_iter_t stage;
    int64_t count = 0;
    if (!operation_namespace(operation, name))
        return STEP_DONE;
    while (bson_iter_next(stages)) {
        uint32_t len = 0;
        const uint8_t *data = NULL;
        if (!bson_iter_recurse(stages, &stage) || !bson_iter_next(&stage))
            break;
        const char *kind = bson_iter_key(&stage);
        if (strcmp(kind, "$match") == 0 && BSON_ITER_HOLDS_DOCUMENT(&stage)) {
            bson_iter_document(&stage, &len, &data);
            if (!bson_init_static(&filter, data, len) || match_check(&filter) != 0)
                return operation_fail(operation, 2, "unknown operator in $match");
            continue;
        }
        bool is_count = strcmp(kind, "$count") == 0 && BSON_ITER_HOLDS_UTF8(&stage);
        if (!is_count && strcmp(kind, "$group") != 0)
            return operation_fail(operation, 40324, "Unrecognized pipeline stage name: '%s'", kind);
        find_each(operation, cluster_collection(operation->cluster, name), &filter, count_one,
                  &count);
        answer_count(operation, name, is_count ? bson_iter_utf8(&stage, NULL) : "n", !is_count,
                     count);
        return STEP_DONE;
    }
    return answer_matches(operation, name, &filter);
}

enum step run_aggregate(struct operation *operation)
{
    bson_iter_t pipeline;
    bson_iter_t stages;
    bson_iter_t stage;
    if (!operation_field(operation, "pipeline", &pipeline) || !BSON_ITER_HOLDS_ARRAY(&pipeline) ||
        !bson_iter_recurse(&pipeline, &stages))
        return operation_fail(operation, 14, "'pipeline' must be an array");
    enum step step = operation_check_out(operation);
    if (step != STEP_GO_ON)
        return step;
    bson_iter_t first = stages;
    if (bson_iter_next(&first) && bson_iter_recurse(&first, &stage) && bson_iter_next(&stage) &&
        strcmp(bson_iter_key(&stage), "$changeStream") == 0)
        return change_stream_open(operation, &stage);
    return run_pipeline(operation, &stages);
}
