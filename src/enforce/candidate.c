#include "enforce/candidate.h"

#include "base/memory.h"
#include "enforce/reason.h"

static const struct schema *schema_of(const struct judge *judge)
{
    return judge->entry->file.candidate.schema;
}

static uint64_t now_ns(const struct judge *judge)
{
    const struct enforce_observer *observer = judge->observer;
    return observer->now_ns == NULL ? 0 : observer->now_ns(observer->arg);
}

static void refuse(struct judge *judge, const struct tally_reason *reason, struct bytes info)
{
    const struct enforce_observer *observer = judge->observer;
    int64_t at_ms = observer->wall_ms == NULL ? 0 : observer->wall_ms(observer->arg);
    tally_refuse(observer->tally, judge->entry, &judge->entry->file.candidate, observer->writer,
                 reason, at_ms, info);
}

/* Writes errInfo; starts `first` and `second`. */
typedef struct bytes explain_fn(struct judge *judge, const void *subject, struct build *first,
                                struct build *second);

static void refuse_explained(struct judge *judge, explain_fn *explain, const void *subject)
{
    enum { EXPLAIN_NS = 3000 };
    struct build first;
    struct build second;
    struct tally_reason reason;
    if (!tally_may_explain(judge->observer->tally)) {
        judge->unexplained++;
        return;
    }
    uint64_t since_ns = now_ns(judge);
    judge_begin_other(judge);
    struct bytes info = explain(judge, subject, &first, &second);
    judge_end_other(judge, 0);
    reason_write_first(info, &reason);
    refuse(judge, &reason, info);
    build_free(&first);
    build_free(&second);
    uint64_t took_ns = now_ns(judge) - since_ns;
    judge->other_ns += EXPLAIN_NS;
    judge->explain_ns += took_ns;
    tally_pay(judge->observer->tally, took_ns);
}

/* --- documents --- */

struct subject {
    struct bytes document;
    const struct scan_element *id;
};

static struct bytes explain_document(struct judge *judge, const void *subject, struct build *first,
                                     struct build *second)
{
    const struct subject *s = subject;
    return judge_explain(judge, schema_of(judge), s->document, s->id, first, second);
}

static void refuse_document(struct judge *judge, struct bytes document,
                            const struct scan_element *id)
{
    const struct subject subject = {document, id};
    refuse_explained(judge, explain_document, &subject);
}

/* A limit ended the check. */
static void refuse_cut_off(struct judge *judge)
{
    const struct tally_reason reason = {.text = "the check reached a limit"};
    refuse(judge, &reason, (struct bytes){0});
}

static void try_document(struct judge *judge, struct bytes document)
{
    switch (judge_verdict_other(judge, schema_of(judge), document, NULL)) {
    case SCHEMA_VALID:
        judge->tried[TALLY_PASSED]++;
        break;
    case SCHEMA_INVALID:
        refuse_document(judge, document, NULL);
        break;
    case SCHEMA_CUT_OFF:
    case SCHEMA_MALFORMED: /* impossible: the accepted versions have read it */
        refuse_cut_off(judge);
        break;
    }
}

enum judged candidate_insert(struct judge *judge, uint32_t index, struct bytes document)
{
    enum judged judged = judge_insert(judge, index, document);
    if (judge->tries && judged == JUDGED_PASS && judge_looks(judge))
        try_document(judge, document);
    return judged;
}

/* --- updates --- */

static void skip(struct judge *judge)
{
    judge->tried[TALLY_UNDECIDED]++;
}

static void try_replacement(struct judge *judge, const struct update_statement *s)
{
    const struct scan_element *id = s->by_id ? &s->id : NULL;
    enum schema_verdict verdict = judge_verdict_other(judge, schema_of(judge), s->change.value, id);
    bool open = verdict == SCHEMA_VALID ? update_id_is_open(s)
                                        : judge->entry->file.level == SCHEMA_LEVEL_MODERATE ||
                                              update_may_be_the_id(judge, schema_of(judge), s);
    if (open)
        skip(judge);
    else if (verdict == SCHEMA_VALID)
        judge->tried[TALLY_PASSED]++;
    else if (verdict == SCHEMA_INVALID)
        refuse_document(judge, s->change.value, id);
    else
        refuse_cut_off(judge);
}

struct change {
    const struct update_statement *statement;
    const struct update_proof *proof;
};

static struct bytes explain_change(struct judge *judge, const void *subject, struct build *first,
                                   struct build *second)
{
    const struct change *change = subject;
    const struct update_proof *proof = change->proof;
    const struct judge_reason why = {.text = update_wrong_text,
                                     .operator_name = proof->operator_name,
                                     .path = proof->operand.name};
    const struct scan_element *id = change->statement->by_id ? &change->statement->id : NULL;
    struct bytes info = {0};
    if (update_explain_set(judge, schema_of(judge), proof, id, first, &info)) {
        build_begin(second, 0);
        return info;
    }
    return judge_write_reason(&why, id, second, &info) ? info : (struct bytes){0};
}

/* True if the document that an upsert may insert passes too. */
static bool passes_upsert(struct judge *judge, const struct update_statement *s)
{
    struct build build;
    struct bytes document;
    bool passes = !s->upsert;
    if (passes)
        return true;
    if (update_make_upsert(judge, s, &build, &document))
        passes = judge_verdict_other(judge, schema_of(judge), document, NULL) == SCHEMA_VALID;
    build_free(&build);
    return passes;
}

static void try_operators(struct judge *judge, const struct update_statement *s)
{
    struct update_proof proof;
    struct error err;
    judge_begin_other(judge);
    bool proved = update_prove(schema_of(judge), judge->scratch, s->change.value, &proof, &err);
    judge_end_other(judge, bytes_left(&s->change.value));
    const struct change change = {s, &proof};
    bool lenient = judge->entry->file.level == SCHEMA_LEVEL_MODERATE;
    proved = proved && !proof.bare; /* otherwise the server refuses it */
    if (proved && proof.proof == SCHEMA_PROOF_WRONG && !lenient)
        refuse_explained(judge, explain_change, &change);
    else if (proved && proof.proof == SCHEMA_PROOF_RIGHT && passes_upsert(judge, s))
        judge->tried[TALLY_PASSED]++;
    else
        skip(judge);
}

enum judged candidate_update(struct judge *judge, uint32_t index,
                             const struct update_statement *statement)
{
    enum judged judged = judge_update(judge, index, statement);
    if (!judge->tries || judged != JUDGED_PASS || !judge_looks(judge) ||
        statement->change.kind != BSON_KIND_OBJECT) /* a pipeline was counted as undecided */
        return judged;
    if (update_has_operators(statement))
        try_operators(judge, statement);
    else
        try_replacement(judge, statement);
    return judged;
}
