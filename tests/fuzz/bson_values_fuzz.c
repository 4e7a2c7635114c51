/* Values of any document, in pairs: equality and order of numbers hold what equality and order are
 * to hold, hashes agree with them, and a copy that is built of the values is the same document.
 * Input: a byte that limits the work, then the document. */
#include "bson/build.h"
#include "bson/compare.h"
#include "bson/number.h"
#include "bson/scan.h"
#include "bson/validate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUES_MAX = 12 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* --- numbers --- */

static void check_number(const struct number *n)
{
    int64_t integer = 0;
    bool whole = number_as_int64(n, &integer);
    require(number_compare(n, n) == 0);
    require(!number_is_nan(n) || !number_is_finite(n));
    require(!number_is_integral(n) || number_is_finite(n));
    if (whole) {
        struct number same = {.form = NUMBER_INTEGER, .integer = integer};
        require(number_is_integral(n) && number_compare(n, &same) == 0);
        require(number_hash(n) == number_hash(&same));
    }
}

static bool is_above_zero(const struct number *n)
{
    static const struct number zero = {.form = NUMBER_INTEGER};
    return number_is_finite(n) && number_compare(n, &zero) > 0;
}

static void check_two_numbers(const struct number *a, const struct number *b)
{
    int order = number_compare(a, b);
    int64_t value = 0;
    int64_t divisor = 0;
    require((order < 0) == (number_compare(b, a) > 0));
    require(order != 0 || number_hash(a) == number_hash(b));
    if (!is_above_zero(b))
        return;
    bool multiple = number_is_multiple(a, b);
    require(!multiple || number_is_finite(a));
    if (a->form == NUMBER_INTEGER && b->form == NUMBER_INTEGER && number_as_int64(a, &value) &&
        number_as_int64(b, &divisor))
        require(multiple == (value % divisor == 0));
}

static void check_three_numbers(const struct number *a, const struct number *b,
                                const struct number *c)
{
    if (number_compare(a, b) <= 0 && number_compare(b, c) <= 0)
        require(number_compare(a, c) <= 0);
}

/* --- values --- */

/* 0: different, 1: equal, -1: it is too much work. */
static int is_equal(const struct scan_element *a, const struct scan_element *b, uint64_t budget)
{
    struct compare_value one = {a->kind, a->value};
    struct compare_value other = {b->kind, b->value};
    bool equal = compare_equal(&one, &other, &budget);
    return budget == 0 ? -1 : equal;
}

static uint64_t hash(const struct scan_element *element)
{
    struct compare_value value = {element->kind, element->value};
    return compare_hash(&value);
}

static void check_two(const struct scan_element *a, const struct scan_element *b, uint64_t budget)
{
    struct number one;
    struct number other;
    int equal = is_equal(a, b, budget);
    int turned = is_equal(b, a, budget);
    require(equal < 0 || turned < 0 || equal == turned);
    require(equal != 1 || hash(a) == hash(b));
    if (!number_read(a->kind, a->value.pos, &one) || !number_read(b->kind, b->value.pos, &other))
        return;
    require(equal < 0 || (equal == 1) == (number_compare(&one, &other) == 0));
    check_two_numbers(&one, &other);
}

static void check_values(const struct scan_element *values, size_t count, uint64_t budget)
{
    struct number n[3];
    for (size_t i = 0; i < count; i++) {
        require(is_equal(&values[i], &values[i], budget) != 0);
        if (number_read(values[i].kind, values[i].value.pos, &n[0]))
            check_number(&n[0]);
        for (size_t j = 0; j < count; j++)
            check_two(&values[i], &values[j], budget);
        if (i >= 2 && number_read(values[i].kind, values[i].value.pos, &n[2]) &&
            number_read(values[i - 1].kind, values[i - 1].value.pos, &n[1]) &&
            number_read(values[i - 2].kind, values[i - 2].value.pos, &n[0]))
            check_three_numbers(&n[0], &n[1], &n[2]);
    }
}

/* --- copies --- */

