#include "bson/compare.h"

#include "base/keyed_hash.h"
#include "bson/number.h"
#include "bson/scan.h"

/* One class for kinds whose values may be equal. */
static unsigned class_of(uint8_t kind)
{
    switch (kind) {
    case BSON_KIND_INT32:
    case BSON_KIND_INT64:
    case BSON_KIND_DOUBLE:
    case BSON_KIND_DECIMAL128:
        return BSON_KIND_DOUBLE;
    case BSON_KIND_SYMBOL:
        return BSON_KIND_STRING;
    default:
        return kind;
    }
}

static uint64_t hash_container(const struct compare_value *value)
{
    struct scan scan;
    struct scan_element element;
    bool ordered = value->kind == BSON_KIND_ARRAY;
    uint64_t hash = value->kind;
    (void)scan_open(&scan, value->bytes);
    while (scan_next(&scan, &element)) {
        struct compare_value child = {element.kind, element.value};
        uint64_t one = compare_hash(&child);
        if (ordered)
            hash = keyed_hash_pair(hash, one);
        else /* a sum, because the order must not matter */
            hash += keyed_hash_pair(one, keyed_hash(element.name, element.name_len));
    }
    return hash;
}

uint64_t compare_hash(const struct compare_value *value)
{
    struct number number;
    switch (class_of(value->kind)) {
    case BSON_KIND_DOUBLE:
        (void)number_read(value->kind, value->bytes.pos, &number);
        return number_hash(&number);
    case BSON_KIND_STRING:
        return keyed_hash(value->bytes.pos + 4, bytes_left(&value->bytes) - 5);
    case BSON_KIND_OBJECT:
    case BSON_KIND_ARRAY:
        return hash_container(value);
    default:
        return keyed_hash_pair(keyed_hash(value->bytes.pos, bytes_left(&value->bytes)),
                               value->kind);
    }
}

static bool spend(uint64_t *budget)
{
    if (*budget == 0)
        return false;
    --*budget;
    return true;
}

static bool elements_equal(const struct scan_element *a, const struct scan_element *b,
                           uint64_t *budget)
{
    struct compare_value left = {a->kind, a->value};
    struct compare_value right = {b->kind, b->value};
    return compare_equal(&left, &right, budget);
}

static bool names_equal(const struct scan_element *a, const struct scan_element *b)
{
    return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

static bool arrays_equal(struct bytes a, struct bytes b, uint64_t *budget)
{
    struct scan left;
    struct scan right;
    struct scan_element x;
    struct scan_element y;
    (void)scan_open(&left, a);
    (void)scan_open(&right, b);
    for (;;) {
        bool more = scan_next(&left, &x);
        if (more != scan_next(&right, &y))
            return false;
        if (!more)
            return true;
        if (!spend(budget) || !elements_equal(&x, &y, budget))
            return false;
    }
}

/* The number of elements with this name before `stop`. */
static size_t count_name(struct bytes object, const struct scan_element *named, const uint8_t *stop,
                         uint64_t *budget)
{
    struct scan scan;
    struct scan_element element;
    size_t count = 0;
    (void)scan_open(&scan, object);
    while (scan_next(&scan, &element) && element.value.pos < stop && spend(budget))
        count += names_equal(&element, named);
    return count;
}

/* Finds the element with this name that follows `skip` elements of the same name. */
static bool find_nth(struct bytes object, const struct scan_element *named, size_t skip,
                     struct scan_element *found, uint64_t *budget)
{
    struct scan scan;
    (void)scan_open(&scan, object);
    while (scan_next(&scan, found) && spend(budget))
        if (names_equal(found, named) && skip-- == 0)
            return true;
    return false;
}

static bool objects_equal(struct bytes a, struct bytes b, uint64_t *budget)
{
    struct scan left;
    struct scan right;
    struct scan_element x;
    struct scan_element y;
    if (scan_count(a) != scan_count(b))
        return false;
    (void)scan_open(&left, a);
    (void)scan_open(&right, b);
    bool in_step = true; /* so far both have the same fields in the same order */
    while (scan_next(&left, &x)) {
        if (!spend(budget))
            return false;
        if (in_step && scan_next(&right, &y) && names_equal(&x, &y)) {
            if (!elements_equal(&x, &y, budget))
                return false;
            continue;
        }
        in_step = false;
        size_t before = count_name(a, &x, x.value.pos, budget);
        if (!find_nth(b, &x, before, &y, budget) || !elements_equal(&x, &y, budget))
            return false;
    }
    return *budget > 0;
}

bool compare_equal(const struct compare_value *a, const struct compare_value *b, uint64_t *budget)
{
    struct number left;
    struct number right;
    unsigned class = class_of(a->kind);
    if (class != class_of(b->kind))
        return false;
    switch (class) {
    case BSON_KIND_DOUBLE:
        (void)number_read(a->kind, a->bytes.pos, &left);
        (void)number_read(b->kind, b->bytes.pos, &right);
        return number_compare(&left, &right) == 0;
    case BSON_KIND_OBJECT:
        return objects_equal(a->bytes, b->bytes, budget);
    case BSON_KIND_ARRAY:
        return arrays_equal(a->bytes, b->bytes, budget);
    default: {
        size_t len = bytes_left(&a->bytes);
        return len == bytes_left(&b->bytes) && memcmp(a->bytes.pos, b->bytes.pos, len) == 0;
    }
    }
}
