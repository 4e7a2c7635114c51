#include "schema/parse.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

/* EXTENDS: in dialect mongodb only if extensions are allowed. */
enum { IN_MONGODB = 1, IN_JSON_SCHEMA = 2, IN_BOTH = 3, EXTENDS = 4 };

static const struct keyword_entry {
    const char *name;
    parse_fn *parse;
    enum keyword keyword;
    int dialects;
} keywords[] = {
    {"$ref", parse_ref, KEYWORD_REF, IN_JSON_SCHEMA | EXTENDS},
    {"pattern", parse_pattern, KEYWORD_PATTERN, IN_BOTH},
    {"maxLength", parse_count_keyword, KEYWORD_MAX_LENGTH, IN_BOTH},
    {"minLength", parse_count_keyword, KEYWORD_MIN_LENGTH, IN_BOTH},
    {"multipleOf", parse_multiple_of, KEYWORD_MULTIPLE_OF, IN_BOTH},
    {"maximum", parse_bound, KEYWORD_MAXIMUM, IN_BOTH},
    {"exclusiveMaximum", parse_exclusive, KEYWORD_EXCLUSIVE_MAXIMUM, IN_BOTH},
    {"minimum", parse_bound, KEYWORD_MINIMUM, IN_BOTH},
    {"exclusiveMinimum", parse_exclusive, KEYWORD_EXCLUSIVE_MINIMUM, IN_BOTH},
    {"minItems", parse_count_keyword, KEYWORD_MIN_ITEMS, IN_BOTH},
    {"maxItems", parse_count_keyword, KEYWORD_MAX_ITEMS, IN_BOTH},
    {"uniqueItems", parse_flag, KEYWORD_UNIQUE_ITEMS, IN_BOTH},
    {"prefixItems", parse_prefix_items, KEYWORD_PREFIX_ITEMS, IN_JSON_SCHEMA},
    {"items", parse_items, KEYWORD_ITEMS, IN_BOTH},
    {"additionalItems", parse_additional_items, KEYWORD_ADDITIONAL_ITEMS, IN_MONGODB},
    {"contains", parse_contains, KEYWORD_CONTAINS, IN_JSON_SCHEMA},
    {"minContains", parse_count_keyword, KEYWORD_MIN_CONTAINS, IN_JSON_SCHEMA},
    {"maxContains", parse_count_keyword, KEYWORD_MAX_CONTAINS, IN_JSON_SCHEMA},
    {"encrypt", parse_encrypt, KEYWORD_ENCRYPT, IN_MONGODB},
    {"properties", parse_properties, KEYWORD_PROPERTIES, IN_BOTH},
    {"additionalProperties", parse_additional_properties, KEYWORD_ADDITIONAL_PROPERTIES, IN_BOTH},
    {"patternProperties", parse_pattern_properties, KEYWORD_PATTERN_PROPERTIES, IN_BOTH},
    {"propertyNames", parse_property_names, KEYWORD_PROPERTY_NAMES, IN_JSON_SCHEMA},
    {"required", parse_required, KEYWORD_REQUIRED, IN_BOTH},
    {"minProperties", parse_count_keyword, KEYWORD_MIN_PROPERTIES, IN_BOTH},
    {"maxProperties", parse_count_keyword, KEYWORD_MAX_PROPERTIES, IN_BOTH},
    {"dependencies", parse_dependencies, KEYWORD_DEPENDENCIES, IN_MONGODB},
    {"dependentRequired", parse_dependent_required, KEYWORD_DEPENDENT_REQUIRED, IN_JSON_SCHEMA},
    {"dependentSchemas", parse_dependent_schemas, KEYWORD_DEPENDENT_SCHEMAS, IN_JSON_SCHEMA},
    {"allOf", parse_schema_list, KEYWORD_ALL_OF, IN_BOTH},
    {"anyOf", parse_schema_list, KEYWORD_ANY_OF, IN_BOTH},
    {"oneOf", parse_schema_list, KEYWORD_ONE_OF, IN_BOTH},
    {"not", parse_single_schema, KEYWORD_NOT, IN_BOTH},
    {"if", parse_single_schema, KEYWORD_IF, IN_JSON_SCHEMA},
    {"then", parse_single_schema, KEYWORD_THEN, IN_JSON_SCHEMA},
    {"else", parse_single_schema, KEYWORD_ELSE, IN_JSON_SCHEMA},
    {"const", parse_const, KEYWORD_CONST, IN_JSON_SCHEMA},
    {"enum", parse_enum, KEYWORD_ENUM, IN_BOTH},
    {"type", parse_type, KEYWORD_TYPE, IN_BOTH},
    {"bsonType", parse_bson_type, KEYWORD_BSON_TYPE, IN_MONGODB},
    {"format", parse_format, KEYWORD_FORMAT, IN_JSON_SCHEMA},
    {"discriminator", parse_discriminator, KEYWORD_DISCRIMINATOR, IN_JSON_SCHEMA},
    {"title", parse_text, KEYWORD_TITLE, IN_BOTH},
    {"description", parse_description, KEYWORD_DESCRIPTION, IN_BOTH},
    {"encryptMetadata", parse_encrypt_metadata, KEYWORD_ENCRYPT_METADATA, IN_MONGODB},
    {"contentMediaType", parse_text, KEYWORD_CONTENT_MEDIA_TYPE, IN_JSON_SCHEMA},
    {"$defs", parse_defs, KEYWORD_DEFS, IN_JSON_SCHEMA | EXTENDS},
    {"$schema", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"$id", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"$comment", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"default", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"example", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"examples", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"deprecated", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"readOnly", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"writeOnly", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"contentEncoding", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
    {"contentSchema", parse_annotation, KEYWORD_ANNOTATION, IN_JSON_SCHEMA},
};

/* JSON Schema keywords that MongoDB knows by name and refuses. */
static const char *const refused[] = {"$ref", "$schema", "default", "definitions", "format", "id"};

const struct scan_element *rule_keyword_element(const struct rule *rule, enum keyword keyword)
{
    for (size_t i = 0; i < rule->keyword_count; i++)
        if (rule->keywords[i].keyword == keyword)
            return &rule->keywords[i].element;
    return NULL;
}

/* Appends to text[at..room), cut to fit. */
static size_t append_text(char *text, size_t at, size_t room, const char *more)
{
    for (; *more != 0 && at + 1 < room; more++)
        text[at++] = *more;
    text[at] = 0;
    return at;
}

static size_t append_path(char *text, size_t at, size_t room, const struct parse_path *path)
{
    char token[24];
    if (path == NULL)
        return at;
    at = append_text(text, append_path(text, at, room, path->up), room, "/");
    if (path->name == NULL) {
        (void)snprintf(token, sizeof token, "%zu", path->index);
        return append_text(text, at, room, token);
    }
    for (const char *c = path->name; *c != 0; c++) {
        char one[2] = {*c, 0};
        at = append_text(text, at, room, *c == '~' ? "~0" : *c == '/' ? "~1" : one);
    }
    return at;
}

bool parse_problem(struct parser *p, int code, const char *format, ...)
{
    char pointer[256] = "";
    char message[320];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    (void)append_path(pointer, 0, sizeof pointer, p->path);
    if (p->problems++ == 0)
        (void)error_set(p->err, code, "%s%s%s", pointer, pointer[0] == 0 ? "" : ": ", message);
    if (p->report != NULL)
        p->report(p->report_arg, &(struct schema_problem){code, pointer, message});
    return false;
}

bool parse_out_of_memory(struct parser *p)
{
    if (!p->stopped)
        (void)parse_problem(p, ERROR_EXCEEDED_MEMORY_LIMIT,
                            "out of memory for the compiled schema");
    p->stopped = true;
    return false;
}

/* Reports this as soon as it is certain, because the rest may be much larger. */
static bool fits(struct parser *p)
{
    if (p->stopped || schema_bytes(p->schema) <= SCHEMA_BYTES_MAX)
        return true;
    (void)parse_problem(p, ERROR_EXCEEDED_MEMORY_LIMIT, SCHEMA_TOO_LARGE);
    p->stopped = true;
    return false;
}

void *parse_alloc(struct parser *p, size_t count, size_t size_bytes)
{
    void *block = fits(p) ? arena_alloc(&p->schema->arena, count, size_bytes) : NULL;
    if (block == NULL)
        (void)parse_out_of_memory(p);
    return block;
}

static size_t slot_of(const struct rule_index *index, const uint8_t *at)
{
    size_t slot = ((uintptr_t)at * 0x9E3779B97F4A7C15U >> 20) & (index->size - 1);
    while (index->slots[slot] != NULL && index->slots[slot]->source.value.pos != at)
        slot = (slot + 1) & (index->size - 1);
    return slot;
}

static bool index_grow(struct rule_index *index)
{
    struct rule_index bigger = {.size = index->size == 0 ? 64 : index->size * 2,
                                .count = index->count};
    bigger.slots = memory_array(bigger.size, sizeof(struct rule *));
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < index->size; i++)
        if (index->slots[i] != NULL)
            bigger.slots[slot_of(&bigger, index->slots[i]->source.value.pos)] = index->slots[i];
    memory_free(index->slots);
    *index = bigger;
    return true;
}

