#include "schema/lower.h"

#include "base/keyed_hash.h"
#include "base/memory.h"
#include "schema/quick.h"

#include <math.h>

/* A growing array of one of the program's structs. */
struct vector {
    void *data;
    size_t count;
    size_t room;
    size_t size; /* of one */
};

enum vector_id {
    NODES,
    OBJECTS,
    PROPERTIES,
    ARRAYS,
    NUMBERS,
    BOUNDS,
    STRINGS,
    COMBINATIONS,
    ENUMS,
    VALUES,
    TAGS,
    PATTERNS,
    DEPENDENCIES,
    BITS,
    LINKS,
    TEXT,
    VECTOR_COUNT
};

/* Node `to` is node `from` that also takes the types in `simple` as they are: `anyOf: [T, null]`.
 * Copied when all is lowered, because T may be under way. */
struct fold {
    uint32_t to;
    uint32_t from;
    type_mask simple;
    bool done;
};

struct lower {
    struct vector vectors[VECTOR_COUNT];
    struct vector folds;
    bool no_memory;
    bool too_many_names;
    bool check_repeated;
};

/* Takes these types as they are, and no other. */
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

/* --- vectors --- */

/* The index of `count` new zeroed entries. */
static uint32_t push_many(struct lower *l, struct vector *v, size_t count)
{
    if (v->count + count > v->room || v->data == NULL) {
        size_t room = v->room < 16 ? 16 : v->room;
        while (room < v->count + count)
            room *= 2;
        void *data = l->no_memory ? NULL : memory_resize(v->data, room * v->size);
        if (data == NULL) {
            l->no_memory = true;
            return NO_INDEX;
        }
        v->data = data;
        v->room = room;
    }
    memset((char *)v->data + v->count * v->size, 0, count * v->size);
    v->count += count;
    return (uint32_t)(v->count - count);
}

static void *entry(struct lower *l, enum vector_id id, size_t index)
{
    struct vector *v = &l->vectors[id];
    return (char *)v->data + index * v->size;
}

static uint32_t push(struct lower *l, enum vector_id id, const void *value)
{
    uint32_t index = push_many(l, &l->vectors[id], 1);
    if (index != NO_INDEX)
        memcpy(entry(l, id, index), value, l->vectors[id].size);
    return index;
}

static void set_link(struct lower *l, uint32_t index, uint32_t value)
{
    if (!l->no_memory)
        *(uint32_t *)entry(l, LINKS, index) = value;
}

static uint32_t push_text(struct lower *l, const char *text, size_t len)
{
    uint32_t at = push_many(l, &l->vectors[TEXT], len + 1);
    if (at != NO_INDEX)
        memcpy(entry(l, TEXT, at), text, len);
    return at;
}

static uint32_t slots_for(size_t count)
{
    uint32_t size = 4;
    while (size < count * 2)
        size *= 2;
    return size;
}

static uint32_t push_slots(struct lower *l, uint32_t size)
{
    uint32_t first = push_many(l, &l->vectors[LINKS], size);
    for (uint32_t i = 0; first != NO_INDEX && i < size; i++)
        set_link(l, first + i, NO_INDEX);
    return first;
}

static void fill_slot(struct lower *l, uint32_t first, uint32_t mask, uint64_t hash, uint32_t value)
{
    uint32_t slot = (uint32_t)hash & mask;
    if (l->no_memory)
        return;
    while (*(uint32_t *)entry(l, LINKS, first + slot) != NO_INDEX)
        slot = (slot + 1) & mask;
    set_link(l, first + slot, value);
}

static uint32_t lower_rule(struct lower *l, struct rule *rule);

static uint32_t lower_list(struct lower *l, const struct rule_list *list)
{
    uint32_t first = push_many(l, &l->vectors[LINKS], list->count);
    for (size_t i = 0; i < list->count; i++)
        set_link(l, first + (uint32_t)i, lower_rule(l, list->rules[i]));
    return first;
}

/* --- what kind of rule it is --- */

#define ANNOTATIONS                                                                                \
    (KEYWORD_BIT(KEYWORD_TITLE) | KEYWORD_BIT(KEYWORD_DESCRIPTION) | KEYWORD_BIT(KEYWORD_DEFS) |   \
     KEYWORD_BIT(KEYWORD_ANNOTATION) | KEYWORD_BIT(KEYWORD_DISCRIMINATOR) |                        \
     KEYWORD_BIT(KEYWORD_FORMAT) | KEYWORD_BIT(KEYWORD_CONTENT_MEDIA_TYPE) |                       \
     KEYWORD_BIT(KEYWORD_ENCRYPT_METADATA))

