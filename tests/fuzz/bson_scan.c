/* Any bytes: the scan stays inside them and ends, and each way to read or find an element agrees
 * with the walk over all of them. */
#include "bson/scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_inside(struct bytes part, struct bytes whole)
{
    require(part.pos >= whole.pos && part.end <= whole.end && part.pos <= part.end);
}

static void read_value(const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    int64_t number = 0;
    bool is_number = scan_as_int64(element, &number);
    if (is_number)
        require(scan_is_true(element) == (number != 0));
    if (scan_is_true(element))
        require(element->kind == BSON_KIND_BOOL || element->kind == BSON_KIND_DOUBLE || is_number);
    if (scan_as_string(element, &text, &len)) {
        require(element->kind == BSON_KIND_STRING && !is_number);
        require_inside(bytes_of(text, len), element->value);
    }
}

/* The first and the only element of a name, and the number of all. */
static void find(struct bytes at, const struct scan_element *element, size_t same_name,
                 size_t count)
{
    struct scan_element first;
    struct scan_element only;
    require(scan_name_is(element, element->name));
    require(scan_find(at, element->name, &first) && first.name <= element->name);
    require(first.name == element->name || same_name > 1);
    require(scan_find_once(at, element->name, &only) == (same_name == 1));
    require(scan_count(at) >= count);
}

static size_t count_name(struct bytes at, const struct scan_element *element)
{
    struct scan scan;
    struct scan_element each;
    size_t count = 0;
    (void)scan_open(&scan, at);
    while (scan_next(&scan, &each))
        count += scan_name_is(&each, element->name);
    /* a document that breaks behind the element has no only one */
    return scan.broken ? count + 1 : count;
}

static void walk(struct bytes at, int depth)
{
    struct scan scan;
    struct scan_element element;
    size_t count = 0;
    if (depth > 200 || !scan_open(&scan, at))
        return;
    while (scan_next(&scan, &element)) {
        require_inside(element.value, at);
        require(element.name[element.name_len] == 0);
        read_value(&element);
        if (++count <= 4)
            find(at, &element, count_name(at, &element), count);
        if (element.kind == BSON_KIND_OBJECT || element.kind == BSON_KIND_ARRAY)
            walk(element.value, depth + 1);
    }
    require(scan_count(at) == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scan_element element;
    struct bytes all = bytes_of(data, size);
    bool found = scan_find(all, "a", &element);
    require(!scan_find_once(all, "a", &element) || found);
    walk(all, 0);
    return 0;
}
