#include "wire/lsid.h"

enum { SUBTYPE_UUID = 4, BINARY_HEAD_BYTES = 5 };

const uint8_t *lsid_read(const struct scan_element *element, bool *alone)
{
    struct scan scan;
    struct scan_element id;
    bool first = true;
    bool found = false;
    if (element->kind != BSON_KIND_OBJECT || !scan_open(&scan, element->value))
        return NULL;
    while (!found && scan_next(&scan, &id)) {
        found = SCAN_NAME_IS(&id, "id");
        first = first && found;
    }
    if (!found || id.kind != BSON_KIND_BINARY ||
        bytes_left(&id.value) != BINARY_HEAD_BYTES + LSID_BYTES || id.value.pos[4] != SUBTYPE_UUID)
        return NULL;
    if (alone != NULL)
        *alone = first && bytes_left(&scan.rest) == 0;
    return id.value.pos + BINARY_HEAD_BYTES;
}
