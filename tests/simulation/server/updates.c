/* Updates of plain fields. */
#include <string.h>

#include "server/operation.h"

static bool find_operator(const bson_t *update, const char *name, bson_t *out)
{
    bson_iter_t iter;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!bson_iter_init_find(&iter, update, name))
        return false;
    if (!BSON_ITER_HOLDS_DOCUMENT(&iter))
        return false;
    bson_iter_document(&iter, &len, &data);
    return bson_init_static(out, data, len);
}

struct operators {
    bson_t set, increase, remove, set_on_insert;
    bool sets, increases, removes, sets_on_insert;
};

static bool read_operators(const bson_t *update, bool is_upsert, struct operators *out)
{
    bson_iter_t iter;
    out->sets = find_operator(update, "$set", &out->set);
    out->increases = find_operator(update, "$inc", &out->increase);
    out->removes = find_operator(update, "$unset", &out->remove);
    out->sets_on_insert = is_upsert && find_operator(update, "$setOnInsert", &out->set_on_insert);
    if (!bson_iter_init(&iter, update))
        return false;
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);
        if (strcmp(key, "$set") != 0 && strcmp(key, "$inc") != 0 && strcmp(key, "$unset") != 0 &&
            strcmp(key, "$setOnInsert") != 0)
            return false;
    }
    return true;
}

static bool append_sum(bson_t *out, const char *key, const bson_iter_t *a, const bson_iter_t *b)
{
    bool narrow = (a == NULL || BSON_ITER_HOLDS_INT32(a)) && BSON_ITER_HOLDS_INT32(b);
    if ((a != NULL && !BSON_ITER_HOLDS_INT(a)) || !BSON_ITER_HOLDS_INT(b))
        return false;
    int64_t sum = (a == NULL ? 0 : bson_iter_as_int64(a)) + bson_iter_as_int64(b);
    return narrow ? bson_append_int32(out, key, -1, (int32_t)sum)
                  : bson_append_int64(out, key, -1, sum);
}

static bool append_field(bson_t *out, const struct operators *operators, const bson_iter_t *field)
{
    const char *key = bson_iter_key(field);
    bson_iter_t iter;
    if (operators->removes && bson_iter_init_find(&iter, &operators->remove, key))
        return true;
    if (operators->sets && bson_iter_init_find(&iter, &operators->set, key))
        return bson_append_iter(out, key, -1, &iter);
    if (operators->increases && bson_iter_init_find(&iter, &operators->increase, key))
        return append_sum(out, key, field, &iter);
    return bson_append_iter(out, key, -1, field);
}

/* Fields of an operator that the document lacked. */
static bool append_new(bson_t *out, const bson_t *fields, bool is_sum)
{
    bson_iter_t iter;
    if (!bson_iter_init(&iter, fields))
        return false;
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);
        if (strchr(key, '.') != NULL)
            return false;
        if (bson_has_field(out, key))
            continue;
        bool ok =
            is_sum ? append_sum(out, key, NULL, &iter) : bson_append_iter(out, key, -1, &iter);
        if (!ok)
            return false;
    }
    return true;
}

static bool apply_operators(const bson_t *before, const bson_t *update, bool is_upsert, bson_t *out)
{
    struct operators operators;
    bson_iter_t iter;
    if (!read_operators(update, is_upsert, &operators) || !bson_iter_init(&iter, before))
        return false;
    while (bson_iter_next(&iter))
        if (!append_field(out, &operators, &iter))
            return false;
    return (!operators.sets || append_new(out, &operators.set, false)) &&
           (!operators.increases || append_new(out, &operators.increase, true)) &&
           (!operators.sets_on_insert || append_new(out, &operators.set_on_insert, false));
}

static bool replace(const bson_t *before, const bson_t *update, bson_t *out)
{
    bson_iter_t id;
    if (bson_iter_init_find(&id, before, "_id"))
        bson_append_iter(out, "_id", 3, &id);
    bson_copy_to_excluding_noinit(update, out, "_id", NULL);
    return true;
}

bool update_apply(const bson_t *before, const bson_t *update, bool is_upsert, bson_t *out)
{
    bson_iter_t first;
    bool has_operators =
        bson_iter_init(&first, update) && bson_iter_next(&first) && bson_iter_key(&first)[0] == '$';
    return has_operators ? apply_operators(before, update, is_upsert, out)
                         : replace(before, update, out);
}
