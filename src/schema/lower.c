#include "schema/lower.h"

#include "base/memory.h"
#include "schema/lowering.h"

/* Node `to` is node `from` that also accepts the types in `simple` without rules: `anyOf: [T,
 * null]`. Copied after all lowering, because T may not be finished. */
struct fold {
    uint32_t to;
    uint32_t from;
    type_mask simple;
    bool done;
};

/* Accepts exactly these types, without rules. */
static struct node node_of_types(type_mask types)
{
    return (struct node){.types = types,
                         .plain = types,
                         .object = NO_INDEX,
                         .array = NO_INDEX,
                         .number = NO_INDEX,
                         .string = NO_INDEX,
                         .binary = NO_INDEX,
                         .binary_subtype = -1};
}

/* --- the kind of a rule --- */

#define ANNOTATIONS                                                                                \
    (KEYWORD_BIT(KEYWORD_TITLE) | KEYWORD_BIT(KEYWORD_DESCRIPTION) | KEYWORD_BIT(KEYWORD_DEFS) |   \
     KEYWORD_BIT(KEYWORD_ANNOTATION) | KEYWORD_BIT(KEYWORD_DISCRIMINATOR) |                        \
     KEYWORD_BIT(KEYWORD_FORMAT) | KEYWORD_BIT(KEYWORD_CONTENT_MEDIA_TYPE) |                       \
     KEYWORD_BIT(KEYWORD_ENCRYPT_METADATA))

bool lower_holds_only(const struct rule *rule, uint64_t keywords)
{
    return (rule->present & ~(keywords | ANNOTATIONS)) == 0;
}

struct rule *lower_follow(struct rule *rule)
{
    while (rule->ref != NULL && lower_holds_only(rule, KEYWORD_BIT(KEYWORD_REF)))
        rule = rule->ref;
    return rule;
}

static bool is_types_only(const struct rule *rule)
{
    return lower_holds_only(rule, KEYWORD_BIT(KEYWORD_TYPE) | KEYWORD_BIT(KEYWORD_BSON_TYPE)) &&
           rule->property_count == 0 && !rule->integral && rule->binary_subtype < 0 &&
           rule->encrypted_types == 0;
}

/* --- nodes --- */

uint32_t lower_list(struct lower *l, const struct rule_list *list)
{
    uint32_t first = lower_push_many(l, &l->vectors[LOWER_LINKS], list->count);
    for (size_t i = 0; i < list->count; i++)
        lower_set_link(l, first + (uint32_t)i, lower_rule(l, list->rules[i]));
    return first;
}

static void fill_node(struct lower *l, struct rule *rule, struct node *node)
{
    node->types = rule->types;
    node->object = lower_object(l, rule);
    node->array = lower_array(l, rule);
    node->number = lower_number(l, rule);
    node->string = lower_string(l, rule);
    node->binary_subtype = rule->binary_subtype;
    node->binary = rule->binary_length ? node->string : NO_INDEX;
    node->encrypted = rule->encrypted_types;
    if (node->encrypted != 0)
        node->types &= TYPE_BIT(BSON_KIND_BINARY);
    lower_combinations(l, rule, node);
    type_mask ruled = node->combined;
    if (node->object != NO_INDEX)
        ruled |= TYPE_BIT(BSON_KIND_OBJECT);
    if (node->array != NO_INDEX)
        ruled |= TYPE_BIT(BSON_KIND_ARRAY);
    if (node->number != NO_INDEX)
        ruled |= TYPES_NUMBER;
    if (node->string != NO_INDEX)
        ruled |= TYPE_BIT(BSON_KIND_STRING);
    if (node->binary != NO_INDEX || node->binary_subtype >= 0 || node->encrypted != 0)
        ruled |= TYPE_BIT(BSON_KIND_BINARY);
    node->plain = node->types & ~ruled;
}

/* `anyOf` (or `oneOf`) of types with at most one alternative that has more rules: needs no
 * combination, only that alternative with a wider mask. */
