/* The search among arrays: the number of items, and the conditions for each. */
#include "compare/search_internal.h"

enum { ITEMS_MAX = 300, GOAL_RULES_MAX = 64, WANTED_MAX = 8 };

/* An item with conditions. */
struct wanted_item {
    size_t index;
    struct same_rule breaks;
};

struct array_plan {
    uint64_t min, max;
    size_t prefix; /* items from this index on all have the same rules */
    size_t rests;  /* facts of FACT_REST_BREAKS */
    bool distinct;
    bool repeated;
    bool contains; /* there is a condition on contains */
    struct wanted_item wanted[WANTED_MAX];
    size_t wanted_count;
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void add_held(struct array_plan *plan, const struct rule *rule)
{
    plan->min = larger(plan->min, rule->min_items);
    plan->max = smaller(plan->max, rule->max_items);
    if (rule->no_rest)
        plan->max = smaller(plan->max, rule->prefix.count);
    plan->distinct = plan->distinct || rule->unique_items;
    if (rule->contains == NULL)
        return;
    plan->contains = true;
    plan->min = larger(plan->min, rule->min_contains);
}

static bool want_item(struct array_plan *plan, size_t index, struct same_rule breaks)
{
    if (plan->wanted_count == WANTED_MAX)
        return false;
    plan->wanted[plan->wanted_count++] = (struct wanted_item){index, breaks};
    plan->min = larger(plan->min, index + 1);
    return true;
}

static bool add_fact(struct array_plan *plan, const struct fact *fact)
{
    const struct rule *rule = fact->of.rule;
    switch (fact->kind) {
    case FACT_HOLDS:
        add_held(plan, rule);
        break;
    case FACT_FEW_ITEMS:
        plan->max = smaller(plan->max, rule->min_items - 1);
        break;
    case FACT_MANY_ITEMS:
        plan->min = larger(plan->min, (uint64_t)rule->max_items + 1);
        break;
    case FACT_REPEATED_ITEM:
        plan->repeated = true;
        plan->min = larger(plan->min, 2);
        break;
    case FACT_ITEM_BREAKS:
        return want_item(plan, fact->index, fact->of);
    case FACT_REST_BREAKS:
        plan->rests++;
        break;
    case FACT_MANY_MATCHES:
        plan->min = larger(plan->min, (uint64_t)rule->max_contains + 1);
        plan->contains = true;
        break;
    case FACT_FEW_MATCHES:
        plan->contains = true;
        break;
    default:
        return true;
    }
    plan->prefix = (size_t)larger(plan->prefix, rule->prefix.count);
    return true;
}

/* --- items --- */

struct item_goal {
    struct same_rule holds[GOAL_RULES_MAX], breaks[GOAL_RULES_MAX];
    struct goal goal;
};

static void add_rule(struct same_rule *list, size_t *count, struct same_rule of)
{
    if (of.rule != NULL && *count < GOAL_RULES_MAX) /* further rules are left out */
        list[(*count)++] = of;
}

/* The treatment of `contains`. */
enum contains_way { CONTAINS_LEFT_OUT, CONTAINS_WANTED, CONTAINS_AVOIDED };

static void add_contains(struct item_goal *item, const struct fact *fact, enum contains_way way)
{
    struct same_rule of = {fact->of.schema, fact->of.rule->contains};
    bool wants = (fact->kind == FACT_HOLDS && fact->of.rule->min_contains > 0) ||
                 fact->kind == FACT_MANY_MATCHES;
    bool avoids = (fact->kind == FACT_HOLDS && fact->of.rule->max_contains < UINT32_MAX) ||
                  fact->kind == FACT_FEW_MATCHES;
    if (way == CONTAINS_WANTED && wants)
        add_rule(item->holds, &item->goal.hold_count, of);
    if (way == CONTAINS_AVOIDED && avoids)
        add_rule(item->breaks, &item->goal.break_count, of);
}

static void make_item_goal(const struct branch *branch, const struct array_plan *plan, size_t index,
                           enum contains_way way, struct item_goal *item)
{
    item->goal = (struct goal){.holds = item->holds, .breaks = item->breaks};
    for (const struct fact *fact = fact_first_held(branch); fact != NULL;
         fact = fact_next_held(fact)) {
        const struct rule *rule = fact->of.rule;
        const struct rule *one =
            index < rule->prefix.count ? rule->prefix.rules[index] : rule->rest;
        add_rule(item->holds, &item->goal.hold_count, (struct same_rule){fact->of.schema, one});
    }
    for (size_t i = 0; i < plan->wanted_count; i++)
        if (plan->wanted[i].index == index)
            add_rule(item->breaks, &item->goal.break_count, plan->wanted[i].breaks);
    for (const struct fact *fact = branch->facts; fact != NULL && way != CONTAINS_LEFT_OUT;
         fact = fact->next)
        if (fact->of.rule != NULL && fact->of.rule->contains != NULL)
            add_contains(item, fact, way);
}

static struct made_value make_array(struct search *s, const struct made_value *items, size_t count)
{
    struct build build;
    struct bytes bytes;
    struct made_value value = {0};
    build_begin(&build, SEARCH_BYTES_MAX);
    build_open_array(&build, "v");
    for (size_t i = 0; i < count; i++)
        build_value(&build, NULL, items[i].kind, items[i].bytes);
    build_close(&build);
    struct scan_element array;
    if (build_finish(&build, &bytes) && scan_find(bytes, "v", &array))
        value = made_bytes(s, BSON_KIND_ARRAY, array.value.pos, bytes_left(&array.value));
    build_free(&build);
    return value;
}

/* Makes all items; those from `wanted_from` on meet the wish of `contains`. */
static enum answer fill(struct search *s, const struct branch *branch,
                        const struct array_plan *plan, enum contains_way before, size_t wanted_from,
                        struct made_value *items, size_t count)
{
    struct item_goal *item = arena_alloc(s->arena, 1, sizeof *item);
    enum answer all = ANSWER_FOUND;
    if (item == NULL)
        return ANSWER_UNKNOWN;
    for (size_t i = 0; i < count && all != ANSWER_IMPOSSIBLE; i++) {
        make_item_goal(branch, plan, i, i >= wanted_from ? CONTAINS_WANTED : before, item);
        enum answer answer = search_value(s, &item->goal, TYPES_ALL, &items[i]);
        if (answer == ANSWER_FOUND && plan->distinct && !plan->repeated) {
            item->goal.others = items;
            item->goal.other_count = i;
            if (i > 0)
                answer = search_value(s, &item->goal, TYPES_ALL, &items[i]);
        }
        all = answer_both(all, answer);
    }
    return all;
}

static enum answer accept(struct search *s, const struct branch *branch,
                          const struct made_value *items, size_t count, struct made_value *out)
{
    struct made_value array = make_array(s, items, count);
    struct branch one = *branch;
    one.types = TYPE_BIT(BSON_KIND_ARRAY);
    return search_accept(s, &one, array, out) == ANSWER_FOUND ? ANSWER_FOUND : ANSWER_UNKNOWN;
}

/* Tries pairs of equal items, one after the other. */
static enum answer accept_repeated(struct search *s, const struct branch *branch,
                                   struct made_value *items, size_t count, struct made_value *out)
{
    for (size_t i = 0; i < count && i < 8; i++) {
        for (size_t j = 0; j < count && j < 8; j++) {
            struct made_value kept = items[j];
            items[j] = items[i];
            if (i != j && accept(s, branch, items, count, out) == ANSWER_FOUND)
                return ANSWER_FOUND;
            items[j] = kept;
        }
    }
    return ANSWER_UNKNOWN;
}

/* Tries likely ways to meet the conditions on `contains`. */
static enum answer with_contains(struct search *s, const struct branch *branch,
                                 const struct array_plan *plan, struct made_value *items,
                                 struct made_value *out)
{
    for (uint64_t count = plan->min; count <= plan->max && count < plan->min + 3; count++) {
        if (count > ITEMS_MAX)
            break;
        for (size_t from = 0; from <= count && from <= 8; from++) {
            if (!search_spend(s))
                return ANSWER_UNKNOWN;
            if (fill(s, branch, plan, CONTAINS_AVOIDED, from, items, (size_t)count) ==
                    ANSWER_FOUND &&
                accept(s, branch, items, (size_t)count, out) == ANSWER_FOUND)
                return ANSWER_FOUND;
        }
    }
    return ANSWER_UNKNOWN;
}

static enum answer solve(struct search *s, const struct branch *branch,
                         const struct array_plan *plan, struct made_value *out)
{
    if (plan->min > plan->max || (plan->distinct && plan->repeated))
        return ANSWER_IMPOSSIBLE;
    size_t count = (size_t)smaller(plan->min, ITEMS_MAX);
    struct made_value *items = arena_alloc(s->arena, ITEMS_MAX + 1, sizeof *items);
    if (items == NULL)
        return ANSWER_UNKNOWN;
    enum answer answer = fill(s, branch, plan, CONTAINS_LEFT_OUT, SIZE_MAX, items, count);
    if (answer == ANSWER_IMPOSSIBLE || plan->min > ITEMS_MAX)
        return answer == ANSWER_IMPOSSIBLE ? answer : ANSWER_UNKNOWN;
    if (answer == ANSWER_FOUND) {
        answer = plan->repeated ? accept_repeated(s, branch, items, count, out)
                                : accept(s, branch, items, count, out);
        if (answer == ANSWER_FOUND)
            return answer;
    }
    return plan->contains ? with_contains(s, branch, plan, items, out) : ANSWER_UNKNOWN;
}

/* Chooses the item for each FACT_REST_BREAKS. */
static enum answer place_rests(struct search *s, const struct branch *branch,
                               const struct fact *fact, const struct array_plan *plan,
                               struct made_value *out)
{
    bool unknown = false;
    while (fact != NULL && fact->kind != FACT_REST_BREAKS)
        fact = fact->next;
    if (fact == NULL)
        return solve(s, branch, plan, out);
    const struct rule *rule = fact->of.rule;
    size_t last = (size_t)larger(plan->prefix, rule->prefix.count) + plan->rests;
    for (size_t index = rule->prefix.count; index < last; index++) {
        struct array_plan with = *plan;
        if (!search_spend(s))
            return ANSWER_UNKNOWN;
        if (rule->no_rest)
            with.min = larger(with.min, index + 1);
        else if (!want_item(&with, index, (struct same_rule){fact->of.schema, rule->rest}))
            return ANSWER_UNKNOWN;
        enum answer answer = place_rests(s, branch, fact->next, &with, out);
        if (answer == ANSWER_FOUND)
            return answer;
        unknown = unknown || answer == ANSWER_UNKNOWN;
    }
    return unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

enum answer search_array(struct search *s, const struct branch *branch, struct made_value *out)
{
    struct array_plan plan = {.max = UINT32_MAX};
    for (const struct fact *fact = branch->facts; fact != NULL; fact = fact->next) {
        if (fact->kind == FACT_HOLDS && fact->of.rule->encrypted_types != 0)
            return ANSWER_IMPOSSIBLE;
        if (!add_fact(&plan, fact))
            return ANSWER_UNKNOWN;
    }
    return place_rests(s, branch, branch->facts, &plan, out);
}
