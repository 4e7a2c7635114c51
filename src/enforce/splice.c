#include "enforce/splice.h"

#include "base/memory.h"
#include "bson/scan.h"

struct enforce_splice {
    bool stopped; /* the server would have stopped at its own first error, before the first refusal
                   */
    struct refusals refusals;
    size_t next;    /* refusals before this one are already reported */
    int64_t cursor; /* of a bulkWrite with further results, or 0 */
};

struct enforce_splice *splice_new(struct plan *plan)
{
    struct enforce_splice *splice = memory_zalloc(sizeof *splice);
    if (splice == NULL)
        return NULL;
    splice->stopped = plan->stopped;
    splice->refusals = plan->refusals;
    plan->refusals = (struct refusals){0};
    return splice;
}

void enforce_splice_free(struct enforce_splice *splice)
{
    if (splice == NULL)
        return;
    refusals_release(&splice->refusals);
    memory_free(splice);
}

size_t enforce_splice_bytes(const struct enforce_splice *splice)
{
    return refusals_room_bytes(&splice->refusals);
}

int64_t enforce_splice_cursor(const struct enforce_splice *splice)
{
    return splice->cursor;
}

/* The size of a reply without the refusals and the server's text. */
enum { ANSWER_REST_BYTES = 256 };

/* The size of the refusals that are not reported yet. */
static size_t untold_bytes(const struct enforce_splice *splice)
{
    const struct refusals *refusals = &splice->refusals;
    return splice->next == refusals->count ? 0
                                           : refusals->bytes_len - refusals->items[splice->next].at;
}

/* --- lists --- */

/* Writes the unreported refusals of statements before `index`. */
static void write_ours(struct enforce_splice *splice, int64_t index, struct build *out)
{
    const struct refusals *refusals = &splice->refusals;
    size_t end = index == INT64_MAX ? refusals->count : splice->next;
    while (end < refusals->count && refusals->items[end].index < index)
        end++;
    refusals_write(refusals, splice->next, end, out);
    splice->next = end;
}

/* The index of an item's statement in the client's command; -1 without one. */
static int64_t original_index(const struct enforce_splice *splice, const struct scan_element *item,
                              const char *index_name)
{
    struct scan_element field;
    int64_t index = 0;
    if (item->kind != BSON_KIND_OBJECT || !scan_find(item->value, index_name, &field) ||
        !scan_as_int64(&field, &index) || index < 0 ||
        index > INT32_MAX - (int64_t)splice->refusals.count)
        return -1;
    return refusals_original_index(&splice->refusals, (uint32_t)index);
}

static void write_item(struct bytes item, const char *index_name, int64_t index, struct build *out)
{
    struct scan scan;
    struct scan_element field;
    build_open_object(out, NULL);
    (void)scan_open(&scan, item);
    while (scan_next(&scan, &field)) {
        if (scan_name_is(&field, index_name))
            build_int32(out, index_name, (int32_t)index);
        else
            build_value(out, field.name, field.kind, field.value);
    }
    build_close(out);
}

/* A list of the server: each item with its original index and, with `ours`, the refusals among
 * them. Refusals after the last item follow only at the `end`. */
struct joined_list {
    const char *index_name;
    bool ours;
    bool end;
};

static void write_list(struct enforce_splice *splice, const char *name, struct bytes array,
                       struct joined_list joined, struct build *out)
{
    struct scan scan;
    struct scan_element item;
    build_open_array(out, name);
    (void)scan_open(&scan, array);
    while (scan_next(&scan, &item)) {
        int64_t index = original_index(splice, &item, joined.index_name);
        if (joined.ours)
            write_ours(splice, index, out);
        if (index >= 0)
            write_item(item.value, joined.index_name, index, out);
        else
            build_value(out, NULL, item.kind, item.value);
    }
    if (joined.ours && joined.end)
        write_ours(splice, INT64_MAX, out);
    build_close(out);
}

static bool has_items(struct bytes array)
{
    struct scan scan;
    struct scan_element item;
    return scan_open(&scan, array) && scan_next(&scan, &item);
}

/* --- insert and update --- */

static void write_batch_reply(struct enforce_splice *splice, struct bytes document,
                              struct build *out)
{
    static const struct bytes none = {NULL, NULL};
    struct scan scan;
    struct scan_element field;
    bool listed = scan_find(document, "writeErrors", &field) && field.kind == BSON_KIND_ARRAY;
    struct joined_list errors = {"index", true, true};
    if (listed && splice->stopped && has_items(field.value))
        errors.ours = false;
    bool counted = scan_find(document, "n", &field);
    if (!listed && !counted)
        write_list(splice, "writeErrors", none, errors, out);
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field)) {
        bool array = field.kind == BSON_KIND_ARRAY;
        if (array && scan_name_is(&field, "writeErrors"))
            write_list(splice, field.name, field.value, errors, out);
        else if (array && scan_name_is(&field, "upserted"))
            write_list(splice, field.name, field.value, (struct joined_list){"index", false, false},
                       out);
        else
            build_value(out, field.name, field.kind, field.value);
        if (!listed && scan_name_is(&field, "n"))
            write_list(splice, "writeErrors", none, errors, out);
    }
}