static bool holds_only(const struct rule *rule, uint64_t keywords)
{
    return (rule->present & ~(keywords | ANNOTATIONS)) == 0;
}

/* The rule that a mere reference stands for. */
static struct rule *follow(struct rule *rule)
{
    while (rule->ref != NULL && holds_only(rule, KEYWORD_BIT(KEYWORD_REF)))
        rule = rule->ref;
    return rule;
}

static bool is_types_only(const struct rule *rule)
{
    return holds_only(rule, KEYWORD_BIT(KEYWORD_TYPE) | KEYWORD_BIT(KEYWORD_BSON_TYPE)) &&
           rule->property_count == 0 && !rule->integral && rule->binary_subtype < 0 &&
           rule->encrypted_types == 0;
}

/* --- strings and numbers --- */

static uint32_t lower_string(struct lower *l, const struct rule *rule)
{
    struct string_rule string = {rule->min_length, rule->max_length, rule->pattern,
                                 rule->pattern == NULL ? NULL : pattern_row(rule->pattern)};
    if (rule->pattern == NULL && rule->min_length == 0 && rule->max_length == UINT32_MAX)
        return NO_INDEX;
    return push(l, STRINGS, &string);
}

static bool admits(const struct rule_bound *bound, bool upper, const struct number *value)
{
    int order = number_compare(value, &bound->value);
    return upper ? order < 0 || (order == 0 && !bound->exclusive)
                 : order > 0 || (order == 0 && !bound->exclusive);
}

static struct number integer_at(uint64_t rank)
{
    return (struct number){.form = NUMBER_INTEGER, .integer = (int64_t)(rank ^ (1ULL << 63))};
}

/* Doubles in their order, from -infinity at rank 0. */
static struct number real_at(uint64_t rank)
{
    uint64_t least = ~0xFFF0000000000000ULL; /* of -infinity, flipped as below */
    uint64_t flipped = rank + least;
    uint64_t bits = (flipped >> 63) != 0 ? flipped ^ (1ULL << 63) : ~flipped;
    struct number n = {.form = NUMBER_DOUBLE};
    memcpy(&n.real, &bits, sizeof n.real);
    return n;
}

#define REAL_RANKS ((0x7FF0000000000000ULL | 1ULL << 63) - ~0xFFF0000000000000ULL)

/* The rank of the outermost value that the bound admits; false if it admits none. */
static bool find_limit(const struct rule_bound *bound, bool upper, uint64_t ranks,
                       struct number (*at)(uint64_t), struct number *limit)
{
    uint64_t low = 0;
    uint64_t high = ranks; /* the last rank */
    struct number inner = at(upper ? low : high);
    if (!admits(bound, upper, &inner))
        return false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2 + (upper ? (high - low) % 2 : 0);
        struct number value = at(middle);
        if (upper == admits(bound, upper, &value)) {
            if (upper)
                low = middle;
            else
                low = middle + 1;
        } else if (upper) {
            high = middle - 1;
        } else {
            high = middle;
        }
    }
    *limit = at(low);
    return true;
}

static void narrow(struct number_rule *number, const struct rule_bound *bound, bool upper)
{
    struct number limit;
    bool any = find_limit(bound, upper, UINT64_MAX, integer_at, &limit);
    if (!any) {
        number->min_integer = INT64_MAX;
        number->max_integer = INT64_MIN;
    } else if (upper && limit.integer < number->max_integer) {
        number->max_integer = limit.integer;
    } else if (!upper && limit.integer > number->min_integer) {
        number->min_integer = limit.integer;
    }
    any = find_limit(bound, upper, REAL_RANKS, real_at, &limit);
    if (!any) {
        number->min_real = INFINITY;
        number->max_real = -INFINITY;
    } else if (upper && limit.real < number->max_real) {
        number->max_real = limit.real;
    } else if (!upper && limit.real > number->min_real) {
        number->min_real = limit.real;
    }
}

