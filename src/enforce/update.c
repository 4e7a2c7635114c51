#include "enforce/update.h"

#include "bson/validate.h"

/* --- reading --- */

/* True if the name is UTF-8. */
static bool is_text(const struct scan_element *field, struct error *err)
{
    return utf8_check((const uint8_t *)field->name, field->name_len) ||
           error_set(err, ERROR_INVALID_BSON, "A name in an update is not UTF-8");
}

/* `depth` is the number of documents around the value in the stored document. */
static bool is_bson(const struct scan_element *field, unsigned depth, struct error *err)
{
    struct validate_fault fault = {0};
    const uint8_t *after =
        validate_value(field->kind, field->value.pos, field->value.end, depth, &fault);
    if (after == NULL)
        return validate_report(&fault, field->value.pos, err);
    if (after != field->value.end)
        return error_set(err, ERROR_INVALID_BSON, "A value in an update is not BSON");
    return is_text(field, err);
}

bool update_equality(const struct scan_element *condition, struct scan_element *value)
{
    struct scan scan;
    struct scan_element first;
    struct scan_element second;
    *value = *condition;
    if (condition->kind == BSON_KIND_REGEX)
        return false;
    if (condition->kind != BSON_KIND_OBJECT || !scan_open(&scan, condition->value) ||
        !scan_next(&scan, &first) || first.name[0] != '$')
        return true;
    *value = first;
    return scan_name_is(&first, "$eq") && !scan_next(&scan, &second);
}

static void fill(const struct grammar_found *found, struct update_statement *out)
{
    struct scan_element id;
    *out = (struct update_statement){.upsert = grammar_has(found, MEANS_UPSERT) &&
                                               grammar_is_true(&found->at[MEANS_UPSERT]),
                                     .constants = grammar_has(found, MEANS_CONSTANTS)};
    if (grammar_has(found, MEANS_QUERY))
        out->query = found->at[MEANS_QUERY].value;
    if (grammar_has(found, MEANS_CHANGE))
        out->change = found->at[MEANS_CHANGE];
    out->by_id = bytes_left(&out->query) > 0 && scan_find(out->query, "_id", &id) &&
                 update_equality(&id, &out->id);
}

/* The change is checked during its judgement. */
static bool is_change(const struct grammar_found *found, const struct scan_element *field)
{
    return grammar_has(found, MEANS_CHANGE) && found->at[MEANS_CHANGE].name == field->name;
}

bool update_read(const struct grammar *grammar, struct bytes statement,
                 struct update_statement *out, struct error *err)
{
    struct scan scan;
    struct scan_element field;
    struct grammar_found found;
    bool first = grammar->own.name != NULL;
    *out = (struct update_statement){.upsert = false};
    grammar_begin(&found);
    (void)scan_open(&scan, statement);
    while (scan_next(&scan, &field)) {
        bool taken = first ? grammar_take_own(grammar, &field, &found, err)
                           : grammar_take(grammar, FIELD_OTHER, &field, &found, err);
        if (!taken || (!is_change(&found, &field) && !is_bson(&field, 0, err)))
            return false;
        first = false;
    }
    if (scan.broken)
        return error_set(err, ERROR_INVALID_BSON, "An update is not BSON");
    if (!grammar_end(grammar, &found, err))
        return false;
    fill(&found, out);
    return true;
}

bool update_read_found(const struct grammar_found *found, const struct wire_command *command,
                       struct update_statement *out, struct error *err)
{
    struct wire_fields fields;
    struct scan_element field;
    wire_fields_open(&fields, command);
    while (wire_fields_next(&fields, &field))
        if (!is_change(found, &field) && !is_bson(&field, 0, err))
            return false;
    fill(found, out);
    return true;
}

bool update_each(struct bytes change, update_each_fn *each, void *arg, bool *bare,
                 struct error *err)
{
    struct scan operators;
    struct scan fields = {.broken = false};
    struct scan_element op;
    struct scan_element operand;
    (void)scan_open(&operators, change);
    while (scan_next(&operators, &op)) {
        bool fielded = op.kind == BSON_KIND_OBJECT;
        if (!is_text(&op, err) || (!fielded && !is_bson(&op, 0, err)))
            return false;
        if (!fielded) {
            *bare = true;
            continue;
        }
        if (!scan_open(&fields, op.value))
            return error_set(err, ERROR_INVALID_BSON, "An update is not BSON");
        while (scan_next(&fields, &operand)) {
            if (!is_bson(&operand, 1, err))
                return false;
            if (!each(arg, &op, &operand))
                return true;
        }
        if (fields.broken)
            break;
    }
    return !(operators.broken || fields.broken) ||
           error_set(err, ERROR_INVALID_BSON, "An update is not BSON");
}

