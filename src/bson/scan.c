#include "bson/scan.h"

bool scan_open(struct scan *scan, struct bytes at)
{
    int32_t len = 0;
    struct bytes all = at;
    scan->broken = true;
    scan->rest = (struct bytes){at.end, at.end};
    if (!bytes_read_i32(&at, &len) || len < 5 || (size_t)len > bytes_left(&all))
        return false;
    if (all.pos[len - 1] != 0)
        return false;
    scan->rest = (struct bytes){at.pos, all.pos + len - 1};
    scan->broken = false;
    return true;
}

static bool fixed_length(uint8_t kind, size_t *len)
{
    switch (kind) {
    case BSON_KIND_UNDEFINED:
    case BSON_KIND_NULL:
    case BSON_KIND_MIN_KEY:
    case BSON_KIND_MAX_KEY:
        *len = 0;
        return true;
    case BSON_KIND_BOOL:
        *len = 1;
        return true;
    case BSON_KIND_INT32:
        *len = 4;
        return true;
    case BSON_KIND_DOUBLE:
    case BSON_KIND_DATE:
    case BSON_KIND_TIMESTAMP:
    case BSON_KIND_INT64:
        *len = 8;
        return true;
    case BSON_KIND_OBJECT_ID:
        *len = 12;
        return true;
    case BSON_KIND_DECIMAL128:
        *len = 16;
        return true;
    default:
        return false;
    }
}

/* Values that begin with an int32: the whole value is that length plus `extra` bytes. */
static bool prefixed_length(struct bytes at, int32_t min, size_t extra, size_t *len)
{
    int32_t n = 0;
    if (!bytes_read_i32(&at, &n) || n < min)
        return false;
    *len = (size_t)n + extra;
    return true;
}

static bool regex_length(struct bytes at, size_t *len)
{
    const char *text = NULL;
    size_t pattern = 0;
    size_t options = 0;
    if (!bytes_read_cstring(&at, &text, &pattern) || !bytes_read_cstring(&at, &text, &options))
        return false;
    *len = pattern + options + 2;
    return true;
}

bool scan_value_length(uint8_t kind, struct bytes at, size_t *len)
{
    size_t n = 0;
    bool ok = true;
    switch (kind) {
    case BSON_KIND_STRING:
    case BSON_KIND_CODE:
    case BSON_KIND_SYMBOL:
        ok = prefixed_length(at, 1, 4, &n);
        break;
    case BSON_KIND_OBJECT:
    case BSON_KIND_ARRAY:
        ok = prefixed_length(at, 5, 0, &n);
        break;
    case BSON_KIND_CODE_WITH_SCOPE:
        ok = prefixed_length(at, 14, 0, &n);
        break;
    case BSON_KIND_BINARY:
        ok = prefixed_length(at, 0, 5, &n);
        break;
    case BSON_KIND_DB_POINTER:
        ok = prefixed_length(at, 1, 16, &n);
        break;
    case BSON_KIND_REGEX:
        ok = regex_length(at, &n);
        break;
    default:
        ok = fixed_length(kind, &n);
        break;
    }
    if (!ok || n > bytes_left(&at))
        return false;
    *len = n;
    return true;
}

bool scan_next(struct scan *scan, struct scan_element *element)
{
    uint8_t kind = 0;
    size_t len = 0;
    if (scan->broken || !bytes_read_u8(&scan->rest, &kind))
        return false;
    element->kind = kind;
    if (!bytes_read_cstring(&scan->rest, &element->name, &element->name_len) ||
        !scan_value_length(kind, scan->rest, &len) ||
        !bytes_take(&scan->rest, len, &element->value)) {
        scan->broken = true;
        return false;
    }
    return true;
}

bool scan_find(struct bytes document, const char *name, struct scan_element *element)
{
    struct scan scan;
    if (!scan_open(&scan, document))
        return false;
    while (scan_next(&scan, element))
        if (scan_name_is(element, name))
            return true;
    return false;
}

bool scan_name_is(const struct scan_element *element, const char *name)
{
    return strlen(name) == element->name_len && memcmp(element->name, name, element->name_len) == 0;
}

static double load_double(const uint8_t *p)
{
    uint64_t bits = bytes_load_u64(p);
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool scan_is_true(const struct scan_element *element)
{
    switch (element->kind) {
    case BSON_KIND_BOOL:
        return *element->value.pos != 0;
    case BSON_KIND_INT32:
        return bytes_load_i32(element->value.pos) != 0;
    case BSON_KIND_INT64:
        return bytes_load_i64(element->value.pos) != 0;
    case BSON_KIND_DOUBLE:
        return load_double(element->value.pos) != 0;
    default:
        return false;
    }
}

bool scan_as_int64(const struct scan_element *element, int64_t *out)
{
    switch (element->kind) {
    case BSON_KIND_INT32:
        *out = bytes_load_i32(element->value.pos);
        return true;
    case BSON_KIND_INT64:
        *out = bytes_load_i64(element->value.pos);
        return true;
    case BSON_KIND_DOUBLE: {
        double value = load_double(element->value.pos);
        if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0))
            return false;
        *out = (int64_t)value;
        return (double)*out == value;
    }
    default:
        return false;
    }
}

bool scan_as_string(const struct scan_element *element, const char **text, size_t *len)
{
    if (element->kind != BSON_KIND_STRING || bytes_left(&element->value) < 5)
        return false;
    *text = (const char *)element->value.pos + 4;
    *len = bytes_left(&element->value) - 5;
    return true;
}
