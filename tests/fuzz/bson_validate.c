/* Any bytes: validate_document ends, and each document that it accepts, libbson accepts too, and
 * scan_ walks whole. libbson has no depth limit of 180 and accepts any byte as a boolean, so only
 * acceptance compares. */
#include "bson/scan.h"
#include "bson/validate.h"

#include <bson/bson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct bytes at)
{
    struct scan scan;
    struct scan_element element;
    if (!scan_open(&scan, at))
        abort();
    while (scan_next(&scan, &element))
        if (element.kind == BSON_KIND_OBJECT || element.kind == BSON_KIND_ARRAY)
            walk(element.value);
    if (scan.broken)
        abort();
}

/* libbson has no depth limit of 180 and takes booleans as they come, so only acceptance compares.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    bson_t bson;
    size_t offset = 0;
    if (!validate_document(bytes_of(data, size), &err)) {
        if (err.code == 0)
            abort();
        return 0;
    }
    walk(bytes_of(data, size));
    if (!bson_init_static(&bson, data, size) ||
        !bson_validate(&bson, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, &offset))
        abort();
    return 0;
}