static void lower_bound(struct lower *l, struct number_rule *number, const struct rule_bound *bound,
                        bool upper)
{
    struct number_bound written = {bound->value, upper, bound->exclusive};
    if (!bound->set)
        return;
    uint32_t index = push(l, BOUNDS, &written);
    if (number->bound_count++ == 0)
        number->bound_first = index;
    if (number_is_nan(&bound->value))
        number->exact = true;
    else
        narrow(number, bound, upper);
}

static uint32_t lower_number(struct lower *l, const struct rule *rule)
{
    struct number_rule number = {.min_integer = INT64_MIN,
                                 .max_integer = INT64_MAX,
                                 .min_real = -INFINITY,
                                 .max_real = INFINITY,
                                 .integral = rule->integral,
                                 .has_multiple = rule_has(rule, KEYWORD_MULTIPLE_OF),
                                 .multiple_of = rule->multiple_of};
    for (size_t i = 0; i < 2; i++) {
        lower_bound(l, &number, &rule->lower[i], false);
        lower_bound(l, &number, &rule->upper[i], true);
    }
    if (number.bound_count == 0 && !number.integral && !number.has_multiple)
        return NO_INDEX;
    return push(l, NUMBERS, &number);
}

/* --- enum --- */

static uint32_t lower_values(struct lower *l, const struct scan_element *values, size_t count)
{
    uint32_t size = slots_for(count);
    struct enum_rule set = {.slot_first = push_slots(l, size),
                            .slot_mask = size - 1,
                            .value_first = push_many(l, &l->vectors[VALUES], count),
                            .value_count = (uint32_t)count};
    for (size_t i = 0; i < count && !l->no_memory; i++) {
        struct enum_value value = {.value = {values[i].kind, values[i].value}};
        value.hash = compare_hash(&value.value);
        value.head = quick_string_head(&value.value);
        *(struct enum_value *)entry(l, VALUES, set.value_first + i) = value;
        fill_slot(l, set.slot_first, set.slot_mask, value.hash, set.value_first + (uint32_t)i);
    }
    return push(l, ENUMS, &set);
}

static type_mask types_of_values(const struct scan_element *values, size_t count)
{
    const type_mask text = TYPE_BIT(BSON_KIND_STRING) | TYPE_BIT(BSON_KIND_SYMBOL);
    type_mask types = 0;
    for (size_t i = 0; i < count; i++)
        types |= type_bits[values[i].kind];
    if ((types & TYPES_NUMBER) != 0)
        types |= TYPES_NUMBER;
    if ((types & text) != 0)
        types |= text;
    return types;
}

/* --- arrays --- */

static uint32_t lower_array(struct lower *l, const struct rule *rule)
{
    if (rule->prefix.count == 0 && rule->rest == NULL && !rule->no_rest && rule->min_items == 0 &&
        rule->max_items == UINT32_MAX && rule->contains == NULL && !rule->unique_items)
        return NO_INDEX;
    struct array_rule array = {.prefix_first = lower_list(l, &rule->prefix),
                               .prefix_count = (uint32_t)rule->prefix.count,
                               .rest = quick_none(NODE_ANY),
                               .min_items = rule->min_items,
                               .max_items = rule->max_items,
                               .contains = NO_INDEX,
                               .min_contains = rule->min_contains,
                               .max_contains = rule->max_contains,
                               .unique = rule->unique_items};
    if (rule->rest != NULL)
        array.rest.node = lower_rule(l, rule->rest);
    if (rule->no_rest)
        array.rest.node = NODE_NOTHING;
    if (rule->contains != NULL)
        array.contains = lower_rule(l, rule->contains);
    return push(l, ARRAYS, &array);
}

/* --- objects --- */

/* The names of one object's rule while they are gathered. */
struct names {
    struct property *list;
    uint32_t count;
    uint32_t room;
};

static uint32_t add_name(struct lower *l, struct names *names, const char *name, size_t len,
                         uint32_t node)
{
    uint32_t hash = (uint32_t)keyed_hash(name, len);
    for (uint32_t i = 0; i < names->count; i++)
        if (names->list[i].hash == hash && names->list[i].name_len == len && !l->no_memory &&
            memcmp(entry(l, TEXT, names->list[i].name), name, len) == 0)
            return i;
    if (names->count == names->room) {
        l->too_many_names = true;
        return 0;
    }
    struct property *property = &names->list[names->count];
    *property = (struct property){.head = quick_name_head(name, len),
                                  .quick = quick_none(node),
                                  .name_len = (uint32_t)len,
                                  .hash = hash,
                                  .bit = (uint64_t)1 << (names->count % 64)};
    property->name = push_text(l, name, len);
    return names->count++;
}

