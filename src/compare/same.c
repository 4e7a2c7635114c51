#include "compare/same.h"

#include "bson/compare.h"

enum { SLOTS = 8192, DEPTH_MAX = 120 };

enum verdict { PAIR_OPEN, PAIR_SAME, PAIR_DIFFERENT };

struct same_pair {
    const struct rule *a, *b;
    enum verdict verdict;
    struct same_pair *next;  /* in the slot */
    struct same_pair *older; /* in the list of those assumed */
};

bool same_begin(struct same *same, struct arena *arena, uint64_t *steps)
{
    *same = (struct same){.arena = arena, .steps = steps};
    same->slots = arena_alloc(arena, SLOTS, sizeof(struct same_pair *));
    return same->slots != NULL;
}

bool same_pattern_text(const struct rule *rule, const char **text, size_t *len)
{
    const struct scan_element *element = rule_keyword_element(rule, KEYWORD_PATTERN);
    return element != NULL && scan_as_string(element, text, len);
}

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool same_patterns(const struct rule *a, const struct rule *b)
{
    const char *x = NULL;
    const char *y = NULL;
    size_t x_len = 0;
    size_t y_len = 0;
    if (a->pattern == NULL || b->pattern == NULL)
        return a->pattern == b->pattern;
    return same_pattern_text(a, &x, &x_len) && same_pattern_text(b, &y, &y_len) &&
           same_text(x, x_len, y, y_len);
}

static bool same_bound(const struct rule_bound *a, const struct rule_bound *b)
{
    return a->set == b->set &&
           (!a->set || (a->exclusive == b->exclusive && number_compare(&a->value, &b->value) == 0));
}

static bool same_numbers(const struct rule *a, const struct rule *b)
{
    bool multiple = rule_has(a, KEYWORD_MULTIPLE_OF);
    for (int i = 0; i < 2; i++)
        if (!same_bound(&a->lower[i], &b->lower[i]) || !same_bound(&a->upper[i], &b->upper[i]))
            return false;
    if (multiple != rule_has(b, KEYWORD_MULTIPLE_OF))
        return false;
    return !multiple || (a->multiple_of.form == b->multiple_of.form &&
                         number_compare(&a->multiple_of, &b->multiple_of) == 0);
}

static bool has_value(const struct rule *rule, const struct scan_element *value)
{
    struct compare_value one = {value->kind, value->value};
    uint64_t budget = 10000;
    for (size_t i = 0; i < rule->value_count; i++) {
        struct compare_value other = {rule->values[i].kind, rule->values[i].value};
        if (compare_equal(&one, &other, &budget))
            return true;
    }
    return false;
}

static bool is_enum(const struct rule *rule)
{
    return rule_has(rule, KEYWORD_ENUM) || rule_has(rule, KEYWORD_CONST);
}

static bool same_values(const struct rule *a, const struct rule *b)
{
    if (is_enum(a) != is_enum(b) || a->value_count != b->value_count)
        return false;
    for (size_t i = 0; i < a->value_count; i++)
        if (!has_value(b, &a->values[i]) || !has_value(a, &b->values[i]))
            return false;
    return true;
}

static bool same_scalars(const struct rule *a, const struct rule *b)
{
    return a->never == b->never && a->types == b->types &&
           a->encrypted_types == b->encrypted_types && a->binary_subtype == b->binary_subtype &&
           a->integral == b->integral && a->binary_length == b->binary_length &&
           a->min_length == b->min_length && a->max_length == b->max_length &&
           same_patterns(a, b) && same_numbers(a, b) && same_values(a, b);
}

/* --- sub-schemas --- */

static bool same_optional(struct same *same, struct same_rule a, struct same_rule b)
{
    if (a.rule == NULL || b.rule == NULL)
        return a.rule == b.rule;
    return same_rules(same, a, b);
}

static bool same_list(struct same *same, struct same_rule a, const struct rule_list *x,
                      struct same_rule b, const struct rule_list *y)
{
    if (x->count != y->count)
        return false;
    for (size_t i = 0; i < x->count; i++)
        if (!same_rules(same, (struct same_rule){a.schema, x->rules[i]},
                        (struct same_rule){b.schema, y->rules[i]}))
            return false;
    return true;
}

static bool same_arrays(struct same *same, struct same_rule a, struct same_rule b)
{
    const struct rule *x = a.rule;
    const struct rule *y = b.rule;
    return x->min_items == y->min_items && x->max_items == y->max_items &&
           x->unique_items == y->unique_items && x->no_rest == y->no_rest &&
           x->min_contains == y->min_contains && x->max_contains == y->max_contains &&
           same_list(same, a, &x->prefix, b, &y->prefix) &&
           same_optional(same, (struct same_rule){a.schema, x->rest},
                         (struct same_rule){b.schema, y->rest}) &&
           same_optional(same, (struct same_rule){a.schema, x->contains},
                         (struct same_rule){b.schema, y->contains});
}

static const struct rule_property *find_property(const struct rule_property *list, size_t count,
                                                 const struct rule_property *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (same_text(list[i].name, list[i].name_len, wanted->name, wanted->name_len))
            return &list[i];
    return NULL;
}

static bool same_properties(struct same *same, struct same_rule a, struct same_rule b)
{
    if (a.rule->property_count != b.rule->property_count)
        return false;
    for (size_t i = 0; i < a.rule->property_count; i++) {
        const struct rule_property *mine = &a.rule->properties[i];
        const struct rule_property *other =
            find_property(b.rule->properties, b.rule->property_count, mine);
        if (other == NULL || !same_rules(same, (struct same_rule){a.schema, mine->rule},
                                         (struct same_rule){b.schema, other->rule}))
            return false;
    }
    return true;
}

