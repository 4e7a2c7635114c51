/* Arrays and objects. */
#include "schema/lowering.h"

#include "base/keyed_hash.h"
#include "base/memory.h"
#include "schema/quick.h"

uint32_t lower_array(struct lower *l, const struct rule *rule)
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
    return lower_push(l, LOWER_ARRAYS, &array);
}

/* --- objects --- */

/* The collected names of one object's rule. */
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
            memcmp(lower_entry(l, LOWER_TEXT, names->list[i].name), name, len) == 0)
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
    property->name = lower_push_text(l, name, len);
    return names->count++;
}

static void lower_dependencies(struct lower *l, const struct rule *rule, struct names *names,
                               struct object_rule *object)
{
    struct scan scan;
    struct scan_element name;
    object->dependency_first =
        lower_push_many(l, &l->vectors[LOWER_DEPENDENCIES], rule->dependency_count);
    object->dependency_count = (uint32_t)rule->dependency_count;
    for (size_t i = 0; i < rule->dependency_count && !l->no_memory; i++) {
        const struct rule_dependency *from = &rule->dependencies[i];
        struct dependency to = {.property =
                                    add_name(l, names, from->name, from->name_len, NODE_OTHER),
                                .node = from->rule != NULL ? lower_rule(l, from->rule) : NO_INDEX};
        to.name_first = (uint32_t)l->vectors[LOWER_LINKS].count;
        if (from->rule == NULL) {
            (void)scan_open(&scan, from->element.value);
            while (scan_next(&scan, &name)) {
                const char *text = NULL;
                size_t len = 0;
                (void)scan_as_string(&name, &text, &len);
                uint32_t index = add_name(l, names, text, len, NODE_OTHER);
                (void)lower_push(l, LOWER_LINKS, &index);
                to.name_count++;
            }
        }
        if (!l->no_memory)
            *(struct dependency *)lower_entry(l, LOWER_DEPENDENCIES, object->dependency_first + i) =
                to;
    }
}

static void store_names(struct lower *l, const struct names *names, struct object_rule *object)
{
    uint32_t size = lower_slots_for(names->count);
    /* Two more entries, longer than any name, so that prediction may run past the last one. */
    static const struct property never = {.head = {.need = HEAD_NEVER}, .name_len = UINT32_MAX};
    object->property_first = (uint32_t)l->vectors[LOWER_PROPERTIES].count;
    object->property_count = names->count;
    for (uint32_t i = 0; i < names->count; i++)
        (void)lower_push(l, LOWER_PROPERTIES, &names->list[i]);
    (void)lower_push(l, LOWER_PROPERTIES, &never);
    (void)lower_push(l, LOWER_PROPERTIES, &never);
    object->slot_first = lower_push_slots(l, size);
    object->slot_mask = size - 1;
    for (uint32_t i = 0; i < names->count; i++)
        lower_fill_slot(l, object->slot_first, object->slot_mask, names->list[i].hash, i);
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
    object->required_first = lower_push_many(l, &l->vectors[LOWER_BITS], object->words);
    for (uint32_t i = 0; i < object->words && i < required_words && !l->no_memory; i++)
        *(uint64_t *)lower_entry(l, LOWER_BITS, object->required_first + i) = required[i];
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

/* At least the number of names that the rule knows, up to the limit. */
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

uint32_t lower_object(struct lower *l, const struct rule *rule)
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
    object.pattern_first = lower_push_many(l, &l->vectors[LOWER_PATTERNS], rule->pattern_count);
    object.pattern_count = (uint32_t)rule->pattern_count;
    for (size_t i = 0; i < rule->pattern_count && !l->no_memory; i++) {
        struct pattern_property pattern = {rule->patterns[i].pattern,
                                           lower_rule(l, rule->patterns[i].rule)};
        if (!l->no_memory)
            *(struct pattern_property *)lower_entry(l, LOWER_PATTERNS, object.pattern_first + i) =
                pattern;
    }
    return lower_push(l, LOWER_OBJECTS, &object);
}