static void lower_dependencies(struct lower *l, const struct rule *rule, struct names *names,
                               struct object_rule *object)
{
    struct scan scan;
    struct scan_element name;
    object->dependency_first = push_many(l, &l->vectors[DEPENDENCIES], rule->dependency_count);
    object->dependency_count = (uint32_t)rule->dependency_count;
    for (size_t i = 0; i < rule->dependency_count && !l->no_memory; i++) {
        const struct rule_dependency *from = &rule->dependencies[i];
        struct dependency to = {.property =
                                    add_name(l, names, from->name, from->name_len, NODE_OTHER),
                                .node = from->rule != NULL ? lower_rule(l, from->rule) : NO_INDEX};
        to.name_first = (uint32_t)l->vectors[LINKS].count;
        if (from->rule == NULL) {
            (void)scan_open(&scan, from->element.value);
            while (scan_next(&scan, &name)) {
                const char *text = NULL;
                size_t len = 0;
                (void)scan_as_string(&name, &text, &len);
                uint32_t index = add_name(l, names, text, len, NODE_OTHER);
                (void)push(l, LINKS, &index);
                to.name_count++;
            }
        }
        if (!l->no_memory)
            *(struct dependency *)entry(l, DEPENDENCIES, object->dependency_first + i) = to;
    }
}

static void store_names(struct lower *l, const struct names *names, struct object_rule *object)
{
    uint32_t size = slots_for(names->count);
    /* Two more, longer than any name, so that prediction may run past the last. */
    static const struct property never = {.head = {.need = HEAD_NEVER}, .name_len = UINT32_MAX};
    object->property_first = (uint32_t)l->vectors[PROPERTIES].count;
    object->property_count = names->count;
    for (uint32_t i = 0; i < names->count; i++)
        (void)push(l, PROPERTIES, &names->list[i]);
    (void)push(l, PROPERTIES, &never);
    (void)push(l, PROPERTIES, &never);
    object->slot_first = push_slots(l, size);
    object->slot_mask = size - 1;
    for (uint32_t i = 0; i < names->count; i++)
        fill_slot(l, object->slot_first, object->slot_mask, names->list[i].hash, i);
}

