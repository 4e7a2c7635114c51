#include "support.h"

bson_t *support_json(const char *json)
{
    bson_error_t err;
    bson_t *bson = bson_new_from_json((const uint8_t *)json, -1, &err);
    if (bson == NULL)
        fail_msg("not JSON: %s: %s", json, err.message);
    return bson;
}

struct bytes support_bytes(const bson_t *bson)
{
    return bytes_of(bson_get_data(bson), bson->len);
}

struct registry_entry *support_entry(const char *text, enum registry_origin origin)
{
    struct schema_file file;
    struct error err = {0};
    if (!schema_file_parse(text, strlen(text), NULL, NULL, &file, &err))
        fail_msg("refused: %s: %s", text, err.message);
    struct registry_entry *entry = registry_entry_new(&file, origin, "test.json");
    assert_non_null(entry);
    return entry;
}
