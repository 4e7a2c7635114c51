/* Documents from extended JSON, for tests. */
#ifndef SLUICE_TESTS_JSON_DOCUMENT_H
#define SLUICE_TESTS_JSON_DOCUMENT_H

#include "cmocka_all.h"

#include <bson/bson.h>

#include "base/bytes.h"

/* Fails the test if the text is not JSON. The caller must call bson_destroy. */
static inline bson_t *support_json(const char *json)
{
    bson_error_t why;
    bson_t *bson = bson_new_from_json((const uint8_t *)json, -1, &why);
    if (bson == NULL)
        fail_msg("not JSON: %s: %s", json, why.message);
    return bson;
}

static inline struct bytes support_bytes(const bson_t *bson)
{
    return bytes_of(bson_get_data(bson), bson->len);
}

#endif
