/* What was refused in a command, and how the client is told. */
#ifndef SLUICE_ENFORCE_REFUSALS_H
#define SLUICE_ENFORCE_REFUSALS_H

#include "base/error.h"
#include "bson/build.h"

/* A refused statement: where it stood, and the texts in refusals.bytes. */
struct refusal {
    uint32_t index;
    int code;
    bool update;
    size_t message; /* NUL-terminated */
    size_t info;    /* errInfo, a document; info_len is 0 where it was too large */
    size_t info_len;
};

struct refusals {
    struct refusal *items; /* owned; by ascending index */
    size_t count;
    size_t room;
    uint8_t *bytes; /* owned */
    size_t bytes_len;
    size_t bytes_room;
};

/* Adds one; info may be empty, and is left out where all of them together would pass
 * `limit_bytes`. False when memory is out. */
bool refusals_add(struct refusals *refusals, const struct refusal *refusal, const char *message,
                  struct bytes info, size_t limit_bytes, struct error *err);
void refusals_release(struct refusals *refusals);

struct bytes refusal_info(const struct refusals *refusals, const struct refusal *refusal);
const char *refusal_message(const struct refusals *refusals, const struct refusal *refusal);

/* Where the statement stood that is the index-th of those that are not refused. */
uint32_t refusals_original_index(const struct refusals *refusals, uint32_t index);

/* Texts of errors in one reply: as on the server, after 1 MiB of them the rest are empty. */
struct error_texts {
    size_t bytes;
    size_t count;
};

/* Appends {index, code, errInfo, errmsg} to the array that is open. */
void refusal_write_error(const struct refusals *refusals, const struct refusal *refusal,
                         struct error_texts *texts, struct build *out);
/* Appends a result of bulkWrite: {ok: 0, idx, code, errmsg, errInfo, n[, nModified]}. */
void refusal_write_result(const struct refusals *refusals, const struct refusal *refusal,
                          struct error_texts *texts, struct build *out);

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
