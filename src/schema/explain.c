#include "schema/explain.h"

#include "base/utf8.h"
#include "bson/compare.h"
#include "bson/validate.h"
#include "schema/unique.h"

/* --- the frame of an error --- */

void explain_open(struct explain *x, const char *operator_name)
{
    if (x->out == NULL)
        return;
    build_open_object(x->out, NULL);
    build_text(x->out, "operatorName", operator_name);
}

void explain_close(struct explain *x)
{
    if (x->out != NULL)
        build_close(x->out);
}

void explain_text(struct explain *x, const char *name, const char *text)
{
    if (x->out != NULL)
        build_text(x->out, name, text);
}

static void append_keyword(struct explain *x, const struct rule *rule, enum keyword keyword)
{
    const struct scan_element *element = rule_keyword_element(rule, keyword);
    if (element != NULL)
        build_value(x->out, element->name, element->kind, element->value);
}

void explain_specified(struct explain *x, const struct rule *rule, enum keyword keyword)
{
    if (x->out == NULL || x->truncated)
        return;
    build_open_object(x->out, "specifiedAs");
    append_keyword(x, rule, keyword);
    if (x->schema->dialect == SCHEMA_MONGODB && keyword == KEYWORD_MAXIMUM &&
        rule->upper[0].exclusive)
        append_keyword(x, rule, KEYWORD_EXCLUSIVE_MAXIMUM);
    if (x->schema->dialect == SCHEMA_MONGODB && keyword == KEYWORD_MINIMUM &&
        rule->lower[0].exclusive)
        append_keyword(x, rule, KEYWORD_EXCLUSIVE_MINIMUM);
    if (keyword == KEYWORD_TYPE) /* it decides the stored type of a string */
        append_keyword(x, rule, KEYWORD_FORMAT);
    build_close(x->out);
}

void explain_titles(struct explain *x, const struct rule *rule)
{
    if (x->out == NULL)
        return;
    append_keyword(x, rule, KEYWORD_TITLE);
    const struct scan_element *description = rule_keyword_element(rule, KEYWORD_DESCRIPTION);
    if (description != NULL && description->kind == BSON_KIND_STRING)
        append_keyword(x, rule, KEYWORD_DESCRIPTION);
}

static void append_considered(struct explain *x, const char *name,
                              const struct explain_value *value)
{
    if (x->out != NULL && !x->truncated)
        build_value(x->out, name, value->kind, value->bytes);
}

void explain_considered(struct explain *x, const struct explain_value *value)
{
    append_considered(x, "consideredValue", value);
}

void explain_details(struct explain *x, const struct rule *rule, const struct explain_value *value)
{
    if (x->out == NULL)
        return;
    build_open_array(x->out, "details");
    (void)explain_rule(x, rule, value);
    build_close(x->out);
}

bool explain_satisfies(struct explain *x, const struct rule *rule,
                       const struct explain_value *value)
{
    struct build *out = x->out;
    x->out = NULL;
    bool satisfied = explain_rule(x, rule, value);
    x->out = out;
    return satisfied;
}

/* The error of a keyword about one value: specifiedAs, reason, consideredValue. Returns false. */
static bool scalar_error(struct explain *x, const struct rule *rule, enum keyword keyword,
                         const char *reason, const struct explain_value *value)
{
    if (x->out == NULL)
        return false;
    explain_open(x, rule_keyword_element(rule, keyword)->name);
    explain_specified(x, rule, keyword);
    explain_text(x, "reason", reason);
    explain_considered(x, value);
    explain_close(x);
    return false;
}

/* --- strings, numbers, binary data --- */

static bool explain_lengths(struct explain *x, const struct rule *rule,
                            const struct explain_value *value, size_t length)
{
    bool ok = true;
    if (length > rule->max_length)
        ok = scalar_error(x, rule, KEYWORD_MAX_LENGTH, "specified string length was not satisfied",
                          value);
    if (length < rule->min_length)
        ok = scalar_error(x, rule, KEYWORD_MIN_LENGTH, "specified string length was not satisfied",
                          value);
    return ok;
}

