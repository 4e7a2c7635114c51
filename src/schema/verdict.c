/* Scratches, and the verdict on a document or a value. */
#include "base/memory.h"
#include "schema/evaluate.h"

struct schema_scratch *schema_scratch_new(void)
{
    struct schema_scratch *scratch = memory_zalloc(sizeof *scratch);
    if (scratch == NULL)
        return NULL;
    scratch->bits = memory_array(SCRATCH_BITS, sizeof *scratch->bits);
    scratch->patterns = pattern_scratch_new();
    if (scratch->bits == NULL || scratch->patterns == NULL) {
        schema_scratch_free(scratch);
        return NULL;
    }
    return scratch;
}

void schema_scratch_free(struct schema_scratch *scratch)
{
    if (scratch == NULL)
        return;
    pattern_scratch_free(scratch->patterns);
    memory_free(scratch->bits);
    memory_free(scratch->hashes);
    memory_free(scratch);
}

struct schema_allowance schema_allowance_of(size_t bytes)
{
    return (struct schema_allowance){.work = SCHEMA_WORK_MAX + (uint64_t)SCHEMA_WORK_A_BYTE * bytes,
                                     .steps = PATTERN_COMMAND_STEPS};
}

void schema_scratch_allow(struct schema_scratch *scratch, struct schema_allowance *allowance)
{
    scratch->allowance = allowance;
    pattern_scratch_share(scratch->patterns, allowance == NULL ? NULL : &allowance->steps);
}

void schema_scratch_begin(struct schema_scratch *scratch)
{
    pattern_scratch_reset(scratch->patterns);
}

static enum schema_verdict malformed(const struct validate_fault *fault, const uint8_t *start,
                                     struct error *err)
{
    (void)validate_report(fault, start, err);
    return SCHEMA_MALFORMED;
}

/* `after` is the end of the walk; NULL: it ended early. Malformed bytes take precedence over a
 * refusal. */
static enum schema_verdict explain_refusal(const struct evaluation *e, uint8_t kind,
                                           struct bytes value, const uint8_t *after,
                                           struct error *err)
{
    struct validate_fault fault = e->fault;
    if (after == NULL && fault.what == NULL)
        after = validate_value(kind, value.pos, value.end, 0, &fault);
    if (after != NULL && after != value.end)
        (void)validate_fail(&fault, after, "bytes follow the end of the document");
    if (fault.what != NULL)
        return malformed(&fault, value.pos, err);
    if (e->cut_off != NULL && !e->refused) {
        (void)error_set(err, ERROR_DOCUMENT_VALIDATION_FAILURE,
                        "Document could not be validated: %s", e->cut_off);
        return SCHEMA_CUT_OFF;
    }
    static const struct error refused = {ERROR_DOCUMENT_VALIDATION_FAILURE,
                                         "Document failed validation"};
    if (err != NULL) { /* without formatting: refusals are as fast as acceptances */
        err->code = refused.code;
        memcpy(err->message, refused.message, sizeof "Document failed validation");
    }
    return SCHEMA_INVALID;
}

static struct evaluation begin(const struct schema *schema, struct schema_scratch *scratch,
                               struct bytes value)
{
    pattern_scratch_reset(scratch->patterns);
    return (struct evaluation){.program = &schema->program,
                               .scratch = scratch,
                               .limit = value.end,
                               .given = schema_scratch_work(scratch),
                               .work = schema_scratch_work(scratch)};
}

/* Charges the document's work. */
static void finish(struct evaluation *e)
{
    schema_scratch_spend(e->scratch, e->given - e->work);
    if (e->cut_off == evaluate_work_cut_off && e->given < SCHEMA_WORK_MAX)
        e->cut_off = "the schema needs more work than is allowed for one command; write fewer "
                     "documents at once";
}

enum schema_verdict schema_check(const struct schema *schema, struct schema_scratch *scratch,
                                 struct bytes document, struct error *err)
{
    struct evaluation e = begin(schema, scratch, document);
    const uint8_t *after =
        evaluate_document(&e, &schema->program.document, document.pos, document.end);
    finish(&e);
    if (__builtin_expect(after == document.end && !e.refused, 1))
        return SCHEMA_VALID;
    return explain_refusal(&e, BSON_KIND_OBJECT, document, after, err);
}

enum schema_verdict schema_check_value(const struct schema *schema, struct schema_scratch *scratch,
                                       uint8_t kind, struct bytes value, struct error *err)
{
    struct evaluation e = begin(schema, scratch, value);
    const uint8_t *after = evaluate_value(&e, schema->root_node, kind, value.pos, value.end, 0);
    finish(&e);
    if (after == value.end && !e.refused)
        return SCHEMA_VALID;
    return explain_refusal(&e, kind, value, after, err);
}
