/* What was refused in a command, and how the client is told. */
#ifndef SLUICE_ENFORCE_REFUSALS_H
#define SLUICE_ENFORCE_REFUSALS_H

#include "base/error.h"
#include "bson/build.h"

/* Which command's reply it is for. */
enum splice_form {
    SPLICE_INSERT,
    SPLICE_UPDATE,
    SPLICE_BULK_WRITE,
    SPLICE_NOTHING /* w: 0: refusals are not told, and the reply is {ok: 1} */
};

/* A refused statement: where it stood, and where its element in refusals.bytes begins. */
struct refusal {
    uint32_t index;
    size_t at;
};

/* The elements of `writeErrors` (of a bulkWrite: of its cursor's batch), as they stand there when
 * nothing else is among them: keys from "0" on, {index, code, errInfo, errmsg}. They are written as
 * the statements are refused, so that a reply to a hundred thousand of them is put together at
 * once. */
struct refusals {
    enum splice_form form;
    size_t limit_bytes;    /* errInfo is left out where the elements would become longer */
    struct refusal *items; /* owned; by ascending index */
    size_t count;
    size_t room;
    uint8_t *bytes; /* owned */
    size_t bytes_len;
    size_t bytes_room;
    size_t text_bytes; /* of error messages */
};

/* Sets limit_bytes so that a reply about that many statements fits a document. */
void refusals_limit(struct refusals *refusals, size_t statements, size_t max_document_bytes);

/* What is said of a refused statement. */
struct refusal_text {
    uint32_t index;
    int code;
    bool update; /* the statement was an update */
    const char *message;
    struct bytes info; /* errInfo; may be empty */
};

/* Adds one. As on the server, the message is empty once there are more than 1 MiB of them. False
 * when memory is out. */
bool refusals_add(struct refusals *refusals, const struct refusal_text *text, struct error *err);
void refusals_release(struct refusals *refusals);

/* What it holds in memory. */
static inline size_t refusals_room_bytes(const struct refusals *refusals)
{
    return refusals->room * sizeof *refusals->items + refusals->bytes_room;
}

/* The document of the element. */
struct bytes refusal_document(const struct refusals *refusals, size_t which);

/* Where the statement stood that is the index-th of those that are not refused. */
uint32_t refusals_original_index(const struct refusals *refusals, uint32_t index);

/* Appends those from `first` up to before `end` to the array that is open. */
void refusals_write(const struct refusals *refusals, size_t first, size_t end, struct build *out);

void refusals_write_double(struct build *out, const char *name, bool one /* else 0.0 */);

/* What goes upstream of a command's statements. */
struct plan {
    struct refusals refusals;
    uint32_t total; /* statements looked at */
    bool stopped;   /* nothing goes from the (one) refusal on */
};

/* How many statements are kept, and whether that one is. `next` is where the caller's walk over
 * ascending indexes stands in the refusals; it begins at 0. */
uint32_t plan_kept(const struct plan *plan);
bool plan_keeps(const struct plan *plan, uint32_t index, size_t *next);

#endif
