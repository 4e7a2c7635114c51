/* The document that an upsert inserts where nothing matches its query, as far as it can be made
 * out: fields of the top level that the query asks for by value, then the operators. */
#include "enforce/update.h"

/* More fields leave it open: each is looked for among the others. */
enum { FIELDS_MAX = 256 };

struct new_field {
    struct scan_element element;
    bool item; /* the field is an array with this one item */
    bool gone;
};

struct new_document {
    struct new_field fields[FIELDS_MAX];
    size_t count;
    bool open; /* it cannot be made out */
};

static struct new_field *find_field(struct new_document *document,
                                    const struct scan_element *element)
{
    for (size_t i = 0; i < document->count; i++) {
        const struct scan_element *field = &document->fields[i].element;
        if (field->name_len == element->name_len &&
            memcmp(field->name, element->name, field->name_len) == 0)
            return &document->fields[i];
    }
    return NULL;
}

static void put_field(struct new_document *document, const struct scan_element *name, uint8_t kind,
                      struct bytes value, bool item)
{
    struct new_field *field = find_field(document, name);
    if (field == NULL && document->count == FIELDS_MAX) {
        document->open = true;
        return;
    }
    if (field == NULL)
        field = &document->fields[document->count++];
    *field = (struct new_field){.element = *name, .item = item};
    field->element.kind = kind;
    field->element.value = value;
}

/* --- the query --- */

/* Conditions that put nothing into the new document. */
static bool is_no_equality(struct bytes condition)
{
    static const char *const names[] = {"$gt",     "$gte",  "$lt",    "$lte",     "$ne",   "$nin",
                                        "$exists", "$type", "$regex", "$options", "$size", "$mod"};
    struct scan scan;
    struct scan_element field;
    bool known = true;
    (void)scan_open(&scan, condition);
    while (known && scan_next(&scan, &field)) {
        known = false;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            known = known || scan_name_is(&field, names[i]);
    }
    return known;
}

static void take_query(struct new_document *document, struct bytes query)
{
    struct scan scan;
    struct scan_element condition;
    struct scan_element value;
    if (bytes_left(&query) == 0)
        return;
    (void)scan_open(&scan, query);
    while (!document->open && scan_next(&scan, &condition)) {
        if (scan_name_is(&condition, "$comment") || condition.kind == BSON_KIND_REGEX)
            continue;
        if (condition.name[0] == '$' || strchr(condition.name, '.') != NULL ||
            find_field(document, &condition) != NULL)
            document->open = true;
        else if (update_equality(&condition, &value))
            put_field(document, &condition, value.kind, value.value, false);
        else if (!is_no_equality(condition.value))
            document->open = true;
    }
}

/* --- operators --- */

static void put_date(struct new_document *document, const struct scan_element *operand)
{
    static const uint8_t never[8];
    struct scan_element type;
    const char *text = NULL;
    size_t len = 0;
    uint8_t kind = BSON_KIND_DATE;
    if (operand->kind == BSON_KIND_OBJECT && scan_find(operand->value, "$type", &type) &&
        scan_as_string(&type, &text, &len) && len != 4)
        kind = BSON_KIND_TIMESTAMP;
    put_field(document, operand, kind, bytes_of(never, sizeof never), false);
}

static bool has_each(const struct scan_element *operand)
{
    struct scan_element each;
    return operand->kind == BSON_KIND_OBJECT && scan_find(operand->value, "$each", &each);
}

/* Operators whose result for an absent field is known. */
static void put_absent(struct new_document *document, const struct scan_element *op,
                       const struct scan_element *operand)
{
    bool push = scan_name_is(op, "$push") || scan_name_is(op, "$addToSet");
    bool start = scan_name_is(op, "$inc") || scan_name_is(op, "$min") || scan_name_is(op, "$max");
    if (find_field(document, operand) != NULL || (!push && !start) || (push && has_each(operand)))
        document->open = true;
    else
        put_field(document, operand, operand->kind, operand->value, push);
}

static bool apply(void *arg, const struct scan_element *op, const struct scan_element *operand)
{
    struct new_document *document = arg;
    struct new_field *field = find_field(document, operand);
    if (strpbrk(operand->name, ".$") != NULL || operand->name_len == 0)
        document->open = true;
    else if (scan_name_is(op, "$set") || scan_name_is(op, "$setOnInsert"))
        put_field(document, operand, operand->kind, operand->value, false);
    else if (scan_name_is(op, "$unset") && field != NULL)
        field->gone = true;
    else if (scan_name_is(op, "$currentDate"))
        put_date(document, operand);
    else if (!scan_name_is(op, "$unset"))
        put_absent(document, op, operand);
    return !document->open;
}

static bool write_document(const struct new_document *document, struct build *out,
                           struct bytes *whole)
{
    build_begin(out, INT32_MAX);
    for (size_t i = 0; i < document->count; i++) {
        const struct new_field *field = &document->fields[i];
        const char *name = field->element.name;
        if (field->gone)
            continue;
        if (field->item) {
            build_open_array(out, name);
            name = NULL;
        }
        build_value(out, name, field->element.kind, field->element.value);
        if (field->item)
            build_close(out);
    }
    return build_finish(out, whole);
}

enum schema_proof update_prove_upsert(struct judge *judge, const struct update_statement *statement)
{
    struct new_document document;
    struct build build;
    struct bytes whole;
    enum schema_proof proof = SCHEMA_PROOF_NONE;
    document.count = 0;
    document.open = false;
    take_query(&document, statement->query);
    if (document.open || !update_each(statement->change.value, apply, &document, judge->err) ||
        document.open)
        return SCHEMA_PROOF_NONE;
    if (write_document(&document, &build, &whole)) {
        enum schema_verdict verdict = judge_verdict(judge, whole, NULL);
        if (verdict == SCHEMA_VALID)
            proof = SCHEMA_PROOF_RIGHT;
        else if (verdict == SCHEMA_INVALID)
            proof = SCHEMA_PROOF_WRONG;
    }
    build_free(&build);
    return proof;
}
