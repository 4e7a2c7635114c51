/* Any document as a hello reply: the rewritten reply is well-formed where the original is, names
 * only mapped addresses, and does not change in a second rewriting.
 * Input: a byte that chooses the limits, then the document. */
#include <stdio.h>

#include "bson/scan.h"
#include "fail_memory.h"
#include "hello_members.h"
#include "wire/compressed.h"

enum { DEPTH_MAX = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Our own check: libbson's ends with the first string that is no UTF-8, and calls the rest valid.
 */
static bool is_well_formed(struct bytes document, unsigned depth)
{
    struct scan scan;
    struct scan_element element;
    if (depth == 0 || !scan_open(&scan, document))
        return false;
    while (scan_next(&scan, &element)) {
        bool nested = element.kind == BSON_KIND_OBJECT || element.kind == BSON_KIND_ARRAY;
        if (nested && !is_well_formed(element.value, depth - 1))
            return false;
        if (element.kind == BSON_KIND_STRING && element.value.end[-1] != 0)
            return false;
    }
    return !scan.broken;
}

static void require_mapped(const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    require(scan_as_string(element, &text, &len));
    require(len > 0 && len < WIRE_ADDRESS_BYTES);
    for (size_t i = 0; i < len; i++)
        require(text[i] == 'q');
}

static void require_list(struct bytes array, bool compressors)
{
    struct scan scan;
    struct scan_element item;
    const char *text = NULL;
    size_t len = 0;
    char key[12];
    require(scan_open(&scan, array));
    for (unsigned i = 0; scan_next(&scan, &item); i++) {
        (void)snprintf(key, sizeof key, "%u", i);
        require(scan_name_is(&item, key));
        if (compressors)
            require(scan_as_string(&item, &text, &len) && wire_compressor_is_known(text, len));
        else
            require_mapped(&item);
    }
    require(!scan.broken);
}

static void require_rewritten(struct bytes document, size_t max_message_bytes)
{
    struct scan scan;
    struct scan_element element;
    int64_t size = 0;
    require(scan_open(&scan, document));
    while (scan_next(&scan, &element)) {
        bool array = element.kind == BSON_KIND_ARRAY;
        if (array && (scan_name_is(&element, "hosts") || scan_name_is(&element, "passives") ||
                      scan_name_is(&element, "arbiters")))
            require_list(element.value, false);
        if (array && scan_name_is(&element, "compression"))
            require_list(element.value, true);
        if (element.kind == BSON_KIND_STRING &&
            (scan_name_is(&element, "me") || scan_name_is(&element, "primary")))
            require_mapped(&element);
        if (scan_name_is(&element, "maxMessageSizeBytes") && scan_as_int64(&element, &size))
            require(size <= (int64_t)max_message_bytes);
    }
    require(!scan.broken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool changed = false;
    uint8_t *out = NULL;
    uint8_t *again = NULL;
    size_t len = 0;
    size_t again_len = 0;
    if (size < 6)
        return 0;
    struct wire_hello_rules rules = {.map_address = map_address,
                                     .max_message_bytes = (size_t)data[0] << 18};
    struct bytes reply = bytes_of(data + 1, size - 1);
    bool ok = wire_hello_rewrite(reply, &rules, &changed, &out, &len);
    require(!ok || changed == (out != NULL));
    require(ok || out == NULL);
    if (ok && changed) {
        require_rewritten(bytes_of(out, len), rules.max_message_bytes);
        require(!is_well_formed(reply, DEPTH_MAX) || is_well_formed(bytes_of(out, len), DEPTH_MAX));
        require(wire_hello_rewrite(bytes_of(out, len), &rules, &changed, &again, &again_len));
        if (changed)
            require(len == again_len && memcmp(out, again, len) == 0);
    }
    memory_free(out);
    memory_free(again);
    if (fail_memory_for(data, size) && wire_hello_rewrite(reply, &rules, &changed, &out, &len))
        memory_free(out);
    memory_fail_never();
    return 0;
}
