/* Any bytes: the scan stays inside them and ends. */
#include "bson/scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct bytes at, int depth)
{
    struct scan scan;
    struct scan_element element;
    if (depth > 200 || !scan_open(&scan, at))
        return;
    while (scan_next(&scan, &element)) {
        if (element.value.pos < at.pos || element.value.end > at.end)
            abort();
        if (element.kind == BSON_KIND_OBJECT || element.kind == BSON_KIND_ARRAY)
            walk(element.value, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    walk(bytes_of(data, size), 0);
    return 0;
}
