/* Keywords about types, numbers, strings and fixed values. */
#include "base/memory.h"
#include "base/text.h"
#include "bson/compare.h"
#include "schema/parse.h"

#include <stdlib.h>

static bool type_problem(struct parser *p, const struct scan_element *element, const char *wanted)
{
    return parse_problem(p, ERROR_TYPE_MISMATCH, "$jsonSchema keyword '%s' must be %s, not %s",
                         element->name, wanted, type_alias(element->kind));
}

/* --- type, bsonType --- */

static type_mask json_type(const char *text, size_t len)
{
    if (text_is(text, len, "boolean"))
        return TYPE_BIT(BSON_KIND_BOOL);
    if (text_is(text, len, "object") || text_is(text, len, "array") ||
        text_is(text, len, "string") || text_is(text, len, "null") || text_is(text, len, "number"))
        return type_of_alias(text, len);
    return 0;
}

/* Adds one name of a type keyword to *types. */
static bool add_type(struct parser *p, struct rule *rule, const struct scan_element *name,
                     bool bson_names, type_mask *types)
{
    const char *text = NULL;
    size_t len = 0;
    if (!scan_as_string(name, &text, &len))
        return parse_problem(p, ERROR_TYPE_MISMATCH,
                             "$jsonSchema type names must be strings, not %s",
                             type_alias(name->kind));
    if (text_is(text, len, "integer")) {
        if (p->schema->dialect == SCHEMA_MONGODB)
            return parse_problem(p, ERROR_FAILED_TO_PARSE,
                                 "$jsonSchema type 'integer' is not currently supported.");
        rule->integral = true;
        *types |= TYPES_NUMBER;
        return true;
    }
    type_mask one = bson_names ? type_of_alias(text, len) : json_type(text, len);
    if (one == 0)
        return parse_problem(p, ERROR_BAD_VALUE, "Unknown type name alias: %s", text);
    *types |= one;
    return true;
}

static bool is_repeated(struct bytes array, const struct scan_element *element)
{
    struct scan scan;
    struct scan_element other;
    (void)scan_open(&scan, array);
    while (scan_next(&scan, &other) && other.value.pos < element->value.pos)
        if (other.kind == element->kind &&
            bytes_left(&other.value) == bytes_left(&element->value) &&
            memcmp(other.value.pos, element->value.pos, bytes_left(&other.value)) == 0)
            return true;
    return false;
}

static bool is_plain_number(const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    return scan_as_string(element, &text, &len) && text_is(text, len, "number");
}

static bool read_types(struct parser *p, struct rule *rule, const struct scan_element *element,
                       bool bson_names, type_mask *types)
{
    struct scan scan;
    struct scan_element name;
    bool number = false;
    *types = 0;
    if (element->kind == BSON_KIND_STRING)
        return add_type(p, rule, element, bson_names, types);
    if (element->kind != BSON_KIND_ARRAY)
        return type_problem(p, element, "a string or an array of strings");
    if (scan_count(element->value) == 0)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword '%s' must name at least one type", element->name);
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &name)) {
        if (is_repeated(element->value, &name))
            return parse_problem(p, ERROR_FAILED_TO_PARSE,
                                 "$jsonSchema keyword '%s' has duplicate value: %s", element->name,
                                 (const char *)name.value.pos + 4);
        if (!add_type(p, rule, &name, bson_names, types))
            return false;
        number = number || is_plain_number(&name);
    }
    if (number)
        rule->integral = false; /* "number" beside "integer" takes every number */
    return true;
}

bool parse_type(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    return read_types(p, rule, element, false, &rule->types);
}

bool parse_bson_type(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    if (rule_has(rule, KEYWORD_TYPE))
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'");
    return read_types(p, rule, element, true, &rule->types);
}

/* --- numbers --- */

static bool read_number(struct parser *p, const struct scan_element *element, struct number *out)
{
    if (!number_read(element->kind, element->value.pos, out))
        return type_problem(p, element, "a number");
    return true;
}

bool parse_bound(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct rule_bound *bound = scan_name_is(element, "maximum") ? &rule->upper[0] : &rule->lower[0];
    bound->set = true;
    return read_number(p, element, &bound->value);
}

bool parse_exclusive(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    bool upper = scan_name_is(element, "exclusiveMaximum");
    struct rule_bound *bounds = upper ? rule->upper : rule->lower;
    if (p->schema->dialect == SCHEMA_JSON_SCHEMA) {
        bounds[1].set = true;
        bounds[1].exclusive = true;
        return read_number(p, element, &bounds[1].value);
    }
    if (element->kind != BSON_KIND_BOOL)
        return type_problem(p, element, "a boolean");
    bounds[0].exclusive = *element->value.pos != 0;
    if (rule_has(rule, upper ? KEYWORD_MAXIMUM : KEYWORD_MINIMUM))
        return true;
    return parse_problem(p, ERROR_FAILED_TO_PARSE,
                         "$jsonSchema keyword '%s' must be a present if %s is present",
                         upper ? "maximum" : "minimum", element->name);
}