static void copy_value(struct build *out, const struct scan_element *element, bool in_array);

static void copy_elements(struct build *out, struct bytes document, bool in_array)
{
    struct scan scan;
    struct scan_element element;
    require(scan_open(&scan, document));
    while (scan_next(&scan, &element))
        copy_value(out, &element, in_array);
}

/* By the function for its type, if there is one. */
static void copy_value(struct build *out, const struct scan_element *element, bool in_array)
{
    const char *name = in_array ? NULL : element->name;
    switch (element->kind) {
    case BSON_KIND_OBJECT:
        build_open_object(out, name);
        copy_elements(out, element->value, false);
        build_close(out);
        break;
    case BSON_KIND_ARRAY:
        build_open_array(out, name);
        copy_elements(out, element->value, true);
        build_close(out);
        break;
    case BSON_KIND_STRING:
        build_string(out, name, (const char *)element->value.pos + 4,
                     bytes_left(&element->value) - 5);
        break;
    case BSON_KIND_INT32:
        build_int32(out, name, bytes_load_i32(element->value.pos));
        break;
    case BSON_KIND_INT64:
        build_int64(out, name, bytes_load_i64(element->value.pos));
        break;
    case BSON_KIND_BOOL:
        build_bool(out, name, *element->value.pos != 0);
        break;
    default:
        build_value(out, name, element->kind, element->value);
        break;
    }
}

/* The keys of arrays are counted anew, so only documents without arrays come out as they are. */
static bool has_array(struct bytes document)
{
    struct scan scan;
    struct scan_element element;
    require(scan_open(&scan, document));
    while (scan_next(&scan, &element))
        if (element.kind == BSON_KIND_ARRAY ||
            (element.kind == BSON_KIND_OBJECT && has_array(element.value)))
            return true;
    return false;
}

static void check_copy(struct bytes document)
{
    struct build build;
    struct bytes copy;
    build_begin(&build, SIZE_MAX);
    copy_elements(&build, document, false);
    require(build_finish(&build, &copy) && validate_document(copy, NULL));
    if (!has_array(document))
        require(bytes_left(&copy) == bytes_left(&document) &&
                memcmp(copy.pos, document.pos, bytes_left(&copy)) == 0);
    build_free(&build);
}

/* With a limit, and behind room for a header: either it fits, or the limit is the reason. */
static void check_limit(struct bytes document, size_t limit)
{
    struct build build;
    struct bytes copy;
    build_begin_behind(&build, limit % 32, limit % 64, limit);
    copy_elements(&build, document, false);
    if (build_finish(&build, &copy))
        require(limit % 32 + bytes_left(&copy) <= limit && build.data + limit % 32 == copy.pos);
    else
        require(build.too_big);
    build_free(&build);
}

/* The elements of an array behind one more, in a copy. */
static void check_elements(const struct scan_element *array)
{
    struct build build;
    struct bytes copy;
    struct bytes elements = bytes_of(array->value.pos + 4, bytes_left(&array->value) - 5);
    size_t count = scan_count(array->value);
    build_begin(&build, SIZE_MAX);
    build_open_array(&build, "a");
    build_elements(&build, elements, (uint32_t)count);
    require(build_next_index(&build) == count);
    build_bool(&build, NULL, true);
    build_close(&build);
    require(build_finish(&build, &copy) && validate_document(copy, NULL));
    build_free(&build);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scan scan;
    struct scan_element values[VALUES_MAX];
    size_t count = 0;
    struct error err;
    if (size < 1 || !validate_document(bytes_of(data + 1, size - 1), &err))
        return 0;
    struct bytes document = bytes_of(data + 1, size - 1);
    check_copy(document);
    check_limit(document, data[0]);
    (void)scan_open(&scan, document);
    for (; count < VALUES_MAX && scan_next(&scan, &values[count]); count++)
        if (values[count].kind == BSON_KIND_ARRAY)
            check_elements(&values[count]);
    check_values(values, count, (data[0] & 3) == 3 ? data[0] / 4 : UINT64_MAX);
    return 0;
}
