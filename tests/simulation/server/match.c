/* Filters: equality, $eq, $ne, $gt, $gte, $lt, $lte, $in and $exists of plain fields. */
#include <string.h>

#include "server/operation.h"

/* -1, 0, 1; 2: values of different kinds. */
static int compare(const bson_iter_t *a, const bson_iter_t *b)
{
    if (BSON_ITER_HOLDS_INT(a) && BSON_ITER_HOLDS_INT(b)) {
        int64_t x = bson_iter_as_int64(a);
        int64_t y = bson_iter_as_int64(b);
        return (x > y) - (x < y);
    }
    if (BSON_ITER_HOLDS_NUMBER(a) && BSON_ITER_HOLDS_NUMBER(b)) {
        double x = bson_iter_as_double(a);
        double y = bson_iter_as_double(b);
        return (x > y) - (x < y);
    }
    if (bson_iter_type(a) != bson_iter_type(b))
        return 2;
    if (BSON_ITER_HOLDS_UTF8(a)) {
        int order = strcmp(bson_iter_utf8(a, NULL), bson_iter_utf8(b, NULL));
        return (order > 0) - (order < 0);
    }
    size_t len = 0;
    size_t other_len = 0;
    const uint8_t *x = value_bytes(a, &len);
    const uint8_t *y = value_bytes(b, &other_len);
    return len == other_len && (len == 0 || memcmp(x, y, len) == 0) ? 0 : 2;
}

static bool is_in(const bson_iter_t *value, const bson_iter_t *list)
{
    bson_iter_t each;
    if (!bson_iter_recurse(list, &each))
        return false;
    while (bson_iter_next(&each))
        if (compare(value, &each) == 0)
            return true;
    return false;
}

static bool holds(const char *name, const bson_iter_t *value, const bson_iter_t *operand)
{
    if (strcmp(name, "$exists") == 0)
        return bson_iter_as_bool(operand) == (value != NULL);
    if (value == NULL)
        return strcmp(name, "$ne") == 0;
    if (strcmp(name, "$in") == 0)
        return is_in(value, operand);
    int order = compare(value, operand);
    if (strcmp(name, "$ne") == 0)
        return order != 0;
    if (strcmp(name, "$eq") == 0)
        return order == 0;
    if (order == 2)
        return false;
    return strcmp(name, "$gt") == 0    ? order > 0
           : strcmp(name, "$gte") == 0 ? order >= 0
           : strcmp(name, "$lt") == 0  ? order < 0
                                       : order <= 0;
}

static bool is_operators(const bson_iter_t *condition, bson_iter_t *first)
{
    return BSON_ITER_HOLDS_DOCUMENT(condition) && bson_iter_recurse(condition, first) &&
           bson_iter_next(first) && bson_iter_key(first)[0] == '$';
}

static bool match_field(const bson_iter_t *condition, const bson_t *document)
{
    bson_iter_t value;
    bson_iter_t each;
    bool found = bson_iter_init_find(&value, document, bson_iter_key(condition));
    if (!is_operators(condition, &each))
        return found && compare(&value, condition) == 0;
    do {
        if (!holds(bson_iter_key(&each), found ? &value : NULL, &each))
            return false;
    } while (bson_iter_next(&each));
    return true;
}

bool match_document(const bson_t *filter, const uint8_t *data, uint32_t len)
{
    bson_t document;
    bson_iter_t each;
    if (!bson_init_static(&document, data, len) || !bson_iter_init(&each, filter))
        return false;
    while (bson_iter_next(&each))
        if (!match_field(&each, &document))
            return false;
    return true;
}

int match_check(const bson_t *filter)
{
    static const char known[] = " $eq $ne $gt $gte $lt $lte $in $exists ";
    bson_iter_t each;
    bson_iter_t operator;
    if (!bson_iter_init(&each, filter))
        return 2;
    while (bson_iter_next(&each)) {
        if (bson_iter_key(&each)[0] == '$')
            return 2;
        if (!is_operators(&each, &operator))
            continue;
        do {
            const char *at = strstr(known, bson_iter_key(&operator));
            if (at == NULL || at[-1] != ' ' || at[strlen(bson_iter_key(&operator))] != ' ')
                return 2;
        } while (bson_iter_next(&operator));
    }
    return 0;
}

/* --- candidates --- */

static bool try_slot(struct operation *operation, uint32_t slot, const bson_t *filter,
                     bool (*each)(void *arg, struct version *version), void *arg)
{
    struct version *version = operation_version(operation, slot);
    if (version == NULL || !match_document(filter, version->document, version->len))
        return true;
    return each(arg, version);
}

/* True if the filter names one _id. */
static bool one_key(const bson_t *filter, int64_t *key)
{
    bson_iter_t id;
    bson_iter_t first;
    return bson_iter_init_find(&id, filter, "_id") && !is_operators(&id, &first) &&
           document_key(&id, key);
}

/* Bounds of an _id that all matching documents have. */
static void read_bounds(const bson_t *filter, int64_t *least, int64_t *most)
{
    bson_iter_t id;
    bson_iter_t each;
    *least = INT64_MIN;
    *most = INT64_MAX;
    if (!bson_iter_init_find(&id, filter, "_id") || !is_operators(&id, &each))
        return;
    do {
        const char *name = bson_iter_key(&each);
        if (!BSON_ITER_HOLDS_INT(&each))
            continue;
        int64_t value = bson_iter_as_int64(&each);
        if (strncmp(name, "$gt", 3) == 0)
            *least = value;
        if (strncmp(name, "$lt", 3) == 0)
            *most = value;
    } while (bson_iter_next(&each));
}

void find_each(struct operation *operation, unsigned collection, const bson_t *filter,
               bool (*each)(void *arg, struct version *version), void *arg)
{
    struct cluster *cluster = operation->cluster;
    int64_t key = 0;
    int64_t least = 0;
    int64_t most = 0;
    uint32_t slot = 0;
    if (one_key(filter, &key)) {
        if (slot_find(cluster, collection, key, &slot))
            (void)try_slot(operation, slot, filter, each, arg);
        return;
    }
    read_bounds(filter, &least, &most);
    for (slot = 0; slot < cluster->slot_count; slot++) {
        const struct slot *of = &cluster->slots[slot];
        if (of->collection == collection && of->key >= least && of->key <= most &&
            !try_slot(operation, slot, filter, each, arg))
            return;
    }
}
