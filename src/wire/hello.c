#include "wire/hello.h"

#include <bson/bson.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "wire/compressed.h"

struct rewriting {
    const struct wire_hello_rules *rules;
    bson_t *out;
    bool changed;
};

static bool name_in(const struct scan_element *element, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (scan_name_is(element, names[i]))
            return true;
    return false;
}

/* Copies an element unchanged. */
static bool copy_element(struct rewriting *rw, const struct scan_element *element)
{
    const uint8_t *start = (const uint8_t *)element->name - 1;
    bson_t one;
    /* the element, with a length and a terminator around it, is a document that libbson can
     * concatenate */
    size_t len = (size_t)(element->value.end - start);
    uint8_t *copy = memory_alloc(len + 5);
    if (copy == NULL)
        return false;
    bytes_store_i32(copy, (int32_t)(len + 5));
    memcpy(copy + 4, start, len);
    copy[len + 4] = 0;
    bool ok = bson_init_static(&one, copy, len + 5) && bson_concat(rw->out, &one);
    memory_free(copy);
    return ok;
}

static bool map_member(struct rewriting *rw, const struct scan_element *element,
                       char out[WIRE_ADDRESS_BYTES])
{
    const char *text = NULL;
    size_t len = 0;
    rw->changed = true;
    return scan_as_string(element, &text, &len) &&
           rw->rules->map_address(rw->rules->context, text, len, out);
}

static bool rewrite_address(struct rewriting *rw, const struct scan_element *element)
{
    char address[WIRE_ADDRESS_BYTES];
    if (!map_member(rw, element, address))
        return true;
    return bson_append_utf8(rw->out, element->name, (int)element->name_len, address, -1);
}

typedef bool (*keep_fn)(struct rewriting *rw, const struct scan_element *item, bson_t *array,
                        uint32_t index);

static bool rewrite_array(struct rewriting *rw, const struct scan_element *element, keep_fn keep)
{
    struct scan scan;
    struct scan_element item;
    bson_t array;
    uint32_t count = 0;
    if (!scan_open(&scan, element->value) ||
        !bson_append_array_begin(rw->out, element->name, (int)element->name_len, &array))
        return false;
    while (scan_next(&scan, &item))
        if (keep(rw, &item, &array, count))
            count++;
    return bson_append_array_end(rw->out, &array) && !scan.broken;
}

static bool keep_member(struct rewriting *rw, const struct scan_element *item, bson_t *array,
                        uint32_t index)
{
    char address[WIRE_ADDRESS_BYTES];
    char key[12];
    if (!map_member(rw, item, address))
        return false;
    (void)snprintf(key, sizeof key, "%u", index);
    return bson_append_utf8(array, key, -1, address, -1);
}

static bool keep_compressor(struct rewriting *rw, const struct scan_element *item, bson_t *array,
                            uint32_t index)
{
    const char *text = NULL;
    size_t len = 0;
    char key[12];
    if (!scan_as_string(item, &text, &len) || !wire_compressor_is_known(text, len)) {
        rw->changed = true;
        return false;
    }
    (void)snprintf(key, sizeof key, "%u", index);
    return bson_append_utf8(array, key, -1, text, (int)len);
}

static bool rewrite_message_size(struct rewriting *rw, const struct scan_element *element)
{
    int64_t size = 0;
    if (!scan_as_int64(element, &size) || size <= (int64_t)rw->rules->max_message_bytes)
        return copy_element(rw, element);
    rw->changed = true;
    return bson_append_int32(rw->out, element->name, (int)element->name_len,
                             (int32_t)rw->rules->max_message_bytes);
}

static bool rewrite_element(struct rewriting *rw, const struct scan_element *element)
{
    static const char *const lists[] = {"hosts", "passives", "arbiters"};
    static const char *const addresses[] = {"me", "primary"};
    if (element->kind == BSON_KIND_ARRAY && name_in(element, lists, 3))
        return rewrite_array(rw, element, keep_member);
    if (element->kind == BSON_KIND_STRING && name_in(element, addresses, 2))
        return rewrite_address(rw, element);
    if (element->kind == BSON_KIND_ARRAY && scan_name_is(element, "compression"))
        return rewrite_array(rw, element, keep_compressor);
    if (scan_name_is(element, "maxMessageSizeBytes"))
        return rewrite_message_size(rw, element);
    return copy_element(rw, element);
}

bool wire_hello_rewrite(struct bytes reply, const struct wire_hello_rules *rules, bool *changed,
                        uint8_t **out, size_t *out_len)
{
    struct scan scan;
    struct scan_element element;
    bson_t rewritten = BSON_INITIALIZER;
    struct rewriting rw = {.rules = rules, .out = &rewritten};
    bool ok = scan_open(&scan, reply);
    while (ok && scan_next(&scan, &element))
        ok = rewrite_element(&rw, &element);
    ok = ok && !scan.broken;
    *changed = ok && rw.changed;
    if (*changed) {
        *out_len = rewritten.len;
        *out = memory_alloc(rewritten.len);
        ok = *out != NULL;
        if (ok)
            memcpy(*out, bson_get_data(&rewritten), rewritten.len);
    }
    bson_destroy(&rewritten);
    return ok;
}