static void lower_names(struct lower *l, const struct rule *rule, struct names *names,
                        struct object_rule *object)
{
    for (size_t i = 0; i < rule->property_count; i++)
        (void)add_name(l, names, rule->properties[i].name, rule->properties[i].name_len,
                       lower_rule(l, rule->properties[i].rule));
    uint32_t required_words = (names->room + 63) / 64;
    uint64_t *required = memory_array(required_words, sizeof *required);
    if (required == NULL) {
        l->no_memory = true;
        return;
    }
    for (size_t i = 0; i < rule->required_count; i++) {
        uint32_t bit =
            add_name(l, names, rule->required[i].name, rule->required[i].name_len, NODE_OTHER);
        required[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
    lower_dependencies(l, rule, names, object);
    object->words = names->count == 0 ? 1 : (names->count + 63) / 64;
    object->required_first = push_many(l, &l->vectors[BITS], object->words);
    for (uint32_t i = 0; i < object->words && i < required_words && !l->no_memory; i++)
        *(uint64_t *)entry(l, BITS, object->required_first + i) = required[i];
    if (required_words > 0)
        object->required = required[0];
    memory_free(required);
    store_names(l, names, object);
}

static bool has_object_rules(const struct rule *rule)
{
    return rule->property_count > 0 || rule->required_count > 0 || rule->additional != NULL ||
           rule->no_additional || rule->pattern_count > 0 || rule->min_properties > 0 ||
           rule->max_properties < UINT32_MAX || rule->names != NULL || rule->dependency_count > 0;
}

/* No fewer than the names that the rule knows, but for the limit. */
static uint32_t count_names(const struct rule *rule)
{
    size_t count = rule->property_count + rule->required_count + rule->dependency_count;
    for (size_t i = 0; i < rule->dependency_count; i++) {
        struct scan scan;
        struct scan_element name;
        if (rule->dependencies[i].rule != NULL)
            continue;
        (void)scan_open(&scan, rule->dependencies[i].element.value);
        while (scan_next(&scan, &name))
            count++;
    }
    return count < SCHEMA_PROPERTIES_MAX ? (uint32_t)count : SCHEMA_PROPERTIES_MAX;
}

static uint32_t lower_object(struct lower *l, const struct rule *rule)
{
    if (!has_object_rules(rule))
        return NO_INDEX;
    struct object_rule object = {.min_properties = rule->min_properties,
                                 .max_properties = rule->max_properties,
                                 .additional = NODE_ANY,
                                 .names = NO_INDEX,
                                 .asks_more = rule->min_properties > 0 ||
                                              rule->max_properties < UINT32_MAX ||
                                              rule->dependency_count > 0,
                                 .check_repeated = l->check_repeated};
    if (rule->additional != NULL)
        object.additional = lower_rule(l, rule->additional);
    if (rule->no_additional)
        object.additional = NODE_NOTHING;
    if (rule->names != NULL)
        object.names = lower_rule(l, rule->names);
    struct names names = {.room = count_names(rule)};
    names.list = memory_array(names.room, sizeof *names.list);
    if (names.list == NULL) {
        l->no_memory = true;
        return NO_INDEX;
    }
    lower_names(l, rule, &names, &object);
    memory_free(names.list);
    object.pattern_first = push_many(l, &l->vectors[PATTERNS], rule->pattern_count);
    object.pattern_count = (uint32_t)rule->pattern_count;
    for (size_t i = 0; i < rule->pattern_count && !l->no_memory; i++) {
        struct pattern_property pattern = {rule->patterns[i].pattern,
                                           lower_rule(l, rule->patterns[i].rule)};
        if (!l->no_memory)
            *(struct pattern_property *)entry(l, PATTERNS, object.pattern_first + i) = pattern;
    }
    return push(l, OBJECTS, &object);
}

/* --- combinations --- */

/* Values of a tag that are compared with each other; a field with more is no discriminator. */
#define TAG_VALUES_MAX 1024

/* The strings that a rule's property must be one of; NULL if it is not held to strings. */
static struct rule *tag_values(struct rule *rule, const char *name, size_t len)
{
    rule = follow(rule);
    for (size_t i = 0; i < rule->property_count; i++) {
        struct rule *property = follow(rule->properties[i].rule);
        if (rule->properties[i].name_len != len || memcmp(rule->properties[i].name, name, len) != 0)
            continue;
        for (size_t v = 0; v < property->value_count; v++)
            if (property->values[v].kind != BSON_KIND_STRING)
                return NULL;
        return property->value_count > 0 ? property : NULL;
    }
    return NULL;
}

/* Gathers the tag values of all alternatives, each with its alternative's node. False where they do
 * not tell the alternatives apart. */
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
            uint32_t at = push_many(l, values, 1);
            if (push_many(l, nodes, 1) == NO_INDEX || at == NO_INDEX)
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
        struct tag_rule tag = {.name = push_text(l, name, len),
                               .name_len = (uint32_t)len,
                               .values = lower_values(l, values.data, values.count),
                               .links_first = push_many(l, &l->vectors[LINKS], nodes.count),
                               .otherwise = *combination};
        for (size_t i = 0; i < nodes.count; i++)
            set_link(l, tag.links_first + (uint32_t)i, ((uint32_t *)nodes.data)[i]);
        *combination = (struct combination){COMBINE_TAG, push(l, TAGS, &tag), 1};
    }
    memory_free(values.data);
    memory_free(nodes.data);
    return found;
}

/* Looks for a field that tells the alternatives apart: the discriminator's, or any property of the
 * first one. */
