/* Documents and their states. */
#include <stdlib.h>
#include <string.h>

#include "server/server.h"

struct version *member_version(const struct member *member, uint32_t slot)
{
    return slot < member->version_capacity ? member->versions[slot] : NULL;
}

static size_t hash_slot(unsigned collection, int64_t key)
{
    uint64_t hash = ((uint64_t)key ^ ((uint64_t)collection << 56)) * 0x9E3779B97F4A7C15U;
    return (size_t)(hash ^ (hash >> 29));
}

static void index_slot(struct cluster *cluster, uint32_t number)
{
    const struct slot *slot = &cluster->slots[number];
    size_t mask = cluster->slot_index_capacity - 1;
    size_t at = hash_slot(slot->collection, slot->key) & mask;
    while (cluster->slot_index[at] != 0)
        at = (at + 1) & mask;
    cluster->slot_index[at] = number + 1;
}

bool slot_find(const struct cluster *cluster, unsigned collection, int64_t key, uint32_t *out)
{
    if (cluster->slot_index_capacity == 0)
        return false;
    size_t mask = cluster->slot_index_capacity - 1;
    for (size_t at = hash_slot(collection, key) & mask; cluster->slot_index[at] != 0;
         at = (at + 1) & mask) {
        const struct slot *slot = &cluster->slots[cluster->slot_index[at] - 1];
        if (slot->key == key && slot->collection == collection) {
            *out = cluster->slot_index[at] - 1;
            return true;
        }
    }
    return false;
}

static void grow_index(struct cluster *cluster)
{
    size_t capacity = cluster->slot_index_capacity == 0 ? 256 : cluster->slot_index_capacity * 2;
    free(cluster->slot_index);
    cluster->slot_index = calloc(capacity, sizeof *cluster->slot_index);
    if (cluster->slot_index == NULL)
        abort();
    cluster->slot_index_capacity = capacity;
    for (size_t i = 0; i < cluster->slot_count; i++)
        index_slot(cluster, (uint32_t)i);
}

uint32_t slot_make(struct cluster *cluster, unsigned collection, int64_t key)
{
    uint32_t number = 0;
    if (slot_find(cluster, collection, key, &number))
        return number;
    if ((cluster->slot_count + 1) * 2 > cluster->slot_index_capacity)
        grow_index(cluster);
    array_grow((void **)&cluster->slots, &cluster->slot_capacity, cluster->slot_count + 1,
               sizeof *cluster->slots);
    number = (uint32_t)cluster->slot_count++;
    cluster->slots[number] = (struct slot){.collection = collection, .key = key};
    index_slot(cluster, number);
    return number;
}

/* Keys of other types lie apart from tokens, which are positive and small. */
static int64_t hash_key(uint8_t type, const void *data, size_t len)
{
    uint64_t hash = 0xCBF29CE484222325U ^ type;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001B3U;
    return (int64_t)(hash | (1ULL << 63));
}

const uint8_t *value_bytes(const bson_iter_t *iter, size_t *len)
{
    bool has_value = iter->d1 != 0 && iter->d1 < iter->next_off;
    *len = has_value ? iter->next_off - iter->d1 : 0;
    return has_value ? iter->raw + iter->d1 : NULL;
}

bool document_key(const bson_iter_t *id, int64_t *out)
{
    bson_type_t type = bson_iter_type(id);
    size_t len = 0;
    const uint8_t *data = NULL;
    switch (type) {
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        *out = bson_iter_as_int64(id);
        return true;
    case BSON_TYPE_DOUBLE:
        *out = (int64_t)bson_iter_double(id);
        return true;
    case BSON_TYPE_ARRAY:
    case BSON_TYPE_REGEX:
    case BSON_TYPE_UNDEFINED:
        return false;
    default:
        data = value_bytes(id, &len);
        *out = hash_key((uint8_t)type, data, len);
        return true;
    }
}

struct version *version_at(struct version *version, int64_t index)
{
    while (version != NULL && version->by->index > index)
        version = version->previous;
    return version == NULL || version->is_deleted ? NULL : version;
}

/* --- the strict schema --- */

static void append_text(bson_t *out, const char *name, const char *text)
{
    bson_append_utf8(out, name, -1, text, -1);
}

static void append_mismatch(bson_t *reason, const char *field, const char *type,
                            const bson_iter_t *value)
{
    bson_t list;
    bson_t property;
    bson_t details;
    bson_t detail;
    bson_t specified;
    append_text(reason, "operatorName", "properties");
    bson_append_array_begin(reason, "propertiesNotSatisfied", -1, &list);
    bson_append_document_begin(&list, "0", -1, &property);
    append_text(&property, "propertyName", field);
    bson_append_array_begin(&property, "details", -1, &details);
    bson_append_document_begin(&details, "0", -1, &detail);
    append_text(&detail, "operatorName", "bsonType");
    bson_append_document_begin(&detail, "specifiedAs", -1, &specified);
    append_text(&specified, "bsonType", type);
    bson_append_document_end(&detail, &specified);
    append_text(&detail, "reason", "type did not match");
    bson_append_iter(&detail, "consideredValue", -1, value);
    bson_append_document_end(&details, &detail);
    bson_append_array_end(&property, &details);
    bson_append_document_end(&list, &property);
    bson_append_array_end(reason, &list);
}

static void append_missing(bson_t *reason, const char *field)
{
    static const char *const required[] = {"c", "u", "i", "s"};
    bson_t specified;
    bson_t list;
    char key[4] = "0";
    append_text(reason, "operatorName", "required");
    bson_append_document_begin(reason, "specifiedAs", -1, &specified);
    bson_append_array_begin(&specified, "required", -1, &list);
    for (int i = 0; i < 4; i++) {
        key[0] = (char)('0' + i);
        append_text(&list, key, required[i]);
    }
    bson_append_array_end(&specified, &list);
    bson_append_document_end(reason, &specified);
    bson_append_array_begin(reason, "missingProperties", -1, &list);
    append_text(&list, "0", field);
    bson_append_array_end(reason, &list);
}

static bool is_fitting(const bson_iter_t *value, bson_type_t type)
{
    uint32_t len = 0;
    if (bson_iter_type(value) != type)
        return false;
    if (type == BSON_TYPE_INT64)
        return bson_iter_int64(value) >= 0;
    if (type != BSON_TYPE_UTF8)
        return true;
    const char *text = bson_iter_utf8(value, &len);
    unsigned characters = 0;
    for (uint32_t i = 0; i < len; i++)
        characters += ((uint8_t)text[i] & 0xC0) != 0x80;
    return characters <= 8;
}

bool document_breaks_schema(const bson_t *document, bson_t *reason)
{
    static const struct {
        const char *name;
        bson_type_t type;
        const char *type_name;
    } fields[] = {{"c", BSON_TYPE_INT32, "int"},
                  {"u", BSON_TYPE_INT32, "int"},
                  {"i", BSON_TYPE_INT64, "long"},
                  {"s", BSON_TYPE_UTF8, "string"}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        bson_iter_t value;
        if (!bson_iter_init_find(&value, document, fields[i].name)) {
            if (reason != NULL)
                append_missing(reason, fields[i].name);
            return true;
        }
        if (!is_fitting(&value, fields[i].type)) {
            if (reason != NULL)
                append_mismatch(reason, fields[i].name, fields[i].type_name, &value);
            return true;
        }
    }
    return false;
}