static bool fold_alternatives(struct lower *l, struct rule *rule)
{
    bool any = lower_holds_only(rule, KEYWORD_BIT(KEYWORD_ANY_OF));
    const struct rule_list *list = any ? &rule->any_of : &rule->one_of;
    struct rule *full = NULL;
    type_mask simple = 0;
    if (rule->property_count > 0 || list->count == 0 ||
        (!any && !lower_holds_only(rule, KEYWORD_BIT(KEYWORD_ONE_OF))))
        return false;
    type_mask seen = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct rule *one = lower_follow(list->rules[i]);
        if (!any && (seen & one->types) != 0)
            return false; /* two alternatives may match at once */
        seen |= one->types;
        if (is_types_only(one))
            simple |= one->types;
        else if (full != NULL)
            return false;
        else
            full = one;
    }
    uint32_t to = lower_push_many(l, &l->vectors[LOWER_NODES], 1);
    uint32_t at = lower_push_many(l, &l->folds, 1);
    rule->node = to;
    if (to == NO_INDEX || at == NO_INDEX)
        return true;
    struct node *node = lower_entry(l, LOWER_NODES, to);
    *node = node_of_types(simple);
    struct fold fold = {.to = to, .simple = simple, .done = full == NULL};
    if (full != NULL)
        fold.from = lower_rule(l, full);
    if (!l->no_memory)
        ((struct fold *)l->folds.data)[at] = fold;
    return true;
}

uint32_t lower_rule(struct lower *l, struct rule *rule)
{
    rule = lower_follow(rule);
    if (l->no_memory)
        return NODE_ANY;
    if (rule->node != UINT32_MAX)
        return rule->node;
    if (is_types_only(rule) && rule->types == TYPES_ALL)
        return rule->node = NODE_ANY;
    if (fold_alternatives(l, rule))
        return rule->node;
    rule->node = lower_push_many(l, &l->vectors[LOWER_NODES], 1);
    uint32_t index = rule->node;
    struct node node = {0};
    fill_node(l, rule, &node);
    if (!l->no_memory)
        *(struct node *)lower_entry(l, LOWER_NODES, index) = node;
    return index;
}

/* `fold_of` contains, for each node, the fold that makes it, or NULL. */
static void resolve_fold(struct lower *l, struct fold *const *fold_of, struct fold *fold)
{
    if (fold->done)
        return;
    fold->done = true;
    if (fold_of[fold->from] != NULL)
        resolve_fold(l, fold_of, fold_of[fold->from]);
    struct node node = *(struct node *)lower_entry(l, LOWER_NODES, fold->from);
    node.types |= fold->simple;
    node.plain |= fold->simple;
    node.combined &= ~fold->simple;
    *(struct node *)lower_entry(l, LOWER_NODES, fold->to) = node;
}

static void resolve_folds(struct lower *l)
{
    struct fold *folds = l->folds.data;
    struct fold **fold_of =
        l->no_memory ? NULL : memory_array(l->vectors[LOWER_NODES].count, sizeof(struct fold *));
    if (fold_of == NULL) {
        l->no_memory = true;
        return;
    }
    for (size_t i = 0; i < l->folds.count; i++)
        fold_of[folds[i].to] = &folds[i];
    for (size_t i = 0; i < l->folds.count; i++)
        resolve_fold(l, fold_of, &folds[i]);
    memory_free(fold_of);
}

bool lower_schema(struct schema *schema, struct error *err)
{
    struct lower l = {.folds = {.size = sizeof(struct fold)},
                      .check_repeated = schema->dialect == SCHEMA_JSON_SCHEMA};
    struct node any = node_of_types(TYPES_ALL);
    lower_begin(&l);
    (void)lower_push(&l, LOWER_NODES, &any);
    schema->root_node = lower_rule(&l, schema->root);
    schema->document_node = lower_rule(&l, schema->document);
    resolve_folds(&l);
    bool ok = !l.no_memory && !l.too_many_names &&
              lower_assemble(&l, &schema->program, schema->document_node);
    for (size_t i = 0; i < LOWER_VECTORS; i++)
        memory_free(l.vectors[i].data);
    memory_free(l.folds.data);
    if (l.too_many_names)
        return error_set(err, ERROR_BAD_VALUE, "A sub-schema may name %d fields",
                         SCHEMA_PROPERTIES_MAX);
    return ok || error_no_memory(err, "the compiled schema");
}
