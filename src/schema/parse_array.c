/* Keywords about arrays, combinations of sub-schemas, and references. */
#include "schema/parse.h"

static bool read_list(struct parser *p, const struct scan_element *element, struct rule_list *list)
{
    struct scan scan;
    struct scan_element child;
    size_t index = 0;
    list->rules = parse_alloc(p, scan_count(element->value), sizeof(struct rule *));
    if (list->rules == NULL)
        return false;
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &child)) {
        struct rule *rule = parse_indexed_schema(p, &child, index++);
        if (p->stopped)
            return false;
        if (rule != NULL)
            list->rules[list->count++] = rule;
    }
    return true;
}

bool parse_items(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    if (element->kind == BSON_KIND_ARRAY && p->schema->dialect == SCHEMA_MONGODB)
        return read_list(p, element, &rule->prefix);
    struct rule *rest = parse_own_schema(p, element);
    if (rest == NULL)
        return false;
    rule->rest = rest;
    return true;
}

bool parse_prefix_items(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    if (element->kind != BSON_KIND_ARRAY || scan_count(element->value) == 0)
        return parse_problem(p, ERROR_TYPE_MISMATCH,
                             "'prefixItems' must be an array of at least one schema");
    return read_list(p, element, &rule->prefix);
}

bool parse_additional_items(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    const struct scan_element *items = rule_keyword_element(rule, KEYWORD_ITEMS);
    bool applies = items != NULL && items->kind == BSON_KIND_ARRAY;
    if (element->kind == BSON_KIND_BOOL) {
        rule->no_rest = applies && *element->value.pos == 0;
        return true;
    }
    if (element->kind != BSON_KIND_OBJECT)
        return parse_problem(p, ERROR_TYPE_MISMATCH,
                             "$jsonSchema keyword 'additionalItems' must be a boolean or an "
                             "object, not %s",
                             type_alias(element->kind));
    struct rule *rest =
        parse_own_schema(p, element); /* read for its problems even without effect */
    if (applies)
        rule->rest = rest;
    return rest != NULL;
}

bool parse_contains(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    rule->contains = parse_own_schema(p, element);
    return rule->contains != NULL;
}

bool parse_schema_list(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    if (element->kind != BSON_KIND_ARRAY)
        return parse_problem(p, ERROR_TYPE_MISMATCH,
                             "$jsonSchema keyword '%s' must be an array, not %s", element->name,
                             type_alias(element->kind));
    if (scan_count(element->value) == 0)
        return parse_problem(p, ERROR_BAD_VALUE,
                             "$jsonSchema keyword '%s' must be a non-empty array", element->name);
    struct rule_list *list = scan_name_is(element, "allOf")   ? &rule->all_of
                             : scan_name_is(element, "anyOf") ? &rule->any_of
                                                              : &rule->one_of;
    return read_list(p, element, list);
}

bool parse_single_schema(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct rule **place = scan_name_is(element, "not")    ? &rule->not_
                          : scan_name_is(element, "if")   ? &rule->if_
                          : scan_name_is(element, "then") ? &rule->then_
                                                          : &rule->else_;
    *place = parse_own_schema(p, element);
    return *place != NULL;
}

bool parse_annotation(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    (void)rule;
    /* in a nested schema it would change the meaning of references below it */
    if (scan_name_is(element, "$id") && p->depth > 1)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "'$id' is supported at the top of the schema only");
    return true;
}

bool parse_defs(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct scan scan;
    struct scan_element child;
    (void)rule;
    p->schema->extended = p->schema->may_extend;
    if (element->kind != BSON_KIND_OBJECT)
        return parse_problem(p, ERROR_TYPE_MISMATCH, "'$defs' must be an object of schemas");
    /* checks unused definitions like the others */
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &child) && !p->stopped)
        (void)parse_sub_schema(p, &child);
    return true;
}

bool parse_discriminator(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct scan_element name;
    if (element->kind != BSON_KIND_OBJECT || !scan_find(element->value, "propertyName", &name) ||
        !scan_as_string(&name, &rule->tag, &rule->tag_len))
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "'discriminator' must be an object with a string 'propertyName'");
    return true;
}

/* --- $ref --- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes the next token of a JSON pointer in a URI fragment into token. Returns the text after it,
 * or NULL if it is malformed or too long. */
static const char *read_token(const char *at, char *token, size_t room)
{
    size_t len = 0;
    for (; *at != 0 && *at != '/'; at++) {
        char c = *at;
        if (c == '%') {
            int high = hex_digit(at[1]);
            int low = high < 0 ? -1 : hex_digit(at[2]);
            if (low < 0)
                return NULL;
            c = (char)(high * 16 + low);
            at += 2;
        }
        if (c == '~') {
            /* ~ itself may have been written as %7E. */
            if (at[1] != '0' && at[1] != '1')
                return NULL;
            c = *++at == '0' ? '~' : '/';
        }
        if (len + 1 >= room || c == 0)
            return NULL;
        token[len++] = c;
    }
    token[len] = 0;
    return at;
}

static bool find_target(struct parser *p, const char *pointer, struct scan_element *target)
{
    char token[256];
    *target = (struct scan_element){.kind = BSON_KIND_OBJECT,
                                    .name = "",
                                    .value = bytes_of(p->schema->bson, p->schema->bson_len)};
    while (*pointer == '/') {
        struct bytes container = target->value;
        pointer = read_token(pointer + 1, token, sizeof token);
        if (pointer == NULL ||
            (target->kind != BSON_KIND_OBJECT && target->kind != BSON_KIND_ARRAY) ||
            !scan_find(container, token, target))
            return false;
    }
    return *pointer == 0;
}

bool parse_ref(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct scan_element target;
    const char *text = NULL;
    size_t len = 0;
    p->schema->extended = p->schema->may_extend;
    if (!scan_as_string(element, &text, &len))
        return parse_problem(p, ERROR_TYPE_MISMATCH, "'$ref' must be a string");
    if (len == 0 || text[0] != '#' || (len > 1 && text[1] != '/') || strlen(text) != len)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "'$ref' may only point into the schema itself (\"#/$defs/…\"), not to "
                             "'%s'",
                             text);
    if (!find_target(p, text + 1, &target))
        return parse_problem(p, ERROR_FAILED_TO_PARSE, "'$ref' points to nothing: '%s'", text);
    rule->ref_target = target;
    return true;
}