bool parse_multiple_of(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    static const struct number zero = {.form = NUMBER_INTEGER};
    if (!read_number(p, element, &rule->multiple_of))
        return false;
    if (!number_is_finite(&rule->multiple_of))
        return parse_problem(p, ERROR_BAD_VALUE,
                             "$jsonSchema keyword 'multipleOf' must be a finite number");
    if (number_compare(&rule->multiple_of, &zero) <= 0)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword 'multipleOf' must have a positive value");
    return true;
}

/* --- lengths and counts --- */

static uint32_t *count_place(struct rule *rule, const char *name)
{
    const struct {
        const char *name;
        uint32_t *place;
    } places[] = {
        {"minLength", &rule->min_length},         {"maxLength", &rule->max_length},
        {"minItems", &rule->min_items},           {"maxItems", &rule->max_items},
        {"minProperties", &rule->min_properties}, {"maxProperties", &rule->max_properties},
        {"minContains", &rule->min_contains},     {"maxContains", &rule->max_contains},
    };
    size_t i = 0;
    while (strcmp(places[i].name, name) != 0)
        i++;
    return places[i].place;
}

bool parse_count_keyword(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct number number;
    int64_t value = 0;
    if (!number_read(element->kind, element->value.pos, &number))
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword '%s' must be a number, not %s", element->name,
                             type_alias(element->kind));
    if (!number_as_int64(&number, &value))
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword '%s' must be representable as a long",
                             element->name);
    if (value < 0)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword '%s' must be a non-negative number",
                             element->name);
    /* no document is long enough to tell larger values apart */
    *count_place(rule, element->name) = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    return true;
}

bool parse_flag(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    if (element->kind != BSON_KIND_BOOL)
        return type_problem(p, element, "a boolean");
    rule->unique_items = *element->value.pos != 0;
    return true;
}

bool parse_text(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    (void)rule;
    return element->kind == BSON_KIND_STRING || type_problem(p, element, "of type string");
}

/* MongoDB accepts only a string. Several lines in an array are an annotation too. */
bool parse_description(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    bool is_strict = p->schema->dialect == SCHEMA_MONGODB && !p->schema->may_extend;
    if (element->kind != BSON_KIND_ARRAY || is_strict)
        return parse_text(p, rule, element);
    p->schema->extended = p->schema->may_extend;
    return true;
}

/* --- pattern --- */

bool parse_pattern(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    if (!scan_as_string(element, &text, &len))
        return type_problem(p, element, "a string");
    rule->pattern = parse_compile_pattern(p, text, len, parse_pattern_flavour(p));
    return rule->pattern != NULL;
}

/* --- enum, const --- */

struct hashed_value {
    uint64_t hash;
    const struct scan_element *value;
};

static int compare_hashed(const void *a, const void *b)
{
    uint64_t x = ((const struct hashed_value *)a)->hash;
    uint64_t y = ((const struct hashed_value *)b)->hash;
    return (x > y) - (x < y);
}

static bool equals_a_neighbour(const struct hashed_value *values, size_t at, uint64_t *budget)
{
    struct compare_value one = {values[at].value->kind, values[at].value->value};
    for (size_t i = at; i-- > 0 && values[i].hash == values[at].hash;) {
        struct compare_value other = {values[i].value->kind, values[i].value->value};
        if (compare_equal(&one, &other, budget))
            return true;
    }
    return false;
}

/* True if the array contains a value twice. */
static bool has_duplicate(struct parser *p, const struct scan_element *values, size_t count)
{
    struct hashed_value *sorted = memory_array(count, sizeof *sorted);
    uint64_t budget = SCHEMA_WORK_MAX;
    bool found = false;
    if (sorted == NULL) {
        (void)parse_out_of_memory(p);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct compare_value one = {values[i].kind, values[i].value};
        sorted[i] = (struct hashed_value){compare_hash(&one), &values[i]};
    }
    qsort(sorted, count, sizeof *sorted, compare_hashed);
    for (size_t i = 1; i < count && !found; i++)
        found = equals_a_neighbour(sorted, i, &budget);
    memory_free(sorted);
    return found;
}

