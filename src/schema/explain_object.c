/* Errors about the fields of objects, and about combinations of sub-schemas. */
#include "base/memory.h"
#include "base/utf8.h"
#include "schema/explain.h"

#include <stdlib.h>

static struct explain_value value_of(const struct scan_element *field)
{
    return (struct explain_value){field->kind, false, field->value};
}

/* Dialect json-schema checks each of several fields with one name, $jsonSchema only the first.
 * Finds one that breaks the rule. */
static bool find_failing(struct explain *x, const struct rule_property *property,
                         struct bytes object, struct scan_element *field)
{
    struct scan scan;
    (void)scan_open(&scan, object);
    while (scan_next(&scan, field)) {
        if (field->name_len != property->name_len ||
            memcmp(field->name, property->name, field->name_len) != 0)
            continue;
        struct explain_value value = value_of(field);
        if (!explain_satisfies(x, property->rule, &value))
            return true;
        if (x->schema->dialect == SCHEMA_MONGODB)
            return false;
    }
    return false;
}

static bool explain_properties(struct explain *x, const struct rule *rule,
                               const struct explain_value *object)
{
    bool ok = true;
    for (size_t i = 0; i < rule->property_count; i++) {
        const struct rule_property *property = &rule->properties[i];
        struct scan_element field;
        if (!find_failing(x, property, object->bytes, &field))
            continue;
        if (x->out == NULL)
            return false;
        if (ok) {
            explain_open(x, "properties");
            build_open_array(x->out, "propertiesNotSatisfied");
        }
        ok = false;
        struct explain_value value = value_of(&field);
        build_open_object(x->out, NULL);
        build_text(x->out, "propertyName", property->name);
        explain_titles(x, property->rule);
        explain_details(x, property->rule, &value);
        build_close(x->out);
    }
    if (!ok) {
        build_close(x->out);
        explain_close(x);
    }
    return ok;
}

/* True if `properties` or `patternProperties` covers the field. */
static bool is_listed(struct explain *x, const struct rule *rule, const struct scan_element *field)
{
    for (size_t i = 0; i < rule->property_count; i++)
        if (rule->properties[i].name_len == field->name_len &&
            memcmp(rule->properties[i].name, field->name, field->name_len) == 0)
            return true;
    for (size_t i = 0; i < rule->pattern_count; i++) {
        enum pattern_result found =
            pattern_match(rule->patterns[i].pattern, (const uint8_t *)field->name, field->name_len,
                          x->scratch->patterns);
        x->cut_off = x->cut_off || found == PATTERN_CUT_OFF;
        if (found == PATTERN_YES)
            return true;
    }
    return false;
}

static bool forbidden_error(struct explain *x, const struct rule *rule,
                            const struct explain_value *object)
{
    struct scan scan;
    struct scan_element field;
    if (x->out == NULL)
        return false;
    explain_open(x, "additionalProperties");
    explain_specified(x, rule, KEYWORD_ADDITIONAL_PROPERTIES);
    build_open_array(x->out, "additionalProperties");
    (void)scan_open(&scan, object->bytes);
    while (scan_next(&scan, &field))
        if (!is_listed(x, rule, &field))
            build_string(x->out, NULL, field.name, field.name_len);
    build_close(x->out);
    explain_close(x);
    return false;
}

static bool explain_additional(struct explain *x, const struct rule *rule,
                               const struct explain_value *object)
{
    struct scan scan;
    struct scan_element field;
    if (rule->additional == NULL && !rule->no_additional)
        return true;
    (void)scan_open(&scan, object->bytes);
    while (scan_next(&scan, &field)) {
        struct explain_value value = value_of(&field);
        if (is_listed(x, rule, &field))
            continue;
        if (rule->no_additional)
            return forbidden_error(x, rule, object);
        if (explain_satisfies(x, rule->additional, &value))
            continue;
        if (x->out == NULL)
            return false;
        explain_open(x, "additionalProperties");
        explain_titles(x, rule->additional);
        explain_text(x, "reason", "at least one additional property did not match the subschema");
        build_string(x->out, "failingProperty", field.name, field.name_len);
        explain_details(x, rule->additional, &value);
        explain_close(x);
        return false;
    }
    return true;
}

/* The first field that one of patternProperties covers and that breaks its rule. */
static bool find_pattern_failure(struct explain *x, const struct rule_pattern *pattern,
                                 struct bytes object, struct scan_element *field)
{
    struct scan scan;
    (void)scan_open(&scan, object);
    while (scan_next(&scan, field)) {
        struct explain_value value = value_of(field);
        enum pattern_result found = pattern_match(pattern->pattern, (const uint8_t *)field->name,
                                                  field->name_len, x->scratch->patterns);
        x->cut_off = x->cut_off || found == PATTERN_CUT_OFF;
        if (found == PATTERN_YES && !explain_satisfies(x, pattern->rule, &value))
            return true;
    }
    return false;
}

