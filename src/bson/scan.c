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

/* The length of a value: `length` bytes, or an int32 of at least `min` followed by `length` more
 * bytes. */
struct shape {
    enum { SHAPE_OTHER, SHAPE_FIXED, SHAPE_PREFIXED } form;
    uint8_t length;
    uint8_t min;
};

static const struct shape shapes[256] = {
    [BSON_KIND_UNDEFINED] = {SHAPE_FIXED, 0, 0},
    [BSON_KIND_NULL] = {SHAPE_FIXED, 0, 0},
    [BSON_KIND_MIN_KEY] = {SHAPE_FIXED, 0, 0},
    [BSON_KIND_MAX_KEY] = {SHAPE_FIXED, 0, 0},
    [BSON_KIND_BOOL] = {SHAPE_FIXED, 1, 0},
    [BSON_KIND_INT32] = {SHAPE_FIXED, 4, 0},
    [BSON_KIND_DOUBLE] = {SHAPE_FIXED, 8, 0},
    [BSON_KIND_DATE] = {SHAPE_FIXED, 8, 0},
    [BSON_KIND_TIMESTAMP] = {SHAPE_FIXED, 8, 0},
    [BSON_KIND_INT64] = {SHAPE_FIXED, 8, 0},
    [BSON_KIND_OBJECT_ID] = {SHAPE_FIXED, 12, 0},
    [BSON_KIND_DECIMAL128] = {SHAPE_FIXED, 16, 0},
    [BSON_KIND_STRING] = {SHAPE_PREFIXED, 4, 1},
    [BSON_KIND_CODE] = {SHAPE_PREFIXED, 4, 1},
    [BSON_KIND_SYMBOL] = {SHAPE_PREFIXED, 4, 1},
    [BSON_KIND_OBJECT] = {SHAPE_PREFIXED, 0, 5},
    [BSON_KIND_ARRAY] = {SHAPE_PREFIXED, 0, 5},
    [BSON_KIND_CODE_WITH_SCOPE] = {SHAPE_PREFIXED, 0, 14},
    [BSON_KIND_BINARY] = {SHAPE_PREFIXED, 5, 0},
    [BSON_KIND_DB_POINTER] = {SHAPE_PREFIXED, 16, 1},
};

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

/* For all kinds except regular expressions. */
static inline bool sized_length(uint8_t kind, struct bytes at, size_t *len)
{
    const struct shape *shape = &shapes[kind];
    size_t n = shape->length;
    if (shape->form == SHAPE_PREFIXED) {
        int32_t prefix = 0;
        if (!bytes_read_i32(&at, &prefix) || prefix < shape->min)
            return false;
        at.pos -= 4;
        n += (size_t)prefix;
    } else if (shape->form != SHAPE_FIXED) {
        return false;
    }
    if (n > bytes_left(&at))
        return false;
    *len = n;
    return true;
}

bool scan_value_length(uint8_t kind, struct bytes at, size_t *len)
{
    return kind == BSON_KIND_REGEX ? regex_length(at, len) : sized_length(kind, at, len);
}

/* Like bytes_read_cstring, for short names; false for others. Nearly all names are short. */
static inline bool read_short_name(struct bytes *rest, const char **name, size_t *len)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    enum { SHORT_NAME_BYTES = 16 };
    for (size_t at = 0; at < SHORT_NAME_BYTES && bytes_left(rest) >= at + 8; at += 8) {
        uint64_t word = bytes_load_u64(rest->pos + at);
        uint64_t nuls = (word - 0x0101010101010101U) & ~word & 0x8080808080808080U;
        if (nuls != 0) {
            *name = (const char *)rest->pos;
            *len = at + (size_t)__builtin_ctzll(nuls) / 8;
            rest->pos += *len + 1;
            return true;
        }
    }
#endif
    return false;
}

static inline void take_value(struct scan *scan, struct bytes rest, size_t len,
                              struct scan_element *element)
{
    element->value = (struct bytes){rest.pos, rest.pos + len};
    scan->rest.pos = rest.pos + len;
}

/* Reads the element after its kind. A separate function, because nearly all elements need no call.
 */
static __attribute__((noinline)) bool next_slowly(struct scan *scan, struct bytes rest,
                                                  struct scan_element *element)
{
    size_t len = 0;
    if (!bytes_read_cstring(&rest, &element->name, &element->name_len) ||
        !scan_value_length(element->kind, rest, &len)) {
        scan->broken = true;
        return false;
    }
    take_value(scan, rest, len, element);
    return true;
}

bool scan_next(struct scan *scan, struct scan_element *element)
{
    struct bytes rest = scan->rest;
    struct bytes value;
    size_t len = 0;
    if (scan->broken || !bytes_read_u8(&rest, &element->kind))
        return false;
    value = rest;
    if (!read_short_name(&value, &element->name, &element->name_len) ||
        !sized_length(element->kind, value, &len))
        return next_slowly(scan, rest, element);
    take_value(scan, value, len, element);
    return true;
}

static inline bool has_name(const struct scan_element *element, const char *name, size_t len)
{
    return element->name_len == len && memcmp(element->name, name, len) == 0;
}

bool scan_find(struct bytes document, const char *name, struct scan_element *element)
{
    struct scan scan;
    size_t len = strlen(name);
    if (!scan_open(&scan, document))
        return false;
    while (scan_next(&scan, element))
        if (has_name(element, name, len))
            return true;
    return false;
}

bool scan_find_once(struct bytes document, const char *name, struct scan_element *element)
{
    struct scan scan;
    struct scan_element next;
    bool found = false;
    if (!scan_open(&scan, document))
        return false;
    while (scan_next(&scan, &next)) {
        if (!scan_name_is(&next, name))
            continue;
        if (found)
            return false;
        *element = next;
        found = true;
    }
    return found && !scan.broken;
}

bool scan_name_is(const struct scan_element *element, const char *name)
{
    return has_name(element, name, strlen(name));
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

size_t scan_count(struct bytes container)
{
    struct scan scan;
    struct scan_element element;
    size_t count = 0;
    (void)scan_open(&scan, container);
    while (scan_next(&scan, &element))
        count++;
    return count;
}
