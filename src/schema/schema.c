#include "schema/schema_internal.h"

#include "base/memory.h"
#include "schema/evaluate.h"
#include "schema/lower.h"
#include "schema/parse.h"

void schema_free(struct schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < schema->pattern_count; i++)
        pattern_free(schema->patterns[i]);
    memory_free(schema->patterns);
    memory_free(schema->rules.slots);
    memory_free(schema->program.block);
    memory_free(schema->bson);
    arena_free(&schema->arena);
    memory_free(schema);
}

static struct schema *no_memory(struct schema *schema, struct error *err)
{
    schema_free(schema);
    (void)error_no_memory(err, "the compiled schema");
    return NULL;
}

struct schema *schema_compile(struct bytes bson, enum schema_dialect dialect,
                              schema_report_fn *report, void *arg, struct error *err)
{
    if (!validate_document(bson, err))
        return NULL;
    struct schema *schema = memory_zalloc(sizeof *schema);
    if (schema == NULL)
        return no_memory(schema, err);
    schema->may_extend = dialect == SCHEMA_MONGODB_EXTENDED;
    schema->dialect = schema->may_extend ? SCHEMA_MONGODB : dialect;
    schema->bson_len = bytes_left(&bson);
    schema->bson = memory_alloc(schema->bson_len);
    if (schema->bson == NULL)
        return no_memory(schema, err);
    memcpy(schema->bson, bson.pos, schema->bson_len);
    if (!parse_schema(schema, report, arg, err) || !lower_schema(schema, err)) {
        schema_free(schema);
        return NULL;
    }
    if (schema_bytes(schema) > SCHEMA_BYTES_MAX) {
        schema_free(schema);
        (void)error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, SCHEMA_TOO_LARGE);
        return NULL;
    }
    return schema;
}

bool schema_is_extended(const struct schema *schema)
{
    return schema->extended;
}

bool schema_encrypts(const struct schema *schema)
{
    return schema->encrypts;
}

size_t schema_bytes(const struct schema *schema)
{
    return sizeof *schema + schema->bson_len + schema->arena.bytes + schema->pattern_bytes +
           schema->pattern_room * sizeof(struct pattern *) +
           schema->rules.size * sizeof(struct rule *) + schema->program.bytes;
}

struct bytes schema_source(const struct schema *schema)
{
    return bytes_of(schema->bson, schema->bson_len);
}

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

/* `after`: where the walk ended; NULL: early. Bytes that are no BSON are worse than a refusal. */
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

/* The document took what it took. */
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