/* --- bulkWrite --- */

static void write_cursor(struct enforce_splice *splice, struct bytes cursor, struct build *out)
{
    struct scan scan;
    struct scan_element field;
    splice->cursor = 0;
    if (scan_find(cursor, "id", &field))
        (void)scan_as_int64(&field, &splice->cursor);
    build_open_object(out, "cursor");
    (void)scan_open(&scan, cursor);
    while (scan_next(&scan, &field)) {
        if (field.kind == BSON_KIND_ARRAY)
            write_list(splice, field.name, field.value,
                       (struct joined_list){"idx", true, splice->cursor == 0}, out);
        else
            build_value(out, field.name, field.kind, field.value);
    }
    build_close(out);
}

static void write_bulk_reply(struct enforce_splice *splice, struct bytes document,
                             struct build *out)
{
    struct scan scan;
    struct scan_element field;
    int64_t errors = 0;
    if (scan_find(document, "nErrors", &field))
        (void)scan_as_int64(&field, &errors);
    if (errors > 0 && splice->stopped)
        splice->next = splice->refusals.count;
    errors += (int64_t)(splice->refusals.count - splice->next);
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field)) {
        if (field.kind == BSON_KIND_OBJECT && scan_name_is(&field, "cursor"))
            write_cursor(splice, field.value, out);
        else if (scan_name_is(&field, "nErrors"))
            build_int32(out, field.name, (int32_t)errors);
        else
            build_value(out, field.name, field.kind, field.value);
    }
}

/* --- replies --- */

static void copy_reply(struct bytes document, struct build *out)
{
    struct scan scan;
    struct scan_element field;
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field))
        build_value(out, field.name, field.kind, field.value);
}

/* Copies the server's text that is not about a statement. */
static void write_bare_reply(struct bytes document, struct build *out)
{
    struct scan scan;
    struct scan_element field;
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field))
        if (scan_name_is(&field, "ok") || scan_name_is(&field, "operationTime") ||
            scan_name_is(&field, "$clusterTime"))
            build_value(out, field.name, field.kind, field.value);
}

static bool is_bson(struct bytes document)
{
    struct scan scan;
    struct scan_element field;
    if (!scan_open(&scan, document))
        return false;
    while (scan_next(&scan, &field))
        continue;
    return !scan.broken;
}

bool enforce_splice_reply(struct enforce_splice *splice, struct bytes document, struct build *out,
                          struct bytes *reply, struct error *err)
{
    struct scan_element ok;
    size_t room =
        ENFORCE_FRONT_BYTES + bytes_left(&document) + ANSWER_REST_BYTES + untold_bytes(splice);
    build_begin_behind(out, ENFORCE_FRONT_BYTES, room, INT32_MAX);
    if (!is_bson(document))
        return error_set(err, ERROR_INVALID_BSON,
                         "The server's reply to a write is malformed; its result is unknown");
    if (!scan_find(document, "ok", &ok) || !scan_is_true(&ok)) {
        splice->cursor = 0;
        copy_reply(document, out);
    } else if (splice->refusals.form == SPLICE_NOTHING) {
        write_bare_reply(document, out);
    } else if (splice->refusals.form == SPLICE_BULK_WRITE) {
        write_bulk_reply(splice, document, out);
    } else {
        write_batch_reply(splice, document, out);
    }
    return build_finish(out, reply) || error_no_memory(err, "the reply to a write");
}

static void write_answer(const struct refusals *refusals, struct build *out)
{
    bool bulk = refusals->form == SPLICE_BULK_WRITE;
    if (refusals->form == SPLICE_NOTHING) {
        refusals_write_double(out, "ok", true);
        return;
    }
    if (bulk) {
        build_open_object(out, "cursor");
        build_int64(out, "id", 0);
        build_open_array(out, "firstBatch");
    } else {
        build_int32(out, "n", 0);
        if (refusals->form == SPLICE_UPDATE)
            build_int32(out, "nModified", 0);
        build_open_array(out, "writeErrors");
    }
    refusals_write(refusals, 0, refusals->count, out);
    build_close(out);
    if (bulk) {
        static const char *const counts[] = {"nInserted", "nMatched", "nModified", "nUpserted",
                                             "nDeleted"};
        build_text(out, "ns", "admin.$cmd.bulkWrite");
        build_close(out);
        build_int32(out, "nErrors", (int32_t)refusals->count);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            build_int32(out, counts[i], 0);
    }
    refusals_write_double(out, "ok", true);
}

size_t splice_answer_bytes(const struct plan *plan)
{
    return ENFORCE_FRONT_BYTES + ANSWER_REST_BYTES + plan->refusals.bytes_len;
}

bool splice_answer(const struct plan *plan, uint8_t **block, struct bytes *reply, struct error *err)
{
    struct build build;
    build_begin_behind(&build, ENFORCE_FRONT_BYTES, splice_answer_bytes(plan), INT32_MAX);
    write_answer(&plan->refusals, &build);
    if (!build_finish(&build, reply)) {
        build_free(&build);
        return error_no_memory(err, "the reply to a write");
    }
    *block = build.data;
    return true;
}