static bool explain_patterns(struct explain *x, const struct rule *rule,
                             const struct explain_value *object)
{
    bool ok = true;
    for (size_t i = 0; i < rule->pattern_count; i++) {
        const struct rule_pattern *pattern = &rule->patterns[i];
        struct scan_element field;
        if (!find_pattern_failure(x, pattern, object->bytes, &field))
            continue;
        if (x->out == NULL)
            return false;
        if (ok) {
            explain_open(x, "patternProperties");
            build_open_array(x->out, "details");
        }
        ok = false;
        struct explain_value value = value_of(&field);
        build_open_object(x->out, NULL);
        build_string(x->out, "propertyName", field.name, field.name_len);
        explain_titles(x, pattern->rule);
        build_string(x->out, "regexMatched", pattern->text, pattern->text_len);
        explain_details(x, pattern->rule, &value);
        build_close(x->out);
    }
    if (!ok) {
        build_close(x->out);
        explain_close(x);
    }
    return ok;
}

/* True if a name satisfies `propertyNames`; checks it as a string value. */
static bool name_satisfies(struct explain *x, const struct rule *rule,
                           const struct scan_element *field)
{
    struct build string;
    struct bytes document;
    struct scan_element value;
    bool satisfied = false;
    build_begin(&string, SCHEMA_ERRINFO_MAX);
    build_string(&string, "v", field->name, field->name_len);
    if (build_finish(&string, &document) && scan_find(document, "v", &value)) {
        struct explain_value one = value_of(&value);
        satisfied = explain_satisfies(x, rule, &one);
    } else {
        x->cut_off = true;
    }
    build_free(&string);
    return satisfied;
}

static bool explain_names(struct explain *x, const struct rule *rule,
                          const struct explain_value *object)
{
    struct scan scan;
    struct scan_element field;
    if (rule->names == NULL)
        return true;
    (void)scan_open(&scan, object->bytes);
    while (scan_next(&scan, &field)) {
        if (name_satisfies(x, rule->names, &field))
            continue;
        if (x->out == NULL)
            return false;
        explain_open(x, "propertyNames");
        explain_titles(x, rule->names);
        explain_specified(x, rule, KEYWORD_PROPERTY_NAMES);
        explain_text(x, "reason", "at least one property name did not match the sub-schema");
        build_string(x->out, "failingProperty", field.name, field.name_len);
        explain_close(x);
        return false;
    }
    return true;
}

static bool has_field(struct bytes object, const char *name)
{
    struct scan_element field;
    return scan_find(object, name, &field);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* missingProperties: the names that the object lacks, sorted on request. */
static void append_missing(struct explain *x, const char **names, size_t count, struct bytes object,
                           bool sorted)
{
    size_t missing = 0;
    for (size_t i = 0; i < count; i++)
        if (!has_field(object, names[i]))
            names[missing++] = names[i];
    if (sorted)
        qsort(names, missing, sizeof *names, compare_names);
    build_open_array(x->out, "missingProperties");
    for (size_t i = 0; i < missing; i++)
        build_text(x->out, NULL, names[i]);
    build_close(x->out);
}

static bool explain_required(struct explain *x, const struct rule *rule,
                             const struct explain_value *object)
{
    bool ok = true;
    for (size_t i = 0; i < rule->required_count && ok; i++)
        ok = has_field(object->bytes, rule->required[i].name);
    if (ok || x->out == NULL)
        return ok;
    const char **names = memory_array(rule->required_count, sizeof *names);
    if (names == NULL) {
        x->out->failed = true;
        return false;
    }
    for (size_t i = 0; i < rule->required_count; i++)
        names[i] = rule->required[i].name;
    explain_open(x, "required");
    explain_specified(x, rule, KEYWORD_REQUIRED);
    append_missing(x, names, rule->required_count, object->bytes, true);
    explain_close(x);
    memory_free(names);
    return false;
}

static bool count_error(struct explain *x, const struct rule *rule, enum keyword keyword,
                        size_t count)
{
    if (x->out == NULL)
        return false;
    explain_open(x, rule_keyword_element(rule, keyword)->name);
    explain_specified(x, rule, keyword);
    explain_text(x, "reason", "specified number of properties was not satisfied");
    build_int32(x->out, "numberOfProperties", (int32_t)count);
    explain_close(x);
    return false;
}

static bool explain_counts(struct explain *x, const struct rule *rule,
                           const struct explain_value *object)
{
    struct scan scan;
    struct scan_element field;
    size_t count = 0;
    bool ok = true;
    (void)scan_open(&scan, object->bytes);
    while (scan_next(&scan, &field))
        count++;
    if (count < rule->min_properties)
        ok = count_error(x, rule, KEYWORD_MIN_PROPERTIES, count);
    if (count > rule->max_properties)
        ok = count_error(x, rule, KEYWORD_MAX_PROPERTIES, count);
    return ok;
}

static bool names_present(const struct rule_dependency *dependency, struct bytes object)
{
    struct scan scan;
    struct scan_element name;
    (void)scan_open(&scan, dependency->element.value);
    while (scan_next(&scan, &name))
        if (!has_field(object, (const char *)name.value.pos + 4))
            return false;
    return true;
}

static void append_dependency(struct explain *x, const struct rule_dependency *dependency,
                              const struct explain_value *object)
{
    build_open_object(x->out, NULL);
    build_text(x->out, "conditionalProperty", dependency->name);
    if (dependency->rule != NULL) {
        explain_titles(x, dependency->rule);
        explain_details(x, dependency->rule, object);
        build_close(x->out);
        return;
    }
    struct scan scan;
    struct scan_element name;
    build_open_array(x->out, "missingProperties");
    (void)scan_open(&scan, dependency->element.value);
    while (scan_next(&scan, &name))
        if (!has_field(object->bytes, (const char *)name.value.pos + 4))
            build_value(x->out, NULL, name.kind, name.value);
    build_close(x->out);
    build_close(x->out);
}

static bool explain_dependencies(struct explain *x, const struct rule *rule,
                                 const struct explain_value *object)
{
    bool ok = true;
    for (size_t i = 0; i < rule->dependency_count; i++) {
        const struct rule_dependency *dependency = &rule->dependencies[i];
        if (!has_field(object->bytes, dependency->name))
            continue;
        if (dependency->rule != NULL ? explain_satisfies(x, dependency->rule, object)
                                     : names_present(dependency, object->bytes))
            continue;
        if (x->out == NULL)
            return false;
        if (ok) {
            explain_open(x, "dependencies");
            build_open_array(x->out, "failingDependencies");
        }
        ok = false;
        append_dependency(x, dependency, object);
    }
    if (!ok) {
        build_close(x->out);
        explain_close(x);
    }
    return ok;
}

bool explain_object(struct explain *x, const struct rule *rule, const struct explain_value *value)
{
    bool ok = explain_properties(x, rule, value);
    ok = explain_additional(x, rule, value) && ok;
    ok = explain_patterns(x, rule, value) && ok;
    ok = explain_names(x, rule, value) && ok;
    ok = explain_required(x, rule, value) && ok;
    ok = explain_counts(x, rule, value) && ok;
    return explain_dependencies(x, rule, value) && ok;
}

/* --- combinations --- */

/* Appends the unsatisfied alternatives. */
static void alternatives_error(struct explain *x, const char *name, const struct rule_list *list,
                               const struct explain_value *value)
{
    if (x->out == NULL)
        return;
    explain_open(x, name);
    build_open_array(x->out, "schemasNotSatisfied");
    for (size_t i = 0; i < list->count; i++) {
        if (explain_satisfies(x, list->rules[i], value))
            continue;
        build_open_object(x->out, NULL);
        build_int32(x->out, "index", (int32_t)i);
        explain_titles(x, list->rules[i]);
        explain_details(x, list->rules[i], value);
        build_close(x->out);
    }
    build_close(x->out);
    explain_close(x);
}

static size_t count_satisfied(struct explain *x, const struct rule_list *list,
                              const struct explain_value *value)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += explain_satisfies(x, list->rules[i], value);
    return count;
}

