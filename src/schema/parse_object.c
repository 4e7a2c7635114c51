/* Keywords about objects. */
#include "base/memory.h"
#include "schema/parse.h"

#include <stdlib.h>

static bool must_be(struct parser *p, const struct scan_element *element, uint8_t kind,
                    const char *wanted)
{
    return element->kind == kind ||
           parse_problem(p, ERROR_TYPE_MISMATCH, "$jsonSchema keyword '%s' must be %s, not %s",
                         element->name, wanted, type_alias(element->kind));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In MongoDB a dot makes a name a path, which is matched through objects and arrays. If the proxy
 * took it as a name, it would refuse documents that the server accepts, and accept others that the
 * server refuses. */
static bool check_no_path(struct parser *p, const char *name, size_t len)
{
    return p->schema->dialect != SCHEMA_MONGODB || memchr(name, '.', len) == NULL ||
           parse_problem(p, ERROR_BAD_VALUE,
                         "'%s' is a path in MongoDB, because of its dot, and mongosluice checks "
                         "fields by their names only: describe the nested field in the "
                         "'properties' of the object that holds it",
                         name);
}

static const char *find_repeated(const char **names, size_t count)
{
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return names[i];
    return NULL;
}

bool parse_check_names(struct parser *p, const struct scan_element *element, const char *keyword,
                       bool may_be_empty)
{
    struct scan scan;
    struct scan_element name;
    const char *text = NULL;
    size_t len = 0;
    size_t count = scan_count(element->value);
    if (count == 0 && !may_be_empty)
        return parse_problem(p, ERROR_FAILED_TO_PARSE,
                             "$jsonSchema keyword '%s' cannot be an empty array", keyword);
    if (count > SCHEMA_PROPERTIES_MAX)
        return parse_problem(p, ERROR_BAD_VALUE, "$jsonSchema keyword '%s' may name %d fields",
                             keyword, SCHEMA_PROPERTIES_MAX);
    const char **names = memory_array(count, sizeof *names);
    if (names == NULL)
        return parse_out_of_memory(p);
    bool ok = true;
    size_t filled = 0;
    (void)scan_open(&scan, element->value);
    while (ok && scan_next(&scan, &name)) {
        if (!scan_as_string(&name, &text, &len))
            ok = parse_problem(p, ERROR_TYPE_MISMATCH,
                               "$jsonSchema keyword '%s' must hold strings only, not %s", keyword,
                               type_alias(name.kind));
        else if (memchr(text, 0, len) != NULL)
            ok = parse_problem(p, ERROR_BAD_VALUE, "A field name cannot contain a null byte");
        else
            ok = check_no_path(p, text, len);
        names[filled++] = text;
    }
    const char *repeated = ok ? find_repeated(names, count) : NULL;
    if (repeated != NULL)
        ok = parse_problem(p, ERROR_FAILED_TO_PARSE,
                           "$jsonSchema keyword '%s' array cannot contain duplicate values: %s",
                           keyword, repeated);
    memory_free(names);
    return ok;
}

/* Two sub-schemas for one name are a mistake; MongoDB would apply both. */
static bool check_distinct(struct parser *p, const struct scan_element *element, size_t count)
{
    struct scan scan;
    struct scan_element child;
    size_t filled = 0;
    const char **names = memory_array(count, sizeof *names);
    if (names == NULL)
        return parse_out_of_memory(p);
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &child))
        names[filled++] = child.name;
    const char *repeated = find_repeated(names, count);
    memory_free(names);
    return repeated == NULL ||
           parse_problem(p, ERROR_FAILED_TO_PARSE, "Property '%s' is described twice", repeated);
}

bool parse_properties(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    struct scan scan;
    struct scan_element child;
    if (!must_be(p, element, BSON_KIND_OBJECT, "an object"))
        return false;
    size_t count = scan_count(element->value);
    if (count > SCHEMA_PROPERTIES_MAX)
        return parse_problem(p, ERROR_BAD_VALUE, "A sub-schema may have %d properties",
                             SCHEMA_PROPERTIES_MAX);
    rule->properties = parse_alloc(p, count, sizeof *rule->properties);
    if (rule->properties == NULL || !check_distinct(p, element, count))
        return false;
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &child)) {
        bool is_name = check_no_path(p, child.name, child.name_len);
        struct rule *sub = parse_sub_schema(p, &child);
        if (p->stopped)
            return false;
        if (sub != NULL && is_name)
            rule->properties[rule->property_count++] =
                (struct rule_property){child.name, child.name_len, sub};
    }
    return true;
}

bool parse_additional_properties(struct parser *p, struct rule *rule,
                                 const struct scan_element *element)
{
    if (element->kind == BSON_KIND_BOOL) {
        rule->no_additional = *element->value.pos == 0;
        return true;
    }
    if (!must_be(p, element, BSON_KIND_OBJECT, "a boolean or an object"))
        return false;
    rule->additional = parse_own_schema(p, element);
    return rule->additional != NULL;
}