static bool index_add(struct rule_index *index, struct rule *rule)
{
    if (index->count * 2 >= index->size && !index_grow(index))
        return false;
    index->slots[slot_of(index, rule->source.value.pos)] = rule;
    index->count++;
    return true;
}

static const struct keyword_entry *find_keyword(const struct parser *p,
                                                const struct scan_element *element)
{
    int dialect = p->schema->dialect == SCHEMA_JSON_SCHEMA ? IN_JSON_SCHEMA
                  : p->schema->may_extend                  ? IN_MONGODB | EXTENDS
                                                           : IN_MONGODB;
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if ((keywords[i].dialects & dialect) != 0 && scan_name_is(element, keywords[i].name))
            return &keywords[i];
    return NULL;
}

static bool unknown_keyword(struct parser *p, const struct scan_element *element)
{
    if (p->schema->dialect == SCHEMA_JSON_SCHEMA)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "JSON Schema keyword '%s' is not supported: take it out, or check it "
                             "where the document is made",
                             element->name);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (scan_name_is(element, refused[i]))
            return parse_problem(p, ERROR_FAILED_TO_PARSE,
                                 "$jsonSchema keyword '%s' is not currently supported",
                                 element->name);
    return parse_problem(p, ERROR_FAILED_TO_PARSE, "Unknown $jsonSchema keyword: %s",
                         element->name);
}

