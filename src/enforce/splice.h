/* Joins the server's reply with the refusals, and makes replies when nothing was sent. */
#ifndef SLUICE_ENFORCE_SPLICE_H
#define SLUICE_ENFORCE_SPLICE_H

#include "enforce/enforce_terms.h"
#include "enforce/refusals.h"

/* Takes over the plan's refusals. NULL without memory. */
struct enforce_splice *splice_new(struct plan *plan);

/* The number of bytes for splice_answer. */
size_t splice_answer_bytes(const struct plan *plan);
/* Makes the reply to a command without any statement for the server, in *block (from memory_alloc)
 * behind ENFORCE_FRONT_BYTES. */
bool splice_answer(const struct plan *plan, uint8_t **block, struct bytes *reply,
                   struct error *err);

#endif