static bool explain_string(struct explain *x, const struct rule *rule,
                           const struct explain_value *value)
{
    const uint8_t *text = value->bytes.pos + 4;
    size_t len = bytes_left(&value->bytes) - 5;
    bool ok = true;
    enum pattern_result found = rule->pattern == NULL
                                    ? PATTERN_YES
                                    : pattern_match(rule->pattern, text, len, x->scratch->patterns);
    if (found == PATTERN_CUT_OFF) {
        x->cut_off = true;
        ok = scalar_error(x, rule, KEYWORD_PATTERN, "regular expression exceeded the match limit",
                          value);
    } else if (found == PATTERN_NO) {
        ok = scalar_error(x, rule, KEYWORD_PATTERN, "regular expression did not match", value);
    }
    return explain_lengths(x, rule, value, utf8_count(text, len)) && ok;
}

static bool within(const struct rule_bound *bound, bool upper, const struct number *value)
{
    if (!bound->set)
        return true;
    if (number_is_nan(value) || number_is_nan(&bound->value))
        return !bound->exclusive && number_is_nan(value) && number_is_nan(&bound->value);
    int order = number_compare(value, &bound->value);
    if (order == 0)
        return !bound->exclusive;
    return upper ? order < 0 : order > 0;
}

static bool explain_number(struct explain *x, const struct rule *rule,
                           const struct explain_value *value)
{
    struct number number;
    bool ok = true;
    (void)number_read(value->kind, value->bytes.pos, &number);
    if (rule_has(rule, KEYWORD_MULTIPLE_OF) && !number_is_multiple(&number, &rule->multiple_of))
        ok = scalar_error(x, rule, KEYWORD_MULTIPLE_OF,
                          "considered value is not a multiple of the specified value", value);
    if (!within(&rule->upper[0], true, &number))
        ok = scalar_error(x, rule, KEYWORD_MAXIMUM, "comparison failed", value);
    if (!within(&rule->upper[1], true, &number))
        ok = scalar_error(x, rule, KEYWORD_EXCLUSIVE_MAXIMUM, "comparison failed", value);
    if (!within(&rule->lower[0], false, &number))
        ok = scalar_error(x, rule, KEYWORD_MINIMUM, "comparison failed", value);
    if (!within(&rule->lower[1], false, &number))
        ok = scalar_error(x, rule, KEYWORD_EXCLUSIVE_MINIMUM, "comparison failed", value);
    return ok;
}

/* Without the value: only its owner may see it, and it should have been encrypted. */
static bool encrypt_error(struct explain *x, const char *reason)
{
    if (x->out == NULL)
        return false;
    explain_open(x, "encrypt");
    explain_text(x, "reason", reason);
    explain_close(x);
    return false;
}

static bool explain_encrypted(struct explain *x, const struct rule *rule,
                              const struct explain_value *value)
{
    if (rule->encrypted_types == 0)
        return true;
    if (value->kind != BSON_KIND_BINARY || value->bytes.pos[4] != 6)
        return encrypt_error(x, "value was not encrypted");
    if (rule->encrypted_types == TYPES_ALL)
        return true;
    const uint8_t *data = value->bytes.pos + 5;
    if (bytes_left(&value->bytes) >= 23 && (data[0] == 1 || data[0] == 2) &&
        (type_bits[data[17]] & rule->encrypted_types) != 0)
        return true;
    return encrypt_error(x, "encrypted value has wrong type");
}

/* --- arrays --- */

static bool count_error(struct explain *x, const struct rule *rule, enum keyword keyword,
                        const struct explain_value *value, size_t count)
{
    if (x->out == NULL)
        return false;
    explain_open(x, rule_keyword_element(rule, keyword)->name);
    explain_specified(x, rule, keyword);
    explain_text(x, "reason", "array did not match specified length");
    explain_considered(x, value);
    build_int32(x->out, "numberOfItems", (int32_t)count);
    explain_close(x);
    return false;
}