bool parse_enum(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct scan scan;
    struct scan_element value;
    if (element->kind != BSON_KIND_ARRAY)
        return type_problem(p, element, "an array");
    size_t count = scan_count(element->value);
    if (count == 0 && p->schema->dialect == SCHEMA_MONGODB)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword 'enum' cannot be an empty array");
    struct scan_element *values = parse_alloc(p, count, sizeof *values);
    if (values == NULL)
        return false;
    count = 0;
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &value))
        values[count++] = value;
    if (p->schema->dialect == SCHEMA_MONGODB && has_duplicate(p, values, count))
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword 'enum' array cannot contain duplicate values.");
    rule->values = values;
    rule->value_count = count;
    return !p->stopped;
}

bool parse_const(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    (void)p;
    (void)rule;
    return element != NULL; /* any value; parse_settle handles it */
}

/* const is an enum of one value; beside an enum it must be one of its values. */
static void settle_const(struct rule *rule)
{
    const struct scan_element *fixed = rule_keyword_element(rule, KEYWORD_CONST);
    struct compare_value value = {fixed->kind, fixed->value};
    uint64_t budget = SCHEMA_WORK_MAX;
    bool found = !rule_has(rule, KEYWORD_ENUM);
    for (size_t i = 0; i < rule->value_count && !found; i++) {
        struct compare_value one = {rule->values[i].kind, rule->values[i].value};
        found = compare_equal(&one, &value, &budget);
    }
    rule->values = fixed;
    rule->value_count = found;
}

/* --- encrypt --- */

/* RFC 6901, except the pointer to the whole document. */
static bool is_json_pointer(const char *text, size_t len)
{
    if (len == 0 || text[0] != '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '~' && (i + 1 == len || (text[i + 1] != '0' && text[i + 1] != '1')))
            return false;
    return true;
}

static bool check_key_id(struct parser *p, const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    if (scan_as_string(element, &text, &len)) /* the place of its name in the document */
        return is_json_pointer(text, len) ||
               parse_problem(p, ERROR_BAD_VALUE,
                             "keyId must be an array of UUIDs or a JSON pointer, which begins with "
                             "'/', not '%s'",
                             text);
    if (element->kind != BSON_KIND_ARRAY)
        return type_problem(p, element, "an array of UUIDs or a JSON pointer");
    struct scan scan;
    struct scan_element id;
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &id))
        if (id.kind != BSON_KIND_BINARY || id.value.pos[4] != 4)
            return type_problem(p, element, "an array of UUIDs or a JSON pointer");
    return true;
}

static bool check_encrypt_field(struct parser *p, struct rule *rule,
                                const struct scan_element *field, bool metadata)
{
    const char *text = NULL;
    size_t len = 0;
    if (scan_name_is(field, "bsonType") && !metadata)
        return read_types(p, rule, field, true, &rule->encrypted_types);
    if (scan_name_is(field, "keyId"))
        return check_key_id(p, field);
    if (!scan_name_is(field, "algorithm"))
        return parse_problem(p, 40415, "BSON field '%s' is an unknown field of 'encrypt'.",
                             field->name);
    if (!scan_as_string(field, &text, &len))
        return type_problem(p, field, "a string");
    if (text_is(text, len, "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic") ||
        text_is(text, len, "AEAD_AES_256_CBC_HMAC_SHA_512-Random"))
        return true;
    return parse_problem(p, ERROR_BAD_VALUE, "Unknown encryption algorithm: %s", text);
}

static bool check_encrypt(struct parser *p, struct rule *rule, const struct scan_element *element,
                          bool metadata)
{
    struct scan scan;
    struct scan_element field;
    if (element->kind != BSON_KIND_OBJECT)
        return type_problem(p, element, "an object");
    bool ok = true;
    p->schema->encrypts = true;
    if (metadata && scan_count(element->value) == 0)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword 'encryptMetadata' cannot be an empty object");
    if (rule_has(rule, metadata ? KEYWORD_ENCRYPT : KEYWORD_ENCRYPT_METADATA))
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keywords 'encrypt' and 'encryptMetadata' cannot stand "
                             "beside each other");
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &field))
        ok = check_encrypt_field(p, rule, &field, metadata) && ok;
    return ok;
}

bool parse_encrypt(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    rule->encrypted_types = TYPES_ALL;
    if (rule_has(rule, KEYWORD_TYPE) || rule_has(rule, KEYWORD_BSON_TYPE))
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword 'encrypt' cannot be used in conjunction with "
                             "'type' or 'bsonType'");
    return check_encrypt(p, rule, element, false);
}

bool parse_encrypt_metadata(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    return check_encrypt(p, rule, element, true);
}

/* --- what belongs together --- */

bool parse_format(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    (void)rule;
    return element->kind == BSON_KIND_STRING || type_problem(p, element, "a string");
}

bool parse_settle(struct parser *p, struct rule *rule)
{
    if (rule_has(rule, KEYWORD_CONST))
        settle_const(rule);
    if (p->schema->dialect == SCHEMA_JSON_SCHEMA)
        parse_map_stored_types(rule);
    return true;
}
