/* The refusals of a command, and the client's errors for them. */
#ifndef SLUICE_ENFORCE_REFUSALS_H
#define SLUICE_ENFORCE_REFUSALS_H

#include "base/error.h"
#include "bson/build.h"

/* The command whose reply it is for. */
enum splice_form {
    SPLICE_INSERT,
    SPLICE_UPDATE,
    SPLICE_BULK_WRITE,
    SPLICE_NOTHING /* w: 0: refusals are not reported, and the reply is {ok: 1} */
};

/* A refused statement: its index, and the start of its element in refusals.bytes. */
struct refusal {
    uint32_t index;
    size_t at;
};

/* The elements of `writeErrors` (for a bulkWrite: of its cursor's batch) in their final form for a
 * reply with only these errors: keys from "0" on, {index, code, errInfo, errmsg}. They are written
 * when the statements are refused, so a reply with a hundred thousand of them needs no further
 * work. */
struct refusals {
    enum splice_form form;
    size_t limit_bytes;    /* errInfo is omitted beyond this length of the elements */
    struct refusal *items; /* owned; by ascending index */
    size_t count;
    size_t room;
    uint8_t *bytes; /* owned */
    size_t bytes_len;
    size_t bytes_room;
    size_t text_bytes; /* of error messages */
};

/* Sets limit_bytes so that a reply about this many statements fits into a document. */
void refusals_limit(struct refusals *refusals, size_t statements, size_t max_document_bytes);

/* The error of a refused statement. */
struct refusal_text {
    uint32_t index;
    int code;
    bool update; /* the statement was an update */
    const char *message;
    struct bytes info; /* errInfo; may be empty */
};

/* Adds a refusal. As on the server, the message is empty beyond 1 MiB of messages. False without
 * memory. */
bool refusals_add(struct refusals *refusals, const struct refusal_text *text, struct error *err);
void refusals_release(struct refusals *refusals);

/* Its memory. */
static inline size_t refusals_room_bytes(const struct refusals *refusals)
{
    return refusals->room * sizeof *refusals->items + refusals->bytes_room;
}

/* The document of the element. */
struct bytes refusal_document(const struct refusals *refusals, size_t which);

/* The original index of the index-th statement that is not refused. */
uint32_t refusals_original_index(const struct refusals *refusals, uint32_t index);

/* Appends the refusals from `first` up to but excluding `end` to the open array. */
void refusals_write(const struct refusals *refusals, size_t first, size_t end, struct build *out);

void refusals_write_double(struct build *out, const char *name, bool one /* else 0.0 */);

/* The statements of a command that go upstream. */
struct plan {
    struct refusals refusals;
    uint32_t total; /* checked statements */
    bool stopped;   /* nothing goes from the (only) refusal on */
};

/* The number of kept statements, and whether a statement is kept. `next` is the position of the
 * caller's walk over ascending indexes in the refusals; start with 0. */
uint32_t plan_kept(const struct plan *plan);
bool plan_keeps(const struct plan *plan, uint32_t index, size_t *next);

#endif