static bool same_pattern_properties(struct same *same, struct same_rule a, struct same_rule b)
{
    if (a.rule->pattern_count != b.rule->pattern_count)
        return false;
    for (size_t i = 0; i < a.rule->pattern_count; i++) {
        const struct rule_pattern *x = &a.rule->patterns[i];
        const struct rule_pattern *y = &b.rule->patterns[i];
        if (!same_text(x->text, x->text_len, y->text, y->text_len) ||
            !same_rules(same, (struct same_rule){a.schema, x->rule},
                        (struct same_rule){b.schema, y->rule}))
            return false;
    }
    return true;
}

static bool same_required(const struct rule *a, const struct rule *b)
{
    if (a->required_count != b->required_count)
        return false;
    for (size_t i = 0; i < a->required_count; i++)
        if (find_property(b->required, b->required_count, &a->required[i]) == NULL)
            return false;
    return true;
}

static bool same_dependencies(struct same *same, struct same_rule a, struct same_rule b)
{
    if (a.rule->dependency_count != b.rule->dependency_count)
        return false;
    for (size_t i = 0; i < a.rule->dependency_count; i++) {
        const struct rule_dependency *x = &a.rule->dependencies[i];
        const struct rule_dependency *y = &b.rule->dependencies[i];
        if (!same_text(x->name, x->name_len, y->name, y->name_len) ||
            x->element.kind != y->element.kind)
            return false;
        if (x->rule == NULL &&
            !same_text((const char *)x->element.value.pos, bytes_left(&x->element.value),
                       (const char *)y->element.value.pos, bytes_left(&y->element.value)))
            return false;
        if (!same_optional(same, (struct same_rule){a.schema, x->rule},
                           (struct same_rule){b.schema, y->rule}))
            return false;
    }
    return true;
}

static bool same_objects(struct same *same, struct same_rule a, struct same_rule b)
{
    const struct rule *x = a.rule;
    const struct rule *y = b.rule;
    return x->min_properties == y->min_properties && x->max_properties == y->max_properties &&
           x->no_additional == y->no_additional && same_required(x, y) &&
           same_properties(same, a, b) && same_pattern_properties(same, a, b) &&
           same_optional(same, (struct same_rule){a.schema, x->additional},
                         (struct same_rule){b.schema, y->additional}) &&
           same_optional(same, (struct same_rule){a.schema, x->names},
                         (struct same_rule){b.schema, y->names}) &&
           same_dependencies(same, a, b);
}

static bool same_combinations(struct same *same, struct same_rule a, struct same_rule b)
{
    const struct rule *const x[] = {a.rule->ref, a.rule->not_, a.rule->if_, a.rule->then_,
                                    a.rule->else_};
    const struct rule *const y[] = {b.rule->ref, b.rule->not_, b.rule->if_, b.rule->then_,
                                    b.rule->else_};
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
        if (!same_optional(same, (struct same_rule){a.schema, x[i]},
                           (struct same_rule){b.schema, y[i]}))
            return false;
    return same_list(same, a, &a.rule->all_of, b, &b.rule->all_of) &&
           same_list(same, a, &a.rule->any_of, b, &b.rule->any_of) &&
           same_list(same, a, &a.rule->one_of, b, &b.rule->one_of);
}

/* --- pairs that were asked about --- */

static struct same_pair **slot_of(struct same *same, const struct rule *a, const struct rule *b)
{
    uint64_t hash = (uint64_t)(uintptr_t)a * 0x9E3779B97F4A7C15U;
    hash = (hash ^ (uint64_t)(uintptr_t)b) * 0xD6E8FEB86659FD93U;
    return &same->slots[hash >> 40 & (SLOTS - 1)];
}

static struct same_pair *find_pair(struct same *same, const struct rule *a, const struct rule *b)
{
    struct same_pair **slot = slot_of(same, a, b);
    for (struct same_pair *pair = *slot; pair != NULL; pair = pair->next)
        if (pair->a == a && pair->b == b)
            return pair;
    struct same_pair *pair = arena_alloc(same->arena, 1, sizeof *pair);
    if (pair == NULL)
        return NULL;
    *pair = (struct same_pair){.a = a, .b = b, .next = *slot};
    *slot = pair;
    return pair;
}

/* A pair that comes up again during its own comparison counts as the same: a difference shows
 * elsewhere. If the outermost pair differs, results that depend on this are dropped. */
static void settle(struct same *same, bool outermost_same)
{
    for (struct same_pair *pair = same->added; pair != NULL; pair = pair->older)
        if (!outermost_same && pair->verdict == PAIR_SAME)
            pair->verdict = PAIR_OPEN;
    same->added = NULL;
}

bool same_rules(struct same *same, struct same_rule a, struct same_rule b)
{
    if (a.schema->dialect != b.schema->dialect)
        return false;
    if (a.rule == b.rule)
        return true;
    struct same_pair *pair = *same->steps == 0 ? NULL : find_pair(same, a.rule, b.rule);
    if (pair == NULL || same->depth >= DEPTH_MAX)
        return false;
    if (pair->verdict != PAIR_OPEN)
        return pair->verdict == PAIR_SAME;
    *same->steps -= 1;
    pair->verdict = PAIR_SAME;
    pair->older = same->added;
    same->added = pair;
    same->depth++;
    bool equal = same_scalars(a.rule, b.rule) && same_arrays(same, a, b) &&
                 same_objects(same, a, b) && same_combinations(same, a, b);
    same->depth--;
    pair->verdict = equal ? PAIR_SAME : PAIR_DIFFERENT;
    if (same->depth == 0)
        settle(same, equal);
    return equal;
}
