#include "enforce/refusals.h"

#include "base/memory.h"
#include "bson/scan.h"

#define ERROR_TEXTS_MAX ((size_t)1024 * 1024)

/* The maximal size of an element without its message and errInfo, in each form. */
enum { BATCH_ELEMENT_BYTES = 64, BULK_ELEMENT_BYTES = 96 };

/* The size of the rest of a reply. */
enum { REPLY_REST_BYTES = 4096 };

static bool no_memory(struct error *err)
{
    return error_no_memory(err, "the report of a refused document");
}

static size_t element_bytes(enum splice_form form)
{
    return form == SPLICE_BULK_WRITE ? BULK_ELEMENT_BYTES : BATCH_ELEMENT_BYTES;
}

void refusals_limit(struct refusals *refusals, size_t statements, size_t max_document_bytes)
{
    size_t rest = ERROR_TEXTS_MAX + REPLY_REST_BYTES + statements * element_bytes(refusals->form);
    /* a single refusal may always have its errInfo, of at most three quarters of a document */
    size_t most = max_document_bytes / 4 * 3 + element_bytes(refusals->form);
    size_t left = rest > max_document_bytes ? 0 : max_document_bytes - rest;
    refusals->limit_bytes = left < most ? left : most;
}

/* Makes room for `more` bytes; NULL without memory. */
static uint8_t *reserve_bytes(struct refusals *refusals, size_t more)
{
    if (more > refusals->bytes_room - refusals->bytes_len) {
        size_t room = refusals->bytes_room < 1024 ? 1024 : refusals->bytes_room * 2;
        if (room - refusals->bytes_len < more)
            room = refusals->bytes_len + more;
        uint8_t *bytes = memory_resize(refusals->bytes, room);
        if (bytes == NULL)
            return NULL;
        refusals->bytes = bytes;
        refusals->bytes_room = room;
    }
    return refusals->bytes + refusals->bytes_len;
}

static struct refusal *reserve_item(struct refusals *refusals)
{
    if (refusals->count == refusals->room) {
        size_t room = refusals->room < 8 ? 8 : refusals->room * 2;
        struct refusal *items = memory_resize(refusals->items, room * sizeof *items);
        if (items == NULL)
            return NULL;
        refusals->items = items;
        refusals->room = room;
    }
    return &refusals->items[refusals->count];
}

/* --- an element ---------------------------------------------------------------------------------
 * Each function returns the end of its output. */

static uint8_t *put_head(uint8_t *at, uint8_t kind, const char *name)
{
    size_t size = strlen(name) + 1;
    *at = kind;
    memcpy(at + 1, name, size);
    return at + 1 + size;
}

static uint8_t *put_int32(uint8_t *at, const char *name, uint32_t value)
{
    at = put_head(at, BSON_KIND_INT32, name);
    bytes_store_i32(at, (int32_t)value);
    return at + 4;
}

static uint8_t *put_text(uint8_t *at, const char *name, const char *text)
{
    size_t size = strlen(text) + 1;
    at = put_head(at, BSON_KIND_STRING, name);
    bytes_store_i32(at, (int32_t)size);
    memcpy(at + 4, text, size);
    return at + 4 + size;
}

static uint8_t *put_info(uint8_t *at, struct bytes info)
{
    if (bytes_left(&info) == 0)
        return at;
    at = put_head(at, BSON_KIND_OBJECT, "errInfo");
    memcpy(at, info.pos, bytes_left(&info));
    return at + bytes_left(&info);
}

static uint8_t *put_error(uint8_t *at, const struct refusal_text *text)
{
    at = put_int32(at, "index", text->index);
    at = put_int32(at, "code", (uint32_t)text->code);
    at = put_info(at, text->info);
    return put_text(at, "errmsg", text->message);
}

static uint8_t *put_result(uint8_t *at, const struct refusal_text *text)
{
    at = put_head(at, BSON_KIND_DOUBLE, "ok");
    memset(at, 0, 8);
    at = put_int32(at + 8, "idx", text->index);
    at = put_int32(at, "code", (uint32_t)text->code);
    at = put_text(at, "errmsg", text->message);
    at = put_info(at, text->info);
    at = put_int32(at, "n", 0);
    return text->update ? put_int32(at, "nModified", 0) : at;
}

