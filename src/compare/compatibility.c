#include "compare/compatibility.h"

#include "base/memory.h"
#include "compare/search.h"

enum { SIDES_MAX = 48, DOCUMENT_MAX = 16 * 1024 * 1024 };

/* --- verification --- */

static bool is_accepted(const struct compatibility_side *side, struct schema_scratch *scratch,
                        struct bytes document)
{
    for (size_t i = 0; i < side->count; i++)
        if (schema_check(side->accepted[i], scratch, document, NULL) == SCHEMA_VALID)
            return true;
    return false;
}

static bool is_refused(const struct compatibility_side *side, struct schema_scratch *scratch,
                       struct bytes document)
{
    for (size_t i = 0; i < side->count; i++)
        if (schema_check(side->accepted[i], scratch, document, NULL) != SCHEMA_INVALID)
            return false;
    return true;
}

/* The schemas that must refuse a proof. */
struct question {
    const struct compatibility_side *from, *to, *also;
    struct schema_scratch *scratch;
};

static bool is_proof(const struct question *q, struct bytes document)
{
    return is_accepted(q->from, q->scratch, document) && is_refused(q->to, q->scratch, document) &&
           (q->also == NULL || is_refused(q->also, q->scratch, document));
}

/* A stored document begins with an _id. */
static bool copy_with_id(const struct question *q, struct bytes document, struct build *build,
                         struct bytes *out)
{
    struct scan scan;
    struct scan_element field;
    build_begin(build, DOCUMENT_MAX);
    if (scan_find(document, "_id", &field))
        build_value(build, "_id", field.kind, field.value);
    else
        build_int32(build, "_id", 1);
    (void)scan_open(&scan, document);
    for (bool first = true; scan_next(&scan, &field);) {
        bool id = scan_name_is(&field, "_id");
        if (!id || !first)
            build_value(build, field.name, field.kind, field.value);
        first = first && !id;
    }
    return build_finish(build, out) && is_proof(q, *out);
}

static bool keep_proof(const struct question *q, struct bytes document, uint8_t **proof,
                       size_t *len)
{
    struct build build;
    struct bytes with_id;
    bool better = copy_with_id(q, document, &build, &with_id);
    struct bytes chosen = better ? with_id : document;
    bool ok = better || is_proof(q, document);
    *proof = ok ? memory_alloc(bytes_left(&chosen)) : NULL;
    *len = *proof == NULL ? 0 : bytes_left(&chosen);
    if (*proof != NULL)
        memcpy(*proof, chosen.pos, *len);
    build_free(&build);
    return *proof != NULL;
}

/* --- the search --- */

static size_t add_side(const struct compatibility_side *side, struct same_rule *rules, size_t count)
{
    for (size_t i = 0; i < side->count && count < SIDES_MAX; i++)
        rules[count++] = (struct same_rule){side->accepted[i], side->accepted[i]->document};
    return count;
}

/* Searches a document that one schema accepts and the others refuse. Without `all`, only the check
 * of the proof uses the schemas of q->also, which gives simpler documents. */
static enum answer search_one(const struct question *q, const struct schema *from, bool all,
                              uint8_t **proof, size_t *len)
{
    struct arena arena = {0};
    struct same same;
    struct search s = {.arena = &arena,
                       .scratch = q->scratch,
                       .same = &same,
                       .steps = SEARCH_STEPS_MAX,
                       .assumed = UINT32_MAX};
    struct same_rule holds = {from, from->document};
    struct same_rule breaks[SIDES_MAX];
    struct goal goal = {.holds = &holds, .hold_count = 1, .breaks = breaks};
    struct made_value value = {0};
    enum answer answer = ANSWER_UNKNOWN;
    goal.break_count = add_side(q->to, breaks, 0);
    if (all && q->also != NULL)
        goal.break_count = add_side(q->also, breaks, goal.break_count);
    if (same_begin(&same, &arena, &s.steps))
        answer = search_value(&s, &goal, TYPE_BIT(BSON_KIND_OBJECT), &value);
    if (answer == ANSWER_FOUND && !keep_proof(q, value.bytes, proof, len))
        answer = ANSWER_UNKNOWN;
    arena_free(&arena);
    return answer;
}

enum compatibility_answer compatibility_contains(const struct compatibility_side *from,
                                                 const struct compatibility_side *to,
                                                 const struct compatibility_side *also,
                                                 uint8_t **proof, size_t *proof_len)
{
    struct question q = {from, to, also, schema_scratch_new()};
    bool unknown = q.scratch == NULL || to->count + (also == NULL ? 0 : also->count) > SIDES_MAX;
    *proof = NULL;
    *proof_len = 0;
    for (size_t i = 0; q.scratch != NULL && *proof == NULL && i < from->count; i++) {
        enum answer answer = search_one(&q, from->accepted[i], false, proof, proof_len);
        if (answer == ANSWER_UNKNOWN && also != NULL)
            answer = search_one(&q, from->accepted[i], true, proof, proof_len);
        unknown = unknown || answer == ANSWER_UNKNOWN;
    }
    schema_scratch_free(q.scratch);
    if (*proof != NULL)
        return COMPATIBILITY_NO;
    return unknown ? COMPATIBILITY_UNKNOWN : COMPATIBILITY_YES;
}

bool compatibility_judge(const struct compatibility_side *old_side,
                         const struct compatibility_side *new_side, struct compatibility *out,
                         struct error *err)
{
    size_t len = 0;
    *out = (struct compatibility){0};
    struct schema_scratch *scratch = schema_scratch_new();
    if (scratch == NULL)
        return error_no_memory(err, "the comparison of the schemas");
    schema_scratch_free(scratch);
    out->backward = compatibility_contains(old_side, new_side, NULL, &out->documents[0], &len);
    out->refused_by_new = compatibility_proof(out->documents[0], len);
    out->forward = compatibility_contains(new_side, old_side, NULL, &out->documents[1], &len);
    out->refused_by_old = compatibility_proof(out->documents[1], len);
    return true;
}

void compatibility_release(struct compatibility *compatibility)
{
    memory_free(compatibility->documents[0]);
    memory_free(compatibility->documents[1]);
    *compatibility = (struct compatibility){0};
}

const char *compatibility_verdict(const struct compatibility *compatibility)
{
    bool backward = compatibility->backward == COMPATIBILITY_YES;
    bool forward = compatibility->forward == COMPATIBILITY_YES;
    if (backward || forward)
        return backward && forward ? "full" : backward ? "backward" : "forward";
    return compatibility->backward == COMPATIBILITY_NO && compatibility->forward == COMPATIBILITY_NO
               ? "incompatible"
               : "unknown";
}