static bool explain_unique(struct explain *x, const struct rule *rule,
                           const struct explain_value *value, size_t count)
{
    struct scan_element repeated = {0};
    if (!rule->unique_items || count < 2)
        return true;
    enum unique_result result =
        unique_check(value->bytes, (uint32_t)count, x->scratch, &x->work, &repeated);
    if (result != UNIQUE_REPEATED) {
        x->cut_off = x->cut_off || result != UNIQUE_YES;
        return result == UNIQUE_YES;
    }
    if (x->out == NULL)
        return false;
    explain_open(x, "uniqueItems");
    explain_specified(x, rule, KEYWORD_UNIQUE_ITEMS);
    explain_text(x, "reason", "found a duplicate item");
    explain_considered(x, value);
    append_considered(x, "duplicatedValue",
                      &(struct explain_value){repeated.kind, false, repeated.value});
    explain_close(x);
    return false;
}

/* Writes the errors of items with one schema each: all that fail. */
static bool explain_prefix(struct explain *x, const struct rule *rule,
                           const struct explain_value *value)
{
    struct scan scan;
    struct scan_element item;
    bool ok = true;
    (void)scan_open(&scan, value->bytes);
    for (size_t i = 0; i < rule->prefix.count && scan_next(&scan, &item); i++) {
        struct explain_value one = {item.kind, false, item.value};
        if (explain_satisfies(x, rule->prefix.rules[i], &one))
            continue;
        if (x->out == NULL)
            return false;
        if (ok) {
            explain_open(x, rule_has(rule, KEYWORD_PREFIX_ITEMS) ? "prefixItems" : "items");
            build_open_array(x->out, "details");
        }
        ok = false;
        build_open_object(x->out, NULL);
        build_int32(x->out, "itemIndex", (int32_t)i);
        explain_details(x, rule->prefix.rules[i], &one);
        build_close(x->out);
    }
    if (!ok) {
        build_close(x->out);
        explain_close(x);
    }
    return ok;
}

static bool rest_error(struct explain *x, const struct rule *rule, const struct scan_element *item,
                       size_t index)
{
    bool additional = rule->prefix.count > 0 && x->schema->dialect == SCHEMA_MONGODB;
    struct explain_value one = {item->kind, false, item->value};
    if (x->out == NULL)
        return false;
    explain_open(x, additional ? "additionalItems" : "items");
    explain_titles(x, rule->rest);
    explain_text(x, "reason",
                 additional ? "At least one additional item did not match the sub-schema"
                            : "At least one item did not match the sub-schema");
    build_int32(x->out, "itemIndex", (int32_t)index);
    explain_details(x, rule->rest, &one);
    explain_close(x);
    return false;
}

/* additionalItems: false, with all surplus items; `scan` is after `first`. */
static bool no_rest_error(struct explain *x, const struct rule *rule, struct scan *scan,
                          const struct scan_element *first)
{
    struct scan_element item = *first;
    if (x->out == NULL)
        return false;
    explain_open(x, "additionalItems");
    explain_specified(x, rule, KEYWORD_ADDITIONAL_ITEMS);
    explain_text(x, "reason", "found additional items");
    if (!x->truncated) {
        build_open_array(x->out, "additionalItems");
        do
            build_value(x->out, NULL, item.kind, item.value);
        while (scan_next(scan, &item));
        build_close(x->out);
    }
    explain_close(x);
    return false;
}

/* Checks the items after the prefix: the first that fails. */
static bool explain_rest(struct explain *x, const struct rule *rule,
                         const struct explain_value *value)
{
    struct scan scan;
    struct scan_element item;
    if (rule->rest == NULL && !rule->no_rest)
        return true;
    (void)scan_open(&scan, value->bytes);
    for (size_t i = 0; scan_next(&scan, &item); i++) {
        struct explain_value one = {item.kind, false, item.value};
        if (i < rule->prefix.count)
            continue;
        if (rule->no_rest)
            return no_rest_error(x, rule, &scan, &item);
        if (!explain_satisfies(x, rule->rest, &one))
            return rest_error(x, rule, &item, i);
    }
    return true;
}

