#include "enforce/refusals.h"

#include "base/memory.h"
#include "bson/scan.h"

#define ERROR_TEXTS_MAX ((size_t)1024 * 1024)

static bool no_memory(struct error *err)
{
    return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory to report a refused document");
}

/* Room for `more` bytes; NULL without memory. */
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

bool refusals_add(struct refusals *refusals, const struct refusal *refusal, const char *message,
                  struct bytes info, size_t limit_bytes, struct error *err)
{
    size_t message_size = strlen(message) + 1;
    size_t info_len = bytes_left(&info);
    if (info_len > limit_bytes || refusals->bytes_len > limit_bytes - info_len)
        info_len = 0;
    struct refusal *item = reserve_item(refusals);
    uint8_t *at = item == NULL ? NULL : reserve_bytes(refusals, message_size + info_len);
    if (at == NULL)
        return no_memory(err);
    *item = *refusal;
    item->message = refusals->bytes_len;
    item->info = item->message + message_size;
    item->info_len = info_len;
    memcpy(at, message, message_size);
    if (info_len > 0)
        memcpy(at + message_size, info.pos, info_len);
    refusals->bytes_len += message_size + info_len;
    refusals->count++;
    return true;
}

void refusals_release(struct refusals *refusals)
{
    memory_free(refusals->items);
    memory_free(refusals->bytes);
    *refusals = (struct refusals){0};
}

struct bytes refusal_info(const struct refusals *refusals, const struct refusal *refusal)
{
    return bytes_of(refusals->bytes + refusal->info, refusal->info_len);
}

const char *refusal_message(const struct refusals *refusals, const struct refusal *refusal)
{
    return (const char *)refusals->bytes + refusal->message;
}

uint32_t refusals_original_index(const struct refusals *refusals, uint32_t index)
{
    size_t low = 0; /* refusals that stand before it */
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

/* --- how it is told --- */

void refusals_write_double(struct build *out, const char *name, bool one)
{
    static const uint8_t values[2][8] = {{0}, {0, 0, 0, 0, 0, 0, 0xF0, 0x3F}};
    build_value(out, name, BSON_KIND_DOUBLE, bytes_of(values[one], 8));
}

static void write_message(const struct refusals *refusals, const struct refusal *refusal,
                          struct error_texts *texts, struct build *out)
{
    const char *message = refusal_message(refusals, refusal);
    if (texts->bytes >= ERROR_TEXTS_MAX && texts->count >= 2)
        message = "";
    texts->bytes += strlen(message);
    texts->count++;
    build_text(out, "errmsg", message);
}

static void write_info(const struct refusals *refusals, const struct refusal *refusal,
                       struct build *out)
{
    if (refusal->info_len > 0)
        build_value(out, "errInfo", BSON_KIND_OBJECT, refusal_info(refusals, refusal));
}

void refusal_write_error(const struct refusals *refusals, const struct refusal *refusal,
                         struct error_texts *texts, struct build *out)
{
    build_open_object(out, NULL);
    build_int32(out, "index", (int32_t)refusal->index);
    build_int32(out, "code", refusal->code);
    write_info(refusals, refusal, out);
    write_message(refusals, refusal, texts, out);
    build_close(out);
}

void refusal_write_result(const struct refusals *refusals, const struct refusal *refusal,
                          struct error_texts *texts, struct build *out)
{
    build_open_object(out, NULL);
    refusals_write_double(out, "ok", false);
    build_int32(out, "idx", (int32_t)refusal->index);
    build_int32(out, "code", refusal->code);
    write_message(refusals, refusal, texts, out);
    write_info(refusals, refusal, out);
    build_int32(out, "n", 0);
    if (refusal->update)
        build_int32(out, "nModified", 0);
    build_close(out);
}

/* --- what goes --- */

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