/* --- judging --- */

static const struct scan_element *id_of(const struct update_statement *s)
{
    return s->by_id ? &s->id : NULL;
}

/* For a replacement without an _id whose query does not determine one, the _id is unknown. If the
 * schema accepts an ObjectId, the refusal has another cause. */
bool update_may_be_the_id(const struct judge *judge, const struct schema *schema,
                          const struct update_statement *statement)
{
    static const uint8_t some[12];
    return !statement->by_id && judge_lacks_id(statement->change.value) &&
           schema_prove_set(schema, judge->scratch, "_id", BSON_KIND_OBJECT_ID,
                            bytes_of(some, sizeof some)) == SCHEMA_PROOF_WRONG;
}

/* True if this holds for an accepted version. */
static bool may_be_the_id(const struct judge *judge, const struct update_statement *s)
{
    const struct schema_file *file = &judge->entry->file;
    for (size_t i = 0; i < file->version_count; i++)
        if ((judge->accepted >> i & 1) != 0 &&
            update_may_be_the_id(judge, file->versions[i].schema, s))
            return true;
    return false;
}

bool update_id_is_open(const struct update_statement *statement)
{
    return statement->upsert && judge_lacks_id(statement->change.value) &&
           !update_upsert_id_is_clear(statement->query);
}

static const struct judge_reason moderate = {.text =
                                                 "at level moderate an invalid document may stay "
                                                 "invalid, and the stored document is not known"};

static enum judged judge_replacement(struct judge *judge, uint32_t index,
                                     const struct update_statement *s)
{
    static const struct judge_reason unknown_id = {
        .text = "the _id of the replaced document is not known"};
    static const struct judge_reason open_id = {
        .text = "the _id that the query gives to the new document is not known"};
    bool lenient = judge->entry->file.level == SCHEMA_LEVEL_MODERATE;
    enum schema_verdict verdict = judge_verdict(judge, s->change.value, id_of(s));
    if (verdict == SCHEMA_MALFORMED)
        return JUDGED_FAILED;
    if (verdict == SCHEMA_VALID && update_id_is_open(s))
        return judge_unproved(judge, index, &open_id, NULL);
    if (verdict == SCHEMA_VALID) {
        judge->counts[REGISTRY_PASSED]++;
        return JUDGED_PASS;
    }
    if (lenient)
        return judge_unproved(judge, index, &moderate, id_of(s));
    if (verdict == SCHEMA_CUT_OFF)
        return judge_document_cut_off(judge, index, s->change.value);
    if (may_be_the_id(judge, s))
        return judge_unproved(judge, index, &unknown_id, NULL);
    return judge_document_refused(judge, index, s->change.value, id_of(s));
}

const char update_wrong_text[] = "no document matches the schema after this update";

static enum judged refuse_operators(struct judge *judge, uint32_t index,
                                    const struct update_statement *s,
                                    const struct update_proof *proof)
{
    const struct judge_reason why = {.text = update_wrong_text,
                                     .operator_name = proof->operator_name,
                                     .path = proof->operand.name};
    struct build build;
    struct bytes info;
    enum judged judged = update_explain_set(judge, schema_file_newest(&judge->entry->file), proof,
                                            id_of(s), &build, &info)
                             ? judge_refuse_info(judge, index, info)
                             : judge_refuse(judge, index, &why, id_of(s));
    build_free(&build);
    return judged;
}

static bool prove_by_version(struct judge *judge, size_t version, struct bytes change,
                             struct update_proof *out)
{
    judge_begin_other(judge);
    bool ok = update_prove(judge->entry->file.versions[version].schema, judge->scratch, change, out,
                           judge->err);
    judge_end_other(judge, bytes_left(&change));
    return ok;
}

/* The stored document satisfies an unknown accepted version. The update is right if every version
 * proves it right, because the same version then accepts the result. It is wrong if every version
 * proves it wrong. */
