#include "cli/extended_json.h"

#include <bson/bson.h>

#include "bson/build.h"

char *extended_json_of(struct bytes document)
{
    bson_t bson;
    if (!bson_init_static(&bson, document.pos, bytes_left(&document)))
        return NULL;
    char *relaxed = bson_as_relaxed_extended_json(&bson, NULL);
    bson_error_t ignored;
    bson_t *again =
        relaxed == NULL ? NULL : bson_new_from_json((const uint8_t *)relaxed, -1, &ignored);
    bool kept = again != NULL && again->len == bson.len &&
                memcmp(bson_get_data(again), document.pos, bson.len) == 0;
    bson_destroy(again);
    if (kept)
        return relaxed;
    bson_free(relaxed);
    return bson_as_canonical_extended_json(&bson, NULL);
}

char *extended_json_of_value(const struct scan_element *value)
{
    struct build build;
    struct bytes document;
    char *json = NULL;
    build_begin(&build, (size_t)1 << 26);
    build_value(&build, "v", value->kind, value->value);
    if (build_finish(&build, &document))
        json = extended_json_of(document);
    build_free(&build);
    if (json == NULL)
        return NULL;
    /* { "v" : … } */
    size_t len = strlen(json);
    memmove(json, json + 8, len - 10);
    json[len - 10] = 0;
    return json;
}
