#include "trace/trail.h"

#include <string.h>

#include "base/memory.h"
#include "base/server_limits.h"
#include "base/utf8.h"
#include "bson/scan.h"

/* Collectors refuse a whole message for one string that is no UTF-8, and clients choose these. */
static void replace_invalid(char *text, size_t len)
{
    if (utf8_check((const uint8_t *)text, len))
        return;
    for (size_t i = 0; i < len; i++)
        if ((text[i] & 0x80) != 0)
            text[i] = '?';
}

static const char *put_text(char **at, struct bytes text)
{
    char *begin = *at;
    size_t len =
        bytes_left(&text) < SERVER_NAMESPACE_BYTES ? bytes_left(&text) : SERVER_NAMESPACE_BYTES;
    if (len > 0)
        memcpy(begin, text.pos, len);
    begin[len] = 0;
    replace_invalid(begin, len);
    *at += len + 1;
    return begin;
}

struct trail *trail_new(enum trail_kind kind, const struct trail_names *names)
{
    size_t address_len = strlen(names->client_address);
    size_t bytes = bytes_left(&names->operation) + bytes_left(&names->database) +
                   bytes_left(&names->collection) + address_len;
    if (bytes > 4UL * SERVER_NAMESPACE_BYTES)
        bytes = 4UL * SERVER_NAMESPACE_BYTES;
    struct trail *trail = memory_zalloc(sizeof *trail + bytes + 4);
    if (trail == NULL)
        return NULL;
    char *at = trail->text;
    trail->kind = kind;
    trail->operation = put_text(&at, names->operation);
    trail->database = put_text(&at, names->database);
    trail->collection = put_text(&at, names->collection);
    trail->client_address = put_text(&at, bytes_of(names->client_address, address_len));
    return trail;
}

void trail_free(struct trail *trail)
{
    if (trail == NULL)
        return;
    memory_free(trail->links);
    memory_free(trail);
}

void trail_add_link(struct trail *trail, const struct trace_context *context)
{
    if (trail->links == NULL)
        trail->links = memory_array(TRAIL_LINKS_MAX, sizeof *trail->links);
    if (trail->links == NULL || trail->link_count == TRAIL_LINKS_MAX)
        trail->links_left_out++;
    else
        trail->links[trail->link_count++] = *context;
}

static void note_code(struct trail *trail, struct bytes document)
{
    struct scan_element code;
    int64_t value = 0;
    if (scan_find(document, "code", &code) && scan_as_int64(&code, &value) && value > 0 &&
        value <= INT32_MAX)
        trail->code = (int32_t)value;
}

void trail_note_reply(struct trail *trail, struct bytes document)
{
    struct scan_element element;
    struct scan errors;
    if (bytes_left(&document) == 0)
        return;
    if (!scan_find(document, "ok", &element) || !scan_is_true(&element)) {
        trail->failed = true;
        note_code(trail, document);
    } else if (scan_find(document, "writeErrors", &element) && element.kind == BSON_KIND_ARRAY &&
               scan_open(&errors, element.value) && scan_next(&errors, &element)) {
        trail->failed = true;
        if (element.kind == BSON_KIND_OBJECT)
            note_code(trail, element.value);
    }
}
