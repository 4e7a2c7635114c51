/* Tells whether a change of a schema can refuse documents that passed before, or accept others,
 * with a proof for each answer. Pure.
 *
 * YES is proved for every document, with any fields. NO comes with a document that the engine
 * itself (schema_check) has judged. If the search finds neither within its limits, the answer is
 * UNKNOWN. Documents whose check reaches a limit (docs/schemas.md, "Limits") are outside of both.
 */
#ifndef SLUICE_COMPARE_COMPATIBILITY_H
#define SLUICE_COMPARE_COMPATIBILITY_H

#include "schema/schema.h"

/* The schemas of a namespace, at least one: a document passes if one of them accepts it. */
struct compatibility_side {
    const struct schema *const *accepted;
    size_t count;
};

enum compatibility_answer { COMPATIBILITY_UNKNOWN, COMPATIBILITY_YES, COMPATIBILITY_NO };

struct compatibility {
    enum compatibility_answer backward; /* NEW accepts all that OLD accepts */
    enum compatibility_answer forward;  /* OLD accepts all that NEW accepts */
    struct bytes refused_by_new; /* if backward is NO: a document that OLD accepts; else empty */
    struct bytes refused_by_old; /* if forward is NO */
    uint8_t *documents[2];       /* owned: their bytes */
};

/* False with err set without memory. On true the caller must call compatibility_release. */
bool compatibility_judge(const struct compatibility_side *old_side,
                         const struct compatibility_side *new_side, struct compatibility *out,
                         struct error *err);
void compatibility_release(struct compatibility *compatibility);

/* "full": both; "backward" or "forward": this one, and the other is not proved; "incompatible":
 * neither; "unknown". A static string. */
const char *compatibility_verdict(const struct compatibility *compatibility);

/* The bytes of a proof; empty if there is none. */
static inline struct bytes compatibility_proof(const uint8_t *proof, size_t len)
{
    return proof == NULL ? (struct bytes){0} : bytes_of(proof, len);
}

/* One direction only: whether `to` accepts all that `from` accepts. On NO, *proof is a document
 * (release it with memory_free) that `also` refuses too (NULL: no such condition). */
enum compatibility_answer compatibility_contains(const struct compatibility_side *from,
                                                 const struct compatibility_side *to,
                                                 const struct compatibility_side *also,
                                                 uint8_t **proof, size_t *proof_len);

#endif