static bool explain_contains(struct explain *x, const struct rule *rule,
                             const struct explain_value *value)
{
    struct scan scan;
    struct scan_element item;
    uint32_t found = 0;
    if (rule->contains == NULL)
        return true;
    (void)scan_open(&scan, value->bytes);
    while (scan_next(&scan, &item)) {
        struct explain_value one = {item.kind, false, item.value};
        found += explain_satisfies(x, rule->contains, &one);
    }
    if (found >= rule->min_contains && found <= rule->max_contains)
        return true;
    if (x->out == NULL)
        return false;
    explain_open(x, "contains");
    explain_titles(x, rule->contains);
    explain_text(x, "reason", "specified number of matching items was not satisfied");
    build_int32(x->out, "numberOfItems", (int32_t)found);
    explain_close(x);
    return false;
}

static bool explain_array(struct explain *x, const struct rule *rule,
                          const struct explain_value *value)
{
    struct scan scan;
    struct scan_element item;
    size_t count = 0;
    (void)scan_open(&scan, value->bytes);
    while (scan_next(&scan, &item))
        count++;
    bool ok = true;
    if (count < rule->min_items)
        ok = count_error(x, rule, KEYWORD_MIN_ITEMS, value, count);
    if (count > rule->max_items)
        ok = count_error(x, rule, KEYWORD_MAX_ITEMS, value, count);
    ok = explain_unique(x, rule, value, count) && ok;
    ok = explain_prefix(x, rule, value) && ok;
    ok = explain_rest(x, rule, value) && ok;
    return explain_contains(x, rule, value) && ok;
}

/* --- types and fixed values --- */

static bool explain_values(struct explain *x, const struct rule *rule,
                           const struct explain_value *value)
{
    struct compare_value one = {value->kind, value->bytes};
    bool fixed = rule_has(rule, KEYWORD_CONST);
    if (!fixed && !rule_has(rule, KEYWORD_ENUM))
        return true;
    for (size_t i = 0; i < rule->value_count; i++) {
        struct compare_value other = {rule->values[i].kind, rule->values[i].value};
        if (compare_equal(&one, &other, &x->work))
            return true;
    }
    return scalar_error(x, rule, fixed ? KEYWORD_CONST : KEYWORD_ENUM,
                        fixed ? "value was not equal to const" : "value was not found in enum",
                        value);
}

static bool has_type(const struct rule *rule, const struct explain_value *value)
{
    struct number number;
    if ((type_bits[value->kind] & rule->types) == 0)
        return false;
    if (value->kind == BSON_KIND_BINARY && rule->binary_subtype >= 0)
        return value->bytes.pos[4] == rule->binary_subtype;
    return !rule->integral || !number_read(value->kind, value->bytes.pos, &number) ||
           number_is_integral(&number);
}

static bool explain_type(struct explain *x, const struct rule *rule,
                         const struct explain_value *value)
{
    if (has_type(rule, value))
        return true;
    if (x->out == NULL)
        return false;
    if (rule->never) {
        explain_open(x, "false");
        explain_text(x, "reason", "expression always evaluates to false");
        explain_close(x);
        return false;
    }
    enum keyword keyword = rule_has(rule, KEYWORD_BSON_TYPE) ? KEYWORD_BSON_TYPE : KEYWORD_TYPE;
    explain_open(x, rule_keyword_element(rule, keyword)->name);
    explain_specified(x, rule, keyword);
    if (value->whole && x->schema->dialect == SCHEMA_MONGODB) {
        explain_text(x, "reason", "expression always evaluates to false");
    } else {
        explain_text(x, "reason", "type did not match");
        explain_considered(x, value);
        explain_text(x, "consideredType", type_alias(value->kind));
    }
    explain_close(x);
    return false;
}