static void too_many_error(struct explain *x, const struct rule_list *list,
                           const struct explain_value *value)
{
    if (x->out == NULL)
        return;
    explain_open(x, "oneOf");
    explain_text(x, "reason", "more than one subschema matched");
    build_open_array(x->out, "matchingSchemaIndexes");
    for (size_t i = 0; i < list->count; i++)
        if (explain_satisfies(x, list->rules[i], value))
            build_int32(x->out, NULL, (int32_t)i);
    build_close(x->out);
    explain_close(x);
}

static bool explain_one_of(struct explain *x, const struct rule *rule,
                           const struct explain_value *value)
{
    if (rule->one_of.count == 0)
        return true;
    size_t satisfied = count_satisfied(x, &rule->one_of, value);
    if (satisfied == 0)
        alternatives_error(x, "oneOf", &rule->one_of, value);
    else if (satisfied > 1)
        too_many_error(x, &rule->one_of, value);
    return satisfied == 1;
}

static bool explain_condition(struct explain *x, const struct rule *rule,
                              const struct explain_value *value)
{
    if (rule->if_ == NULL)
        return true;
    bool condition = explain_satisfies(x, rule->if_, value);
    const struct rule *then = condition ? rule->then_ : rule->else_;
    if (then == NULL || explain_satisfies(x, then, value))
        return true;
    explain_open(x, condition ? "then" : "else");
    if (x->out != NULL)
        explain_titles(x, then);
    explain_details(x, then, value);
    explain_close(x);
    return false;
}

bool explain_combinations(struct explain *x, const struct rule *rule,
                          const struct explain_value *value)
{
    bool ok = true;
    if (count_satisfied(x, &rule->all_of, value) < rule->all_of.count) {
        alternatives_error(x, "allOf", &rule->all_of, value);
        ok = false;
    }
    if (rule->any_of.count > 0 && count_satisfied(x, &rule->any_of, value) == 0) {
        alternatives_error(x, "anyOf", &rule->any_of, value);
        ok = false;
    }
    ok = explain_one_of(x, rule, value) && ok;
    if (rule->not_ != NULL && explain_satisfies(x, rule->not_, value)) {
        explain_open(x, "not");
        explain_text(x, "reason", "child expression matched");
        explain_close(x);
        ok = false;
    }
    return explain_condition(x, rule, value) && ok;
}
