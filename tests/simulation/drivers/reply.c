#include <string.h>

#include "client.h"

int64_t reply_integer(const bson_t *reply, const char *dotted, int64_t missing)
{
    bson_iter_t iter, found;
    if (!bson_iter_init(&iter, reply) || !bson_iter_find_descendant(&iter, dotted, &found) ||
        !BSON_ITER_HOLDS_NUMBER(&found)) {
        return missing;
    }
    return bson_iter_as_int64(&found);
}

bool reply_is_ok(const bson_t *reply)
{
    return reply_integer(reply, "ok", 0) == 1;
}

int reply_code(const bson_t *reply)
{
    return (int)reply_integer(reply, "code", 0);
}

static bool array_has(const bson_iter_t *array, const char *label)
{
    bson_iter_t item;
    if (!BSON_ITER_HOLDS_ARRAY(array) || !bson_iter_recurse(array, &item)) {
        return false;
    }
    while (bson_iter_next(&item)) {
        if (BSON_ITER_HOLDS_UTF8(&item) && strcmp(bson_iter_utf8(&item, NULL), label) == 0) {
            return true;
        }
    }
    return false;
}

bool reply_has_label(const bson_t *reply, const char *label)
{
    bson_iter_t iter;
    return reply != NULL && bson_iter_init_find(&iter, reply, "errorLabels") &&
           array_has(&iter, label);
}