/* Finds the keywords of a sub-schema; unknown and repeated ones are problems. */
static bool collect_keywords(struct parser *p, struct rule *rule)
{
    struct scan scan;
    struct scan_element element;
    struct rule_keyword *found =
        parse_alloc(p, scan_count(rule->source.value), sizeof(struct rule_keyword));
    if (found == NULL)
        return false;
    bool ok = true;
    rule->keywords = found;
    (void)scan_open(&scan, rule->source.value);
    while (scan_next(&scan, &element)) {
        struct parse_path path = {p->path, element.name, 0};
        const struct keyword_entry *entry = find_keyword(p, &element);
        p->path = &path;
        if (entry == NULL) {
            ok = unknown_keyword(p, &element);
        } else if (rule_has(rule, entry->keyword) && entry->keyword != KEYWORD_ANNOTATION) {
            ok = parse_problem(p, ERROR_FAILED_TO_PARSE, "Duplicate $jsonSchema keyword: %s",
                               element.name);
        } else {
            rule->present |= KEYWORD_BIT(entry->keyword);
            found[rule->keyword_count++] = (struct rule_keyword){entry->keyword, element};
        }
        p->path = path.up;
    }
    return ok;
}

void rule_set_defaults(struct rule *rule)
{
    rule->types = TYPES_ALL;
    rule->binary_subtype = -1;
    rule->max_length = UINT32_MAX;
    rule->max_items = UINT32_MAX;
    rule->max_properties = UINT32_MAX;
    rule->min_contains = 1;
    rule->max_contains = UINT32_MAX;
    rule->node = UINT32_MAX;
}

static void parse_keywords(struct parser *p, struct rule *rule)
{
    (void)collect_keywords(p, rule);
    for (size_t i = 0; i < rule->keyword_count && !p->stopped; i++) {
        const struct scan_element *element = &rule->keywords[i].element;
        struct parse_path path = {p->path, element->name, 0};
        p->path = &path;
        (void)find_keyword(p, element)->parse(p, rule, element);
        p->path = path.up;
    }
    if (!p->stopped)
        (void)parse_settle(p, rule);
}