static bool prove(struct judge *judge, struct bytes change, struct update_proof *out, bool *differ)
{
    const struct schema_file *file = &judge->entry->file;
    struct update_proof other;
    *differ = false;
    if (!update_prove(schema_file_newest(file), judge->scratch, change, out, judge->err))
        return false;
    for (size_t i = 1; i < file->version_count && out->proof != SCHEMA_PROOF_NONE; i++) {
        if ((judge->accepted >> i & 1) == 0)
            continue;
        if (!prove_by_version(judge, i, change, &other))
            return false;
        if (other.proof == out->proof)
            continue;
        if (out->operator_name == NULL)
            *out = other;
        out->proof = SCHEMA_PROOF_NONE;
        *differ = true;
    }
    return true;
}

static enum schema_proof prove_upsert(struct judge *judge, const struct update_statement *s)
{
    struct build build;
    struct bytes document;
    enum schema_proof proof = SCHEMA_PROOF_NONE;
    if (update_make_upsert(judge, s, &build, &document)) {
        enum schema_verdict verdict = judge_verdict(judge, document, NULL);
        if (verdict == SCHEMA_VALID)
            proof = SCHEMA_PROOF_RIGHT;
        else if (verdict == SCHEMA_INVALID)
            proof = SCHEMA_PROOF_WRONG;
    }
    build_free(&build);
    return proof;
}

static enum judged judge_operators(struct judge *judge, uint32_t index,
                                   const struct update_statement *s)
{
    struct update_proof proof;
    struct judge_reason why = {.text = "the result depends on the stored document"};
    bool lenient = judge->entry->file.level == SCHEMA_LEVEL_MODERATE;
    bool differ = false;
    if (!prove(judge, s->change.value, &proof, &differ))
        return JUDGED_FAILED;
    if (proof.bare)
        return judge_refuse_form(judge, index, ERROR_FAILED_TO_PARSE,
                                 "Modifiers operate on fields but one of them has another type");
    why.operator_name = proof.operator_name;
    why.path = proof.operand.name;
    if (proof.proof == SCHEMA_PROOF_WRONG && !lenient)
        return refuse_operators(judge, index, s, &proof);
    if (proof.proof == SCHEMA_PROOF_WRONG)
        why.text = moderate.text;
    if (differ)
        why.text = "the accepted versions of the schema differ in their judgement, and the version "
                   "of the stored document is not known";
    if (proof.proof == SCHEMA_PROOF_RIGHT && s->upsert) {
        proof.proof = prove_upsert(judge, s);
        why.text = proof.proof == SCHEMA_PROOF_WRONG
                       ? "if no document matches, the upsert inserts one that the schema refuses"
                       : "the document that the upsert may insert is not known";
    }
    if (proof.proof != SCHEMA_PROOF_RIGHT)
        return judge_unproved(judge, index, &why, id_of(s));
    judge->counts[REGISTRY_PASSED]++;
    return JUDGED_PASS;
}

bool update_has_operators(const struct update_statement *statement)
{
    struct scan scan;
    struct scan_element first;
    return scan_open(&scan, statement->change.value) && scan_next(&scan, &first) &&
           first.name[0] == '$';
}

/* Judges a well-formed statement: a replacement, operators or a pipeline. */
static enum judged judge_change(struct judge *judge, uint32_t index,
                                const struct update_statement *statement)
{
    static const struct judge_reason pipeline = {
        .text = "the result of a pipeline depends on the stored document"};
    const struct scan_element *change = &statement->change;
    bool bypassed = judge_bypasses(judge);
    bool unproved = change->kind == BSON_KIND_ARRAY || judge->opaque != NULL;
    if ((unproved || bypassed) && !is_bson(change, 0, judge->err))
        return JUDGED_FAILED;
    if (bypassed)
        return JUDGED_PASS;
    if (unproved)
        return judge_unknown(judge, index, judge->opaque != NULL ? judge->opaque : &pipeline,
                             id_of(statement));
    return update_has_operators(statement) ? judge_operators(judge, index, statement)
                                           : judge_replacement(judge, index, statement);
}

enum judged judge_update(struct judge *judge, uint32_t index,
                         const struct update_statement *statement)
{
    enum { CODE_CONSTANTS = 51198 };
    const struct scan_element *change = &statement->change;
    judge->update = true;
    schema_scratch_begin(judge->scratch); /* its operands share the limits of one document */
    if (change->kind == BSON_KIND_OBJECT && statement->constants)
        return judge_refuse_form(judge, index, CODE_CONSTANTS,
                                 "Constant values may only be specified for pipeline updates");
    return judge_change(judge, index, statement);
}
