#include "schema/evaluate.h"

/* Values of an enum that are compared one by one, without hashing. */
#define FEW_VALUES 8

static uint32_t count_candidates(const struct evaluation *e, const uint32_t *links, uint32_t count,
                                 type_mask bit, uint32_t *candidate)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if ((e->program->nodes[links[i]].types & bit) == 0)
            continue;
        *candidate = links[i];
        found++;
    }
    return found;
}

/* A value under combination: where it is, and where it ends once some walk has told. */
struct combined {
    uint8_t kind;
    place pos;
    place end;
    place after;
    unsigned depth;
};

/* Walks the bytes if nothing did so far: from here on a refusal may be overruled. */
static bool walk_first(struct evaluation *e, struct combined *value)
{
    if (value->after == NULL)
        value->after = validate_value(value->kind, value->pos, value->end, value->depth, &e->fault);
    return value->after != NULL;
}

/* False where it is known that the value is refused; a refusal that stands is in e->refused. */
static bool must_match(struct evaluation *e, uint32_t node, struct combined *value)
{
    place after = evaluate_value(e, node, value->kind, value->pos, value->end, value->depth);
    if (after != NULL)
        value->after = after;
    return after != NULL;
}

/* The same where a refusal is no refusal of the whole. */
static bool may_match(struct evaluation *e, uint32_t node, struct combined *value)
{
    e->tentative++;
    bool matches = must_match(e, node, value);
    e->tentative--;
    return matches;
}

static bool any_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const uint32_t *links = e->program->links + c->first;
    uint32_t candidate = 0;
    uint32_t candidates = count_candidates(e, links, c->count, type_bits[value->kind], &candidate);
    if (candidates == 1)
        return must_match(e, candidate, value);
    if (candidates == 0 || !walk_first(e, value))
        return false;
    for (uint32_t i = 0; i < c->count; i++) {
        if (may_match(e, links[i], value))
            return true;
        if (stopped(e) || !spend(e, 1))
            return false;
    }
    return false;
}

static bool one_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const uint32_t *links = e->program->links + c->first;
    uint32_t candidate = 0;
    uint32_t matches = 0;
    uint32_t candidates = count_candidates(e, links, c->count, type_bits[value->kind], &candidate);
    if (candidates == 1)
        return must_match(e, candidate, value);
    if (candidates == 0 || !walk_first(e, value))
        return false;
    for (uint32_t i = 0; i < c->count && matches < 2; i++) {
        if (may_match(e, links[i], value))
            matches++;
        else if (stopped(e) || !spend(e, 1))
            return false;
    }
    return matches == 1;
}

static bool none_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    if (!walk_first(e, value))
        return false;
    return !may_match(e, e->program->links[c->first], value) && !stopped(e);
}

static bool if_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const uint32_t *links = e->program->links + c->first;
    if (!walk_first(e, value))
        return false;
    bool condition = may_match(e, links[0], value);
    if (!condition && stopped(e))
        return false;
    return must_match(e, links[condition ? 1 : 2], value);
}

/* A string among few values: their bytes are compared, which is all that equality asks of strings.
 */
static uint32_t find_among_few(const struct evaluation *e, const struct enum_rule *set,
                               const struct compare_value *value)
{
    const struct enum_value *known = &e->program->values[set->value_first];
    size_t len = bytes_left(&value->bytes);
    for (uint32_t i = 0; i < set->value_count; i++)
        if (bytes_left(&known[i].value.bytes) == len &&
            (known[i].value.kind == BSON_KIND_STRING || known[i].value.kind == BSON_KIND_SYMBOL) &&
            memcmp(known[i].value.bytes.pos, value->bytes.pos, len) == 0)
            return i;
    return NO_INDEX;
}

/* The index of the value in the set; NO_INDEX if it is not there. */
static uint32_t find_value(struct evaluation *e, const struct enum_rule *set,
                           const struct compare_value *value)
{
    if (value->kind == BSON_KIND_STRING && set->value_count <= FEW_VALUES)
        return find_among_few(e, set, value);
    const uint32_t *slots = e->program->links + set->slot_first;
    uint64_t hash = compare_hash(value);
    for (uint32_t slot = (uint32_t)hash & set->slot_mask; slots[slot] != NO_INDEX;
         slot = (slot + 1) & set->slot_mask) {
        const struct enum_value *known = &e->program->values[slots[slot]];
        if (known->hash == hash && compare_equal(value, &known->value, &e->work))
            return slots[slot] - set->value_first;
    }
    if (e->work == 0)
        (void)evaluate_cut_off(e, evaluate_work_cut_off);
    return NO_INDEX;
}

static bool enum_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    if (!walk_first(e, value))
        return false;
    struct compare_value one = {value->kind,
                                bytes_of(value->pos, (size_t)(value->after - value->pos))};
    return find_value(e, &e->program->enums[c->first], &one) != NO_INDEX;
}

static bool alternatives_match(struct evaluation *e, const struct combination *c,
                               struct combined *value)
{
    return c->kind == COMBINE_ANY ? any_matches(e, c, value) : one_matches(e, c, value);
}

/* Finds the tag's string and goes to the one alternative that has it. */
static bool tag_matches(struct evaluation *e, const struct combination *c, struct combined *value)
{
    const struct tag_rule *tag = &e->program->tags[c->first];
    const char *name = e->program->text + tag->name;
    struct scan_element field;
    if (value->kind != BSON_KIND_OBJECT ||
        !scan_find(bytes_of(value->pos, (size_t)(value->end - value->pos)), name, &field) ||
        field.kind != BSON_KIND_STRING || bytes_left(&field.value) < 5)
        return alternatives_match(e, &tag->otherwise, value);
    const struct enum_rule *set = &e->program->enums[tag->values];
    struct compare_value one = {field.kind, field.value};
    uint32_t index = find_value(e, set, &one);
    if (index == NO_INDEX)
        return false;
    return must_match(e, e->program->links[tag->links_first + index], value);
}

static bool combination_fits(struct evaluation *e, const struct combination *c,
                             struct combined *value)
{
    switch (c->kind) {
    case COMBINE_ALL:
        for (uint32_t i = 0; i < c->count; i++)
            if (!must_match(e, e->program->links[c->first + i], value))
                return false;
        return true;
    case COMBINE_ANY:
    case COMBINE_ONE:
        return alternatives_match(e, c, value);
    case COMBINE_NOT:
        return none_matches(e, c, value);
    case COMBINE_IF:
        return if_matches(e, c, value);
    case COMBINE_ENUM:
        return enum_matches(e, c, value);
    default:
        return tag_matches(e, c, value);
    }
}

place evaluate_combinations(struct evaluation *e, const struct node *node, uint8_t kind, place pos,
                            place end, unsigned depth, place after)
{
    struct combined value = {kind, pos, end, after, depth};
    if (!spend(e, 1))
        return NULL;
    /* After a refusal that stands, only the bytes are still of interest. */
    for (uint32_t i = 0; i < node->combination_count && !e->refused; i++)
        if (!combination_fits(e, &e->program->combinations[node->combination_first + i], &value)) {
            if (stopped(e) || e->tentative > 0 || !walk_first(e, &value))
                return NULL;
            return evaluate_refuse(e, value.after);
        }
    return walk_first(e, &value) ? value.after : NULL;
}