/* Shortens the text, so that the reply does not exceed the server's limits. */
static struct refusal_text shorten(const struct refusals *refusals, const struct refusal_text *text)
{
    struct refusal_text told = *text;
    size_t info_len = bytes_left(&text->info);
    size_t most = element_bytes(refusals->form);
    if (refusals->text_bytes >= ERROR_TEXTS_MAX && refusals->count >= 2)
        told.message = "";
    if (info_len > refusals->limit_bytes ||
        refusals->bytes_len + most > refusals->limit_bytes - info_len)
        told.info = (struct bytes){0};
    return told;
}

bool refusals_add(struct refusals *refusals, const struct refusal_text *text, struct error *err)
{
    struct refusal_text told = shorten(refusals, text);
    size_t message_len = strlen(told.message);
    size_t most = element_bytes(refusals->form) + message_len + bytes_left(&told.info);
    struct refusal *item = reserve_item(refusals);
    if (item != NULL && refusals->form == SPLICE_NOTHING) {
        *item = (struct refusal){.index = text->index};
        refusals->count++;
        return true;
    }
    uint8_t *start = item == NULL ? NULL : reserve_bytes(refusals, most);
    if (start == NULL)
        return no_memory(err);
    char key[BUILD_KEY_BYTES + 1];
    key[build_key((uint32_t)refusals->count, key)] = 0;
    uint8_t *document = put_head(start, BSON_KIND_OBJECT, key);
    uint8_t *end = refusals->form == SPLICE_BULK_WRITE ? put_result(document + 4, &told)
                                                       : put_error(document + 4, &told);
    *end++ = 0;
    bytes_store_i32(document, (int32_t)(end - document));
    *item = (struct refusal){.index = text->index, .at = refusals->bytes_len};
    refusals->bytes_len += (size_t)(end - start);
    refusals->text_bytes += message_len;
    refusals->count++;
    return true;
}

void refusals_release(struct refusals *refusals)
{
    memory_free(refusals->items);
    memory_free(refusals->bytes);
    *refusals = (struct refusals){.form = refusals->form};
}

/* --- reading ------------------------------------------------------------------------------------
 */

static size_t element_end(const struct refusals *refusals, size_t which)
{
    return which < refusals->count ? refusals->items[which].at : refusals->bytes_len;
}

struct bytes refusal_document(const struct refusals *refusals, size_t which)
{
    const uint8_t *start = refusals->bytes + refusals->items[which].at + 1;
    start += strlen((const char *)start) + 1;
    return (struct bytes){start, refusals->bytes + element_end(refusals, which + 1)};
}

uint32_t refusals_original_index(const struct refusals *refusals, uint32_t index)
{
    size_t low = 0; /* refusals before it */
    size_t high = refusals->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (refusals->items[middle].index - middle <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return index + (uint32_t)low;
}

void refusals_write(const struct refusals *refusals, size_t first, size_t end, struct build *out)
{
    size_t from = element_end(refusals, first);
    if (first >= end || out->failed)
        return;
    if (build_next_index(out) == first) {
        build_elements(out, bytes_of(refusals->bytes + from, element_end(refusals, end) - from),
                       (uint32_t)(end - first));
        return;
    }
    for (; first < end; first++)
        build_value(out, NULL, BSON_KIND_OBJECT, refusal_document(refusals, first));
}

void refusals_write_double(struct build *out, const char *name, bool one)
{
    static const uint8_t values[2][8] = {{0}, {0, 0, 0, 0, 0, 0, 0xF0, 0x3F}};
    build_value(out, name, BSON_KIND_DOUBLE, bytes_of(values[one], 8));
}

/* --- statements that go upstream
 * ------------------------------------------------------------------
 *  */

uint32_t plan_kept(const struct plan *plan)
{
    if (plan->stopped)
        return plan->refusals.items[0].index;
    return plan->total - (uint32_t)plan->refusals.count;
}

bool plan_keeps(const struct plan *plan, uint32_t index, size_t *next)
{
    if (plan->stopped)
        return index < plan->refusals.items[0].index;
    if (*next == plan->refusals.count || plan->refusals.items[*next].index != index)
        return true;
    ++*next;
    return false;
}