static bool explain_own(struct explain *x, const struct rule *rule,
                        const struct explain_value *value)
{
    switch (value->kind) {
    case BSON_KIND_STRING:
        return explain_string(x, rule, value);
    case BSON_KIND_INT32:
    case BSON_KIND_INT64:
    case BSON_KIND_DOUBLE:
    case BSON_KIND_DECIMAL128:
        return explain_number(x, rule, value);
    case BSON_KIND_ARRAY:
        return explain_array(x, rule, value);
    case BSON_KIND_BINARY:
        return !rule->binary_length ||
               explain_lengths(x, rule, value, bytes_left(&value->bytes) - 5);
    default:
        return true;
    }
}

bool explain_rule(struct explain *x, const struct rule *rule, const struct explain_value *value)
{
    if (x->work == 0)
        return true; /* the answer is meaningless: schema_explain checks the budget */
    x->work--;
    bool ok = rule->ref == NULL || explain_rule(x, rule->ref, value);
    ok = explain_own(x, rule, value) && ok;
    ok = explain_encrypted(x, rule, value) && ok;
    if (value->kind == BSON_KIND_OBJECT)
        ok = explain_object(x, rule, value) && ok;
    ok = explain_combinations(x, rule, value) && ok;
    ok = explain_values(x, rule, value) && ok;
    return explain_type(x, rule, value) && ok;
}

/* --- the whole --- */

static void append_schema_error(struct explain *x, const struct explain_value *document)
{
    const struct rule *root = x->schema->document;
    build_open_object(x->out, "details");
    build_text(x->out, "operatorName", "$jsonSchema");
    if (x->schema->dialect == SCHEMA_MONGODB && !has_type(root, document)) {
        if (!x->truncated) {
            build_open_object(x->out, "specifiedAs");
            build_value(x->out, "$jsonSchema", BSON_KIND_OBJECT, root->source.value);
            build_close(x->out);
        }
        build_text(x->out, "reason", "expression always evaluates to false");
    } else {
        explain_titles(x, root);
        build_open_array(x->out, "schemaRulesNotSatisfied");
        (void)explain_rule(x, root, document);
        build_close(x->out);
    }
    build_close(x->out);
}

enum explain_form { EXPLAIN_FULL, EXPLAIN_TRUNCATED, EXPLAIN_NOTE };

/* False if it does not fit, or without memory (out->too_big tells which). */
static bool write_errinfo(struct explain *x, const struct explain_value *document,
                          enum explain_form form, struct bytes *info)
{
    struct scan_element id;
    build_begin(x->out, SCHEMA_ERRINFO_MAX);
    if (scan_find(document->bytes, "_id", &id))
        build_value(x->out, "failingDocumentId", id.kind, id.value);
    x->truncated = form != EXPLAIN_FULL;
    uint64_t given = schema_scratch_work(x->scratch);
    x->work = given;
    schema_scratch_begin(x->scratch);
    if (form == EXPLAIN_TRUNCATED)
        build_bool(x->out, "truncated", true);
    if (form == EXPLAIN_NOTE)
        build_text(x->out, "note", "detailed error was too large");
    else
        append_schema_error(x, document);
    schema_scratch_spend(x->scratch, given - x->work);
    return build_finish(x->out, info);
}

bool schema_explain(const struct schema *schema, struct schema_scratch *scratch,
                    struct bytes document, struct build *out, struct bytes *info, struct error *err)
{
    struct explain x = {.schema = schema, .scratch = scratch, .out = out};
    struct explain_value whole = {BSON_KIND_OBJECT, true, document};
    for (enum explain_form form = EXPLAIN_FULL; form <= EXPLAIN_NOTE; form++) {
        if (write_errinfo(&x, &whole, form, info) && (x.work > 0 || form == EXPLAIN_NOTE))
            return true;
        bool too_big = !out->failed || out->too_big;
        if (!too_big || form == EXPLAIN_NOTE)
            break;
        build_free(out);
    }
    return error_no_memory(err, "the details of the error");
}
