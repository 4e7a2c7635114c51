/* Whether a change of a schema can refuse documents that passed before, or accept others: with a
 * proof for each answer. Pure.
 *
 * YES is proved for every document, whatever fields it has. NO comes with a document that the
 * checking engine itself (schema_check) has judged. Where neither can be had within the limits of
 * the search, the answer is UNKNOWN. A document whose check reaches a limit (docs/schemas.md,
 * "Limits") is outside of both. */
#ifndef SLUICE_COMPARE_COMPATIBILITY_H
#define SLUICE_COMPARE_COMPATIBILITY_H

#include "schema/schema.h"

/* What a namespace accepts: a document passes if one of the schemas accepts it. At least one. */
struct compatibility_side {
    const struct schema *const *accepted;
    size_t count;
};

enum compatibility_answer { COMPATIBILITY_UNKNOWN, COMPATIBILITY_YES, COMPATIBILITY_NO };

struct compatibility {
    enum compatibility_answer backward; /* NEW accepts all that OLD accepts */
    enum compatibility_answer forward;  /* OLD accepts all that NEW accepts */
    struct bytes refused_by_new;        /* where backward is NO: OLD accepts it. Else empty */
    struct bytes refused_by_old;        /* where forward is NO */
    uint8_t *documents[2];              /* owned: their bytes */
};

/* False with err set: no memory. compatibility_release is due when it is true. */
bool compatibility_judge(const struct compatibility_side *old_side,
                         const struct compatibility_side *new_side, struct compatibility *out,
                         struct error *err);
void compatibility_release(struct compatibility *compatibility);

/* "full": both; "backward" or "forward": that one, and the other is not proved; "incompatible":
 * neither; "unknown". A static string. */
const char *compatibility_verdict(const struct compatibility *compatibility);

/* The bytes of a proof; empty without one. */
static inline struct bytes compatibility_proof(const uint8_t *proof, size_t len)
{
    return proof == NULL ? (struct bytes){0} : bytes_of(proof, len);
}

/* One direction alone: whether `to` accepts all that `from` accepts. Where it does not, *proof is a
 * document (released with memory_free), which `also` refuses too (NULL: does not matter). */
enum compatibility_answer compatibility_contains(const struct compatibility_side *from,
                                                 const struct compatibility_side *to,
                                                 const struct compatibility_side *also,
                                                 uint8_t **proof, size_t *proof_len);

#endif