bool parse_pattern_properties(struct parser *p, struct rule *rule,
                              const struct scan_element *element)
{
    struct scan scan;
    struct scan_element child;
    if (!must_be(p, element, BSON_KIND_OBJECT, "an object"))
        return false;
    rule->patterns = parse_alloc(p, scan_count(element->value), sizeof *rule->patterns);
    if (rule->patterns == NULL)
        return false;
    (void)scan_open(&scan, element->value);
    while (scan_next(&scan, &child)) {
        struct rule *sub = parse_sub_schema(p, &child);
        if (p->stopped)
            return false;
        struct parse_path path = {p->path, child.name, 0};
        p->path = &path;
        const struct pattern *pattern = parse_compile_pattern(
            p, child.name, child.name_len,
            p->schema->dialect == SCHEMA_MONGODB ? PATTERN_MONGODB_NAMES : PATTERN_PYDANTIC);
        p->path = path.up;
        if (sub != NULL && pattern != NULL)
            rule->patterns[rule->pattern_count++] =
                (struct rule_pattern){child.name, child.name_len, pattern, sub};
    }
    return true;
}

bool parse_is_about_names(const struct rule *rule)
{
    uint64_t allowed = KEYWORD_BIT(KEYWORD_TYPE) | KEYWORD_BIT(KEYWORD_PATTERN) |
                       KEYWORD_BIT(KEYWORD_MIN_LENGTH) | KEYWORD_BIT(KEYWORD_MAX_LENGTH) |
                       KEYWORD_BIT(KEYWORD_ENUM) | KEYWORD_BIT(KEYWORD_CONST) |
                       KEYWORD_BIT(KEYWORD_FORMAT) | KEYWORD_BIT(KEYWORD_TITLE) |
                       KEYWORD_BIT(KEYWORD_DESCRIPTION) | KEYWORD_BIT(KEYWORD_ANNOTATION);
    return (rule->present & ~allowed) == 0;
}

bool parse_property_names(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    rule->names = parse_own_schema(p, element);
    return rule->names != NULL;
}

static const struct rule_property *read_names(struct parser *p, struct bytes array, size_t *count)
{
    struct scan scan;
    struct scan_element name;
    size_t filled = 0;
    struct rule_property *names = parse_alloc(p, scan_count(array), sizeof *names);
    if (names == NULL)
        return NULL;
    (void)scan_open(&scan, array);
    while (scan_next(&scan, &name)) {
        (void)scan_as_string(&name, &names[filled].name, &names[filled].name_len);
        filled++;
    }
    *count = filled;
    return names;
}

bool parse_required(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    bool may_be_empty = p->schema->dialect == SCHEMA_JSON_SCHEMA;
    if (!must_be(p, element, BSON_KIND_ARRAY, "an array of strings") ||
        !parse_check_names(p, element, element->name, may_be_empty))
        return false;
    rule->required = read_names(p, element->value, &rule->required_count);
    return rule->required != NULL;
}

static bool read_dependency(struct parser *p, struct rule_dependency *dependency,
                            const struct scan_element *child, bool names, bool schemas)
{
    bool json = p->schema->dialect == SCHEMA_JSON_SCHEMA;
    dependency->name = child->name;
    dependency->name_len = child->name_len;
    dependency->element = *child;
    if (!check_no_path(p, child->name, child->name_len))
        return false;
    if (child->kind == BSON_KIND_ARRAY && names) {
        struct parse_path path = {p->path, child->name, 0};
        p->path = &path;
        bool ok = parse_check_names(p, child, "dependencies", json);
        p->path = path.up;
        return ok;
    }
    if (!schemas)
        return must_be(p, child, BSON_KIND_ARRAY, "an array of strings");
    dependency->rule = parse_sub_schema(p, child);
    return dependency->rule != NULL;
}

static bool read_dependencies(struct parser *p, struct rule *rule,
                              const struct scan_element *element, bool names, bool schemas)
{
    struct scan scan;
    struct scan_element child;
    if (!must_be(p, element, BSON_KIND_OBJECT, "an object"))
        return false;
    /* dependentRequired and dependentSchemas share one list. */
    size_t count = rule->dependency_count + scan_count(element->value);
    struct rule_dependency *list = parse_alloc(p, count, sizeof *list);
    if (list == NULL)
        return false;
    for (size_t i = 0; i < rule->dependency_count; i++)
        list[i] = rule->dependencies[i];
    rule->dependencies = list;
    (void)scan_open(&scan, element->value);
    while (!p->stopped && scan_next(&scan, &child))
        if (read_dependency(p, &list[rule->dependency_count], &child, names, schemas))
            rule->dependency_count++;
    return !p->stopped;
}

bool parse_dependencies(struct parser *p, struct rule *rule, const struct scan_element *element)
{
    return read_dependencies(p, rule, element, true, true);
}

bool parse_dependent_required(struct parser *p, struct rule *rule,
                              const struct scan_element *element)
{
    return read_dependencies(p, rule, element, true, false);
}

bool parse_dependent_schemas(struct parser *p, struct rule *rule,
                             const struct scan_element *element)
{
    return read_dependencies(p, rule, element, false, true);
}