static void find_tag(struct lower *l, const struct rule *rule, const struct rule_list *list,
                     struct combination *combination)
{
    const struct rule *first = follow(list->rules[0]);
    if (list->count < 2)
        return;
    if (rule->tag != NULL && try_tag(l, list, rule->tag, rule->tag_len, combination))
        return;
    for (size_t i = 0; i < first->property_count; i++)
        if (follow(first->properties[i].rule)->value_count > 0 &&
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
    uint32_t at = push_many(l, out, 1);
    if (at != NO_INDEX)
        ((struct combination *)out->data)[at] = combination;
}

static void add_singles(struct lower *l, enum combination_kind kind, struct rule *const *rules,
                        size_t count, struct vector *out)
{
    struct combination combination = {kind, push_many(l, &l->vectors[LINKS], count),
                                      (uint32_t)count};
    for (size_t i = 0; i < count; i++)
        set_link(l, combination.first + (uint32_t)i,
                 rules[i] == NULL ? NODE_ANY : lower_rule(l, rules[i]));
    uint32_t at = push_many(l, out, 1);
    if (at != NO_INDEX)
        ((struct combination *)out->data)[at] = combination;
}

static void lower_combinations(struct lower *l, const struct rule *rule, struct node *node)
{
    struct vector list = {.size = sizeof(struct combination)};
    if (rule_has(rule, KEYWORD_ENUM) || rule_has(rule, KEYWORD_CONST)) {
        struct combination combination = {COMBINE_ENUM,
                                          lower_values(l, rule->values, rule->value_count), 1};
        uint32_t at = push_many(l, &list, 1);
        if (at != NO_INDEX)
            ((struct combination *)list.data)[at] = combination;
        node->types &= types_of_values(rule->values, rule->value_count);
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
    node->combination_first = push_many(l, &l->vectors[COMBINATIONS], list.count);
    node->combination_count = (uint32_t)list.count;
    if (list.count > 0 && !l->no_memory) {
        memcpy(entry(l, COMBINATIONS, node->combination_first), list.data, list.count * list.size);
        node->combined = node->types;
    }
    memory_free(list.data);
}

/* --- nodes --- */

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

/* `anyOf` (or `oneOf`) of types, and at most one alternative that asks for more: no combination,
 * but that alternative with a wider mask. */
static bool fold_alternatives(struct lower *l, struct rule *rule)
{
    bool any = holds_only(rule, KEYWORD_BIT(KEYWORD_ANY_OF));
    const struct rule_list *list = any ? &rule->any_of : &rule->one_of;
    struct rule *full = NULL;
    type_mask simple = 0;
    if (rule->property_count > 0 || list->count == 0 ||
        (!any && !holds_only(rule, KEYWORD_BIT(KEYWORD_ONE_OF))))
        return false;
    type_mask seen = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct rule *one = follow(list->rules[i]);
        if (!any && (seen & one->types) != 0)
            return false; /* two may match at once */
        seen |= one->types;
        if (is_types_only(one))
            simple |= one->types;
        else if (full != NULL)
            return false;
        else
            full = one;
    }
    uint32_t to = push_many(l, &l->vectors[NODES], 1);
    uint32_t at = push_many(l, &l->folds, 1);
    rule->node = to;
    if (to == NO_INDEX || at == NO_INDEX)
        return true;
    struct node *node = entry(l, NODES, to);
    *node = node_of_types(simple);
    struct fold fold = {.to = to, .simple = simple, .done = full == NULL};
    if (full != NULL)
        fold.from = lower_rule(l, full);
    if (!l->no_memory)
        ((struct fold *)l->folds.data)[at] = fold;
    return true;
}

static uint32_t lower_rule(struct lower *l, struct rule *rule)
{
    rule = follow(rule);
    if (l->no_memory)
        return NODE_ANY;
    if (rule->node != UINT32_MAX)
        return rule->node;
    if (is_types_only(rule) && rule->types == TYPES_ALL)
        return rule->node = NODE_ANY;
    if (fold_alternatives(l, rule))
        return rule->node;
    rule->node = push_many(l, &l->vectors[NODES], 1);
    uint32_t index = rule->node;
    struct node node = {0};
    fill_node(l, rule, &node);
    if (!l->no_memory)
        *(struct node *)entry(l, NODES, index) = node;
    return index;
}

/* `fold_of` has for each node the fold that makes it, or NULL. */
static void resolve_fold(struct lower *l, struct fold *const *fold_of, struct fold *fold)
{
    if (fold->done)
        return;
    fold->done = true;
    if (fold_of[fold->from] != NULL)
        resolve_fold(l, fold_of, fold_of[fold->from]);
    struct node node = *(struct node *)entry(l, NODES, fold->from);
    node.types |= fold->simple;
    node.plain |= fold->simple;
    node.combined &= ~fold->simple;
    *(struct node *)entry(l, NODES, fold->to) = node;
}

static void resolve_folds(struct lower *l)
{
    struct fold *folds = l->folds.data;
    struct fold **fold_of =
        l->no_memory ? NULL : memory_array(l->vectors[NODES].count, sizeof(struct fold *));
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

/* --- the block --- */

static bool assemble(struct lower *l, struct program *program, uint32_t document_node)
{
    size_t offsets[VECTOR_COUNT];
    size_t total = 0;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        total = (total + 63) / 64 * 64;
        offsets[i] = total;
        total += l->vectors[i].count * l->vectors[i].size;
    }
    char *block = memory_zalloc(total);
    if (block == NULL)
        return false;
    for (size_t i = 0; i < VECTOR_COUNT; i++)
        if (l->vectors[i].count > 0)
            memcpy(block + offsets[i], l->vectors[i].data,
                   l->vectors[i].count * l->vectors[i].size);
    *program = (struct program){
        .block = block,
        .bytes = total,
        .nodes = (const void *)(block + offsets[NODES]),
        .objects = (const void *)(block + offsets[OBJECTS]),
        .properties = (const void *)(block + offsets[PROPERTIES]),
        .arrays = (const void *)(block + offsets[ARRAYS]),
        .numbers = (const void *)(block + offsets[NUMBERS]),
        .bounds = (const void *)(block + offsets[BOUNDS]),
        .strings = (const void *)(block + offsets[STRINGS]),
        .combinations = (const void *)(block + offsets[COMBINATIONS]),
        .enums = (const void *)(block + offsets[ENUMS]),
        .values = (const void *)(block + offsets[VALUES]),
        .tags = (const void *)(block + offsets[TAGS]),
        .patterns = (const void *)(block + offsets[PATTERNS]),
        .dependencies = (const void *)(block + offsets[DEPENDENCIES]),
        .bits = (const void *)(block + offsets[BITS]),
        .links = (const void *)(block + offsets[LINKS]),
        .text = block + offsets[TEXT],
    };
    quick_fill(program, document_node, (void *)(block + offsets[PROPERTIES]),
               (void *)(block + offsets[ARRAYS]), l->vectors[OBJECTS].count,
               l->vectors[ARRAYS].count);
    return true;
}

static void set_sizes(struct lower *l)
{
    static const size_t sizes[VECTOR_COUNT] = {
        [NODES] = sizeof(struct node),
        [OBJECTS] = sizeof(struct object_rule),
        [PROPERTIES] = sizeof(struct property),
        [ARRAYS] = sizeof(struct array_rule),
        [NUMBERS] = sizeof(struct number_rule),
        [BOUNDS] = sizeof(struct number_bound),
        [STRINGS] = sizeof(struct string_rule),
        [COMBINATIONS] = sizeof(struct combination),
        [ENUMS] = sizeof(struct enum_rule),
        [VALUES] = sizeof(struct enum_value),
        [TAGS] = sizeof(struct tag_rule),
        [PATTERNS] = sizeof(struct pattern_property),
        [DEPENDENCIES] = sizeof(struct dependency),
        [BITS] = sizeof(uint64_t),
        [LINKS] = sizeof(uint32_t),
        [TEXT] = 1,
    };
    for (size_t i = 0; i < VECTOR_COUNT; i++)
        l->vectors[i].size = sizes[i];
    l->folds.size = sizeof(struct fold);
}

bool lower_schema(struct schema *schema, struct error *err)
{
    struct lower l = {.check_repeated = schema->dialect == SCHEMA_JSON_SCHEMA};
    struct node any = node_of_types(TYPES_ALL);
    set_sizes(&l);
    (void)push(&l, NODES, &any);
    schema->root_node = lower_rule(&l, schema->root);
    schema->document_node = lower_rule(&l, schema->document);
    resolve_folds(&l);
    bool ok =
        !l.no_memory && !l.too_many_names && assemble(&l, &schema->program, schema->document_node);
    for (size_t i = 0; i < VECTOR_COUNT; i++)
        memory_free(l.vectors[i].data);
    memory_free(l.folds.data);
    if (l.too_many_names)
        return error_set(err, ERROR_BAD_VALUE, "A sub-schema may name %d fields",
                         SCHEMA_PROPERTIES_MAX);
    return ok || error_no_memory(err, "the compiled schema");
}