static struct rule *new_rule(struct parser *p, const struct scan_element *element)
{
    if (p->schema->rules.count >= SCHEMA_RULES_MAX) {
        (void)parse_problem(p, ERROR_BAD_VALUE, "A schema may have %d sub-schemas",
                            SCHEMA_RULES_MAX);
        p->stopped = true;
        return NULL;
    }
    struct rule *rule = parse_alloc(p, 1, sizeof *rule);
    if (rule == NULL)
        return NULL;
    rule_set_defaults(rule);
    rule->source = *element;
    if (p->last == NULL)
        p->first = rule;
    else
        p->last->next = rule;
    p->last = rule;
    if (!index_add(&p->schema->rules, rule)) {
        (void)parse_out_of_memory(p);
        return NULL;
    }
    return rule;
}

/* The rule of the sub-schema in the element: parsed once, reused by later references. */
static struct rule *parse_rule(struct parser *p, const struct scan_element *element)
{
    struct rule_index *rules = &p->schema->rules;
    if (p->stopped)
        return NULL;
    bool boolean = element->kind == BSON_KIND_BOOL && p->schema->dialect == SCHEMA_JSON_SCHEMA;
    if (element->kind != BSON_KIND_OBJECT && !boolean) {
        (void)parse_problem(p, ERROR_TYPE_MISMATCH, "A sub-schema must be an object, not %s",
                            type_alias(element->kind));
        return NULL;
    }
    if (rules->size > 0 && rules->slots[slot_of(rules, element->value.pos)] != NULL)
        return rules->slots[slot_of(rules, element->value.pos)];
    if (p->depth >= SCHEMA_DEPTH_MAX) {
        (void)parse_problem(p, ERROR_BAD_VALUE, "Sub-schemas may nest %d deep", SCHEMA_DEPTH_MAX);
        return NULL;
    }
    struct rule *rule = new_rule(p, element);
    if (rule == NULL)
        return NULL;
    if (boolean) {
        rule->never = *element->value.pos == 0;
        rule->types = rule->never ? 0 : TYPES_ALL;
        return rule;
    }
    p->depth++;
    parse_keywords(p, rule);
    p->depth--;
    return rule;
}

struct rule *parse_sub_schema(struct parser *p, const struct scan_element *element)
{
    struct parse_path path = {p->path, element->name, 0};
    p->path = &path;
    struct rule *rule = parse_rule(p, element);
    p->path = path.up;
    return rule;
}

struct rule *parse_indexed_schema(struct parser *p, const struct scan_element *element,
                                  size_t index)
{
    struct parse_path path = {p->path, NULL, index};
    p->path = &path;
    struct rule *rule = parse_rule(p, element);
    p->path = path.up;
    return rule;
}

struct rule *parse_own_schema(struct parser *p, const struct scan_element *element)
{
    const struct parse_path *here = p->path;
    p->path = here->up;
    struct rule *rule = parse_sub_schema(p, element);
    p->path = here;
    return rule;
}

enum pattern_flavour parse_pattern_flavour(const struct parser *p)
{
    return p->schema->dialect == SCHEMA_MONGODB ? PATTERN_MONGODB : PATTERN_PYDANTIC;
}

const struct pattern *parse_compile_pattern(struct parser *p, const char *text, size_t len,
                                            enum pattern_flavour flavour)
{
    struct schema *schema = p->schema;
    struct error why = {0};
    if (memchr(text, 0, len) != NULL) {
        (void)parse_problem(p, ERROR_BAD_VALUE,
                            "Regular expression cannot contain an embedded null byte");
        return NULL;
    }
    if (schema->pattern_count == schema->pattern_room) {
        size_t room = schema->pattern_room == 0 ? 8 : schema->pattern_room * 2;
        struct pattern **bigger = memory_resize(schema->patterns, room * sizeof(struct pattern *));
        if (bigger == NULL) {
            (void)parse_out_of_memory(p);
            return NULL;
        }
        schema->patterns = bigger;
        schema->pattern_room = room;
    }
    struct pattern *pattern = pattern_new(text, len, flavour, &why);
    if (pattern == NULL) {
        if (why.code == ERROR_EXCEEDED_MEMORY_LIMIT)
            (void)parse_out_of_memory(p);
        else
            (void)parse_problem(p, why.code, "%s", why.message);
        return NULL;
    }
    schema->patterns[schema->pattern_count++] = pattern;
    schema->pattern_bytes += pattern_bytes(pattern);
    return fits(p) ? pattern : NULL;
}

