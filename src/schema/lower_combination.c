/* Combinations: enum, references, allOf, anyOf, oneOf, not, if; and the field that selects an
 * alternative of anyOf or oneOf. */
#include "schema/lowering.h"

#include "base/memory.h"

/* Values of a tag are compared with each other; a field with more values is not used as a
 * discriminator. */
#define TAG_VALUES_MAX 1024

/* The allowed strings of a rule's property; NULL if it allows other values. */
static struct rule *tag_values(struct rule *rule, const char *name, size_t len)
{
    rule = lower_follow(rule);
    for (size_t i = 0; i < rule->property_count; i++) {
        struct rule *property = lower_follow(rule->properties[i].rule);
        if (rule->properties[i].name_len != len || memcmp(rule->properties[i].name, name, len) != 0)
            continue;
        for (size_t v = 0; v < property->value_count; v++)
            if (property->values[v].kind != BSON_KIND_STRING)
                return NULL;
        return property->value_count > 0 ? property : NULL;
    }
    return NULL;
}

/* Collects the tag values of all alternatives, each with the node of its alternative. False if they
 * do not separate the alternatives. */
static bool gather_tags(struct lower *l, const struct rule_list *list, const char *name, size_t len,
                        struct vector *values, struct vector *nodes)
{
    uint64_t budget = SCHEMA_RULES_MAX;
    for (size_t i = 0; i < list->count; i++) {
        struct rule *tag = tag_values(list->rules[i], name, len);
        if (tag == NULL)
            return false;
        if (values->count + tag->value_count > TAG_VALUES_MAX)
            return false;
        for (size_t v = 0; v < tag->value_count; v++) {
            struct compare_value one = {tag->values[v].kind, tag->values[v].value};
            const struct scan_element *known = values->data;
            for (size_t k = 0; k < values->count; k++) {
                struct compare_value other = {known[k].kind, known[k].value};
                if (compare_equal(&one, &other, &budget))
                    return false;
            }
            uint32_t at = lower_push_many(l, values, 1);
            if (lower_push_many(l, nodes, 1) == NO_INDEX || at == NO_INDEX)
                return false;
            ((struct scan_element *)values->data)[at] = tag->values[v];
            ((uint32_t *)nodes->data)[at] = lower_rule(l, list->rules[i]);
        }
    }
    return true;
}

static bool try_tag(struct lower *l, const struct rule_list *list, const char *name, size_t len,
                    struct combination *combination)
{
    struct vector values = {.size = sizeof(struct scan_element)};
    struct vector nodes = {.size = sizeof(uint32_t)};
    bool found = gather_tags(l, list, name, len, &values, &nodes);
    if (found) {
        struct tag_rule tag = {.name = lower_push_text(l, name, len),
                               .name_len = (uint32_t)len,
                               .values = lower_values(l, values.data, values.count),
                               .links_first =
                                   lower_push_many(l, &l->vectors[LOWER_LINKS], nodes.count),
                               .otherwise = *combination};
        for (size_t i = 0; i < nodes.count; i++)
            lower_set_link(l, tag.links_first + (uint32_t)i, ((uint32_t *)nodes.data)[i]);
        *combination = (struct combination){COMBINE_TAG, lower_push(l, LOWER_TAGS, &tag), 1};
    }
    memory_free(values.data);
    memory_free(nodes.data);
    return found;
}

/* Looks for a field that separates the alternatives: the discriminator's field, or any property of
 * the first alternative. */
static void find_tag(struct lower *l, const struct rule *rule, const struct rule_list *list,
                     struct combination *combination)
{
    const struct rule *first = lower_follow(list->rules[0]);
    if (list->count < 2)
        return;
    if (rule->tag != NULL && try_tag(l, list, rule->tag, rule->tag_len, combination))
        return;
    for (size_t i = 0; i < first->property_count; i++)
        if (lower_follow(first->properties[i].rule)->value_count > 0 &&
            try_tag(l, list, first->properties[i].name, first->properties[i].name_len, combination))
            return;
}

static void add_alternatives(struct lower *l, const struct rule *rule, const struct rule_list *list,
                             enum combination_kind kind, struct vector *out)
{
    if (list->count == 0)
        return;
    struct combination combination = {kind, lower_list(l, list), (uint32_t)list->count};
    if (kind == COMBINE_ANY || kind == COMBINE_ONE)
        find_tag(l, rule, list, &combination);
    uint32_t at = lower_push_many(l, out, 1);
    if (at != NO_INDEX)
        ((struct combination *)out->data)[at] = combination;
}

static void add_singles(struct lower *l, enum combination_kind kind, struct rule *const *rules,
                        size_t count, struct vector *out)
{
    struct combination combination = {kind, lower_push_many(l, &l->vectors[LOWER_LINKS], count),
                                      (uint32_t)count};
    for (size_t i = 0; i < count; i++)
        lower_set_link(l, combination.first + (uint32_t)i,
                       rules[i] == NULL ? NODE_ANY : lower_rule(l, rules[i]));
    uint32_t at = lower_push_many(l, out, 1);
    if (at != NO_INDEX)
        ((struct combination *)out->data)[at] = combination;
}

void lower_combinations(struct lower *l, const struct rule *rule, struct node *node)
{
    struct vector list = {.size = sizeof(struct combination)};
    if (rule_has(rule, KEYWORD_ENUM) || rule_has(rule, KEYWORD_CONST)) {
        struct combination combination = {COMBINE_ENUM,
                                          lower_values(l, rule->values, rule->value_count), 1};
        uint32_t at = lower_push_many(l, &list, 1);
        if (at != NO_INDEX)
            ((struct combination *)list.data)[at] = combination;
        node->types &= lower_types_of_values(rule->values, rule->value_count);
    }
    if (rule->ref != NULL)
        add_singles(l, COMBINE_ALL, &rule->ref, 1, &list);
    add_alternatives(l, rule, &rule->all_of, COMBINE_ALL, &list);
    add_alternatives(l, rule, &rule->any_of, COMBINE_ANY, &list);
    add_alternatives(l, rule, &rule->one_of, COMBINE_ONE, &list);
    if (rule->not_ != NULL)
        add_singles(l, COMBINE_NOT, &rule->not_, 1, &list);
    if (rule->if_ != NULL && (rule->then_ != NULL || rule->else_ != NULL)) {
        struct rule *parts[] = {rule->if_, rule->then_, rule->else_};
        add_singles(l, COMBINE_IF, parts, 3, &list);
    }
    node->combination_first = lower_push_many(l, &l->vectors[LOWER_COMBINATIONS], list.count);
    node->combination_count = (uint32_t)list.count;
    if (list.count > 0 && !l->no_memory) {
        memcpy(lower_entry(l, LOWER_COMBINATIONS, node->combination_first), list.data,
               list.count * list.size);
        node->combined = node->types;
    }
    memory_free(list.data);
}
