/* errInfo of a $set that is wrong for every stored document: the server's error for this field. The
 * other fields are unknown, so it does not mention them. */
#include "base/text.h"
#include "enforce/update.h"

static bool write_field(const struct scan_element *field, struct build *out, struct bytes *document)
{
    build_begin(out, INT32_MAX);
    build_value(out, field->name, field->kind, field->value);
    return build_finish(out, document);
}

/* True if the error is about the field, and not about absent fields. */
static bool is_about_field(const struct scan_element *error)
{
    static const char *const names[] = {"properties", "patternProperties", "additionalProperties"};
    struct scan_element field;
    const char *text = NULL;
    size_t len = 0;
    if (error->kind != BSON_KIND_OBJECT || !scan_find(error->value, "operatorName", &field) ||
        !scan_as_string(&field, &text, &len))
        return false;
    const size_t count = sizeof names / sizeof names[0];
    return text_index(names, count, text, len) < count;
}

/* Returns the number of remaining errors. */
static size_t write_rules(struct build *out, struct bytes rules)
{
    struct scan scan;
    struct scan_element error;
    size_t count = 0;
    build_open_array(out, "schemaRulesNotSatisfied");
    (void)scan_open(&scan, rules);
    while (scan_next(&scan, &error)) {
        if (!is_about_field(&error))
            continue;
        build_value(out, NULL, error.kind, error.value);
        count++;
    }
    build_close(out);
    return count;
}

static size_t write_details(struct build *out, struct bytes details)
{
    struct scan scan;
    struct scan_element field;
    size_t count = 0;
    build_open_object(out, "details");
    (void)scan_open(&scan, details);
    while (scan_next(&scan, &field)) {
        if (field.kind == BSON_KIND_ARRAY && scan_name_is(&field, "schemaRulesNotSatisfied"))
            count = write_rules(out, field.value);
        else
            build_value(out, field.name, field.kind, field.value);
    }
    build_close(out);
    return count;
}

static bool explain_field(struct judge *judge, const struct schema *schema,
                          const struct scan_element *field, struct build *out, struct bytes *info)
{
    struct build document_build;
    struct bytes document;
    bool ok = write_field(field, &document_build, &document);
    if (ok)
        ok = schema_explain(schema, judge->scratch, document, out, info, NULL);
    else
        build_begin(out, 0);
    build_free(&document_build);
    return ok;
}

bool update_explain_set(struct judge *judge, const struct schema *schema,
                        const struct update_proof *proof, const struct scan_element *id,
                        struct build *out, struct bytes *info)
{
    struct build whole_build;
    struct bytes whole;
    struct scan_element details;
    build_begin(out, SCHEMA_ERRINFO_MAX);
    if (strcmp(proof->operator_name, "$set") != 0 || strchr(proof->operand.name, '.') != NULL)
        return false;
    bool ok = explain_field(judge, schema, &proof->operand, &whole_build, &whole) &&
              scan_find(whole, "details", &details) && details.kind == BSON_KIND_OBJECT;
    if (id != NULL)
        build_value(out, "failingDocumentId", id->kind, id->value);
    ok = ok && write_details(out, details.value) > 0;
    build_free(&whole_build);
    return ok && build_finish(out, info);
}