/* Follows references after everything is parsed, so that each problem is reported at its place.
 * Parses definitions that only references use. */
static void resolve_references(struct parser *p)
{
    for (struct rule *rule = p->first; rule != NULL && !p->stopped; rule = rule->next)
        if (rule->ref_target.kind != BSON_KIND_EOD)
            rule->ref = rule->ref_target.value.pos == p->schema->bson
                            ? p->schema->root
                            : parse_sub_schema(p, &rule->ref_target);
}

static void check_names(struct parser *p)
{
    for (struct rule *rule = p->first; rule != NULL && !p->stopped; rule = rule->next) {
        if (rule->names == NULL)
            continue;
        /* pydantic writes an enum of names as a reference. */
        for (int hops = 0; hops < SCHEMA_IN_PLACE_MAX && rule->names->ref != NULL; hops++)
            if (rule->names->present == KEYWORD_BIT(KEYWORD_REF))
                rule->names = rule->names->ref;
        if (!parse_is_about_names(rule->names))
            (void)parse_problem(p, ERROR_FAILED_TO_PARSE,
                                "'propertyNames' may hold type, pattern, minLength, maxLength, "
                                "enum and const, or refer to a schema of these");
        else
            rule->names = parse_rule_for_names(p, rule->names);
    }
}

static bool endless(struct parser *p)
{
    return parse_problem(p, ERROR_FAILED_TO_PARSE,
                         "A reference leads back to itself without end, or more than %d "
                         "sub-schemas apply to one value inside each other",
                         SCHEMA_IN_PLACE_MAX);
}

static bool visit_in_place(struct parser *p, struct rule *rule);

static bool visit_list(struct parser *p, struct rule *rule, const struct rule_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!visit_in_place(p, list->rules[i]))
            return false;
        if (list->rules[i]->in_place >= rule->in_place)
            rule->in_place = (uint8_t)(list->rules[i]->in_place + 1);
    }
    return true;
}

/* The longest chain of sub-schemas for one value, starting with this one; an endless chain is a
 * problem. */
static bool visit_in_place(struct parser *p, struct rule *rule)
{
    if (rule->visiting || p->depth == SCHEMA_IN_PLACE_MAX)
        return endless(p);
    if (rule->in_place > 0)
        return true;
    struct rule *singles[] = {rule->ref, rule->not_, rule->if_, rule->then_, rule->else_};
    p->depth++;
    rule->visiting = true;
    rule->in_place = 1;
    bool ok = visit_list(p, rule, &rule->all_of) && visit_list(p, rule, &rule->any_of) &&
              visit_list(p, rule, &rule->one_of);
    for (size_t i = 0; ok && i < sizeof singles / sizeof singles[0]; i++)
        if (singles[i] != NULL)
            ok = visit_list(p, rule, &(struct rule_list){&singles[i], 1});
    for (size_t i = 0; ok && i < rule->dependency_count; i++)
        if (rule->dependencies[i].rule != NULL)
            ok = visit_list(p, rule, &(struct rule_list){&rule->dependencies[i].rule, 1});
    rule->visiting = false;
    p->depth--;
    return ok && (rule->in_place <= SCHEMA_IN_PLACE_MAX || endless(p));
}

bool parse_schema(struct schema *schema, schema_report_fn *report, void *arg, struct error *err)
{
    struct parser p = {.schema = schema, .report = report, .report_arg = arg, .err = err};
    struct scan_element whole = {
        .kind = BSON_KIND_OBJECT, .name = "", .value = bytes_of(schema->bson, schema->bson_len)};
    schema->root = parse_rule(&p, &whole);
    resolve_references(&p);
    if (p.problems == 0)
        check_names(&p);
    if (p.problems == 0)
        schema->document =
            schema->dialect == SCHEMA_JSON_SCHEMA ? parse_stored_document(&p) : schema->root;
    for (struct rule *rule = p.first; rule != NULL && p.problems == 0; rule = rule->next)
        (void)visit_in_place(&p, rule);
    return p.problems == 0;
}
