/* The server's reply joined with what was refused here, and replies where nothing was sent. */
#ifndef SLUICE_ENFORCE_SPLICE_H
#define SLUICE_ENFORCE_SPLICE_H

#include "enforce/enforce_terms.h"
#include "enforce/refusals.h"

/* Takes over the plan's refusals. NULL when memory is out. */
struct enforce_splice *splice_new(struct plan *plan);

/* How many bytes splice_answer takes. */
size_t splice_answer_bytes(const struct plan *plan);
/* The reply to a command of which nothing goes upstream: of *block (memory_alloc'd), behind
 * ENFORCE_FRONT_BYTES. */
bool splice_answer(const struct plan *plan, uint8_t **block, struct bytes *reply,
                   struct error *err);

#endif
