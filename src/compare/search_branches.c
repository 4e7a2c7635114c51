/* Splits rules into branches, and passes each branch to the search for values of one type. */
#include "compare/search_internal.h"

enum task_kind {
    TASK_HOLD,
    TASK_BREAK,
    TASK_ANY,
    TASK_ONE,
    TASK_IF,
    TASK_DEPENDENCY,
    TASK_NONE_OF
};

/* A rule to split. TASK_HOLD and TASK_BREAK have one outcome, or few. */
struct task {
    enum task_kind kind;
    struct same_rule of;
    size_t index;
    const struct task *next;
};

struct expansion {
    struct branch branch;
    const struct task *tasks;   /* with one outcome */
    const struct task *choices; /* with several */
    const struct task *broken;  /* rules that do not hold, for a comparison */
};

/* One outcome of a choice. */
struct outcome {
    struct fact fact; /* kind FACT_HOLDS: none */
    struct task tasks[3];
    size_t task_count;
    const struct rule_list *none_of; /* each of them is broken */
    type_mask types;
};

bool search_spend(struct search *s)
{
    if (s->steps == 0 || s->arena->bytes > SEARCH_BYTES_MAX)
        return false;
    s->steps--;
    return true;
}

static bool add_task(struct search *s, const struct task **list, struct task task)
{
    struct task *copy = arena_alloc(s->arena, 1, sizeof *copy);
    if (copy == NULL)
        return false;
    *copy = task;
    copy->next = *list;
    *list = copy;
    return true;
}

static bool add_fact(struct search *s, struct branch *branch, struct fact fact)
{
    struct fact *copy = arena_alloc(s->arena, 1, sizeof *copy);
    if (copy == NULL)
        return false;
    *copy = fact;
    copy->next = branch->facts;
    branch->facts = copy;
    return true;
}

static struct same_rule sub_rule(struct same_rule of, const struct rule *rule)
{
    return (struct same_rule){of.schema, rule};
}

/* --- rules that hold --- */

static bool add_choices(struct search *s, struct expansion *e, struct same_rule of)
{
    const struct rule *rule = of.rule;
    bool ok = true;
    if (rule->any_of.count > 0)
        ok = add_task(s, &e->choices, (struct task){TASK_ANY, of, 0, NULL});
    if (ok && rule->one_of.count > 0)
        ok = add_task(s, &e->choices, (struct task){TASK_ONE, of, 0, NULL});
    if (ok && rule->if_ != NULL && (rule->then_ != NULL || rule->else_ != NULL))
        ok = add_task(s, &e->choices, (struct task){TASK_IF, of, 0, NULL});
    for (size_t i = 0; ok && i < rule->dependency_count; i++)
        if (rule->dependencies[i].rule != NULL)
            ok = add_task(s, &e->choices, (struct task){TASK_DEPENDENCY, of, i, NULL});
    return ok;
}

static enum answer hold(struct search *s, struct expansion *e, struct same_rule of)
{
    const struct rule *rule = of.rule;
    for (const struct fact *fact = fact_first_held(&e->branch); fact != NULL;
         fact = fact_next_held(fact))
        if (fact->of.rule == rule)
            return ANSWER_FOUND;
    for (const struct task *broken = e->broken; broken != NULL; broken = broken->next)
        if (same_rules(s->same, broken->of, of))
            return ANSWER_IMPOSSIBLE;
    e->branch.types &= rule->types;
    bool ok = add_fact(s, &e->branch, (struct fact){FACT_HOLDS, of, 0, NULL, NULL});
    if (ok && rule->ref != NULL)
        ok = add_task(s, &e->tasks, (struct task){TASK_HOLD, sub_rule(of, rule->ref), 0, NULL});
    for (size_t i = 0; ok && i < rule->all_of.count; i++)
        ok = add_task(s, &e->tasks,
                      (struct task){TASK_HOLD, sub_rule(of, rule->all_of.rules[i]), 0, NULL});
    if (ok && rule->not_ != NULL)
        ok = add_task(s, &e->tasks, (struct task){TASK_BREAK, sub_rule(of, rule->not_), 0, NULL});
    return ok && add_choices(s, e, of) ? ANSWER_FOUND : ANSWER_UNKNOWN;
}

/* --- rules that do not hold --- */

static enum answer break_rule(struct search *s, struct expansion *e, struct same_rule of)
{
    for (const struct fact *fact = fact_first_held(&e->branch); fact != NULL;
         fact = fact_next_held(fact))
        if (same_rules(s->same, fact->of, of))
            return ANSWER_IMPOSSIBLE;
    for (const struct task *broken = e->broken; broken != NULL; broken = broken->next)
        if (broken->of.rule == of.rule)
            return ANSWER_FOUND;
    return add_task(s, &e->broken, (struct task){TASK_BREAK, of, 0, NULL}) &&
                   add_task(s, &e->choices, (struct task){TASK_BREAK, of, 0, NULL})
               ? ANSWER_FOUND
               : ANSWER_UNKNOWN;
}

/* Settles all tasks with one outcome. ANSWER_FOUND: the branch can continue. */
static enum answer settle(struct search *s, struct expansion *e)
{
    while (e->tasks != NULL) {
        const struct task *task = e->tasks;
        e->tasks = task->next;
        if (!search_spend(s))
            return ANSWER_UNKNOWN;
        enum answer answer =
            task->kind == TASK_HOLD ? hold(s, e, task->of) : break_rule(s, e, task->of);
        if (answer != ANSWER_FOUND)
            return answer;
        if (e->branch.types == 0)
            return ANSWER_IMPOSSIBLE;
    }
    return ANSWER_FOUND;
}

/* --- outcomes of a choice --- */

static struct outcome plain_outcome(void)
{
    return (struct outcome){.types = TYPES_ALL};
}

static void add_outcome_task(struct outcome *outcome, enum task_kind kind, struct same_rule of)
{
    outcome->tasks[outcome->task_count++] = (struct task){kind, of, 0, NULL};
}

/* The n-th outcome; false after the last. */
static bool any_outcome(const struct task *task, size_t n, struct outcome *out)
{
    if (n >= task->of.rule->any_of.count)
        return false;
    add_outcome_task(out, TASK_HOLD, sub_rule(task->of, task->of.rule->any_of.rules[n]));
    return true;
}

/* One rule holds; the others break. */
static bool one_outcome(struct search *s, const struct task *task, size_t n, struct outcome *out)
{
    const struct rule_list *list = &task->of.rule->one_of;
    if (n >= list->count)
        return false;
    add_outcome_task(out, TASK_HOLD, sub_rule(task->of, list->rules[n]));
    struct rule_list *others = arena_alloc(s->arena, 1, sizeof *others);
    struct rule **rules = arena_alloc(s->arena, list->count, sizeof *rules);
    if (others == NULL || rules == NULL)
        return true; /* leaves the others out */
    others->rules = rules;
    for (size_t i = 0; i < list->count; i++)
        if (i != n)
            rules[others->count++] = list->rules[i];
    out->none_of = others;
    out->tasks[0].index = 0;
    return true;
}

static bool if_outcome(const struct task *task, size_t n, struct outcome *out)
{
    const struct rule *rule = task->of.rule;
    if (n > 1)
        return false;
    add_outcome_task(out, n == 0 ? TASK_HOLD : TASK_BREAK, sub_rule(task->of, rule->if_));
    const struct rule *then = n == 0 ? rule->then_ : rule->else_;
    if (then != NULL)
        add_outcome_task(out, TASK_HOLD, sub_rule(task->of, then));
    return true;
}

static bool dependency_outcome(const struct task *task, size_t n, struct outcome *out)
{
    const struct rule_dependency *dependency = &task->of.rule->dependencies[task->index];
    if (n > 2)
        return false;
    if (n == 0) {
        out->types = TYPES_ALL & ~TYPE_BIT(BSON_KIND_OBJECT);
        return true;
    }
    out->types = TYPE_BIT(BSON_KIND_OBJECT);
    out->fact =
        (struct fact){n == 1 ? FACT_ABSENT : FACT_PRESENT, task->of, 0, dependency->name, NULL};
    if (n == 2)
        add_outcome_task(out, TASK_HOLD, sub_rule(task->of, dependency->rule));
    return true;
}

/* --- the ways to break a rule --- */

#define OF_TYPE(kind) TYPE_BIT(BSON_KIND_##kind)

struct way {
    enum fact_kind kind;
    type_mask types;
    bool there;
};

static bool is_enum(const struct rule *rule)
{
    return rule_has(rule, KEYWORD_ENUM) || rule_has(rule, KEYWORD_CONST);
}

/* Lists the keywords that a rule has at most once. Returns the number of ways. */
static size_t list_ways(const struct rule *rule, struct way out[24])
{
    type_mask lengths = OF_TYPE(STRING) | (rule->binary_length ? OF_TYPE(BINARY) : (type_mask)0);
    const struct way ways[] = {
        {FACT_NOT_TYPE, TYPES_ALL & ~rule->types, rule->types != TYPES_ALL},
        {FACT_NOT_INTEGRAL, OF_TYPE(DOUBLE) | OF_TYPE(DECIMAL128), rule->integral},
        {FACT_NOT_SUBTYPE, OF_TYPE(BINARY), rule->binary_subtype >= 0},
        {FACT_NOT_ENCRYPTED, TYPES_ALL, rule->encrypted_types != 0},
        {FACT_NOT_VALUE, TYPES_ALL, is_enum(rule)},
        {FACT_NOT_PATTERN, OF_TYPE(STRING), rule->pattern != NULL},
        {FACT_TOO_SHORT, lengths, rule->min_length > 0},
        {FACT_TOO_LONG, lengths, rule->max_length < UINT32_MAX},
        {FACT_NOT_MULTIPLE, TYPES_NUMBER, rule_has(rule, KEYWORD_MULTIPLE_OF)},
        {FACT_FEW_ITEMS, OF_TYPE(ARRAY), rule->min_items > 0},
        {FACT_MANY_ITEMS, OF_TYPE(ARRAY), rule->max_items < UINT32_MAX},
        {FACT_REPEATED_ITEM, OF_TYPE(ARRAY), rule->unique_items},
        {FACT_REST_BREAKS, OF_TYPE(ARRAY), rule->rest != NULL || rule->no_rest},
        {FACT_FEW_MATCHES, OF_TYPE(ARRAY), rule->contains != NULL && rule->min_contains > 0},
        {FACT_MANY_MATCHES, OF_TYPE(ARRAY),
         rule->contains != NULL && rule->max_contains < UINT32_MAX},
        {FACT_OTHER_FIELD, OF_TYPE(OBJECT), rule->additional != NULL || rule->no_additional},
        {FACT_BAD_NAME, OF_TYPE(OBJECT), rule->names != NULL},
        {FACT_FEW_FIELDS, OF_TYPE(OBJECT), rule->min_properties > 0},
        {FACT_MANY_FIELDS, OF_TYPE(OBJECT), rule->max_properties < UINT32_MAX},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (ways[i].there)
            out[count++] = ways[i];
    return count;
}

static bool fact_outcome(struct outcome *out, type_mask types, struct fact fact)
{
    out->types = types;
    out->fact = fact;
    return true;
}

/* Bounds, and keywords with several parts: prefix items, properties, patterns, required names. */
static bool list_outcome(const struct task *task, size_t n, struct outcome *out, size_t *passed)
{
    struct same_rule of = task->of;
    const struct rule *rule = of.rule;
    size_t first = n;
    if (n < 2)
        return fact_outcome(out, rule->lower[n].set ? TYPES_NUMBER : 0,
                            (struct fact){FACT_BELOW, of, n, NULL, NULL});
    n -= 2;
    if (n < 2)
        return fact_outcome(out, rule->upper[n].set ? TYPES_NUMBER : 0,
                            (struct fact){FACT_ABOVE, of, n, NULL, NULL});
    n -= 2;
    if (n < rule->prefix.count)
        return fact_outcome(
            out, OF_TYPE(ARRAY),
            (struct fact){FACT_ITEM_BREAKS, sub_rule(of, rule->prefix.rules[n]), n, NULL, NULL});
    n -= rule->prefix.count;
    if (n < rule->property_count)
        return fact_outcome(out, OF_TYPE(OBJECT),
                            (struct fact){FACT_FIELD_BREAKS, sub_rule(of, rule->properties[n].rule),
                                          0, rule->properties[n].name, NULL});
    n -= rule->property_count;
    if (n < rule->pattern_count)
        return fact_outcome(out, OF_TYPE(OBJECT),
                            (struct fact){FACT_PATTERN_FIELD, of, n, NULL, NULL});
    n -= rule->pattern_count;
    if (n < rule->required_count)
        return fact_outcome(out, OF_TYPE(OBJECT),
                            (struct fact){FACT_ABSENT, of, 0, rule->required[n].name, NULL});
    *passed = first - (n - rule->required_count);
    return false;
}

/* The n-th name that a dependency requires; NULL after the last. */
static const char *asked_name(const struct rule_dependency *dependency, size_t n)
{
    struct scan scan;
    struct scan_element name;
    (void)scan_open(&scan, dependency->element.value);
    while (scan_next(&scan, &name))
        if (n-- == 0)
            return (const char *)name.value.pos + 4;
    return NULL;
}

static bool dependency_broken(struct search *s, const struct task *task, size_t n,
                              struct outcome *out, size_t *passed)
{
    const struct rule *rule = task->of.rule;
    size_t first = n;
    for (size_t i = 0; i < rule->dependency_count; i++) {
        const struct rule_dependency *dependency = &rule->dependencies[i];
        const char *name = dependency->rule != NULL ? NULL : asked_name(dependency, n);
        if (dependency->rule != NULL ? n == 0 : name != NULL) {
            struct fact *present = arena_alloc(s->arena, 1, sizeof *present);
            if (name != NULL && present != NULL) {
                *present = (struct fact){FACT_PRESENT, task->of, 0, dependency->name, NULL};
                out->fact = (struct fact){FACT_ABSENT, task->of, 0, name, present};
            } else {
                out->fact = (struct fact){FACT_PRESENT, task->of, 0, dependency->name, NULL};
            }
            out->types = OF_TYPE(OBJECT);
            if (dependency->rule != NULL)
                add_outcome_task(out, TASK_BREAK, sub_rule(task->of, dependency->rule));
            return true;
        }
        size_t count = 1;
        if (dependency->rule == NULL)
            for (count = 0; asked_name(dependency, count) != NULL; count++)
                ;
        n -= count;
    }
    *passed = first - n;
    return false;
}

/* Two alternatives of oneOf hold. */
static bool pair_outcome(const struct task *task, size_t n, struct outcome *out, size_t *passed)
{
    const struct rule_list *list = &task->of.rule->one_of;
    size_t first = n;
    for (size_t i = 0; i + 1 < list->count; i++) {
        if (n < list->count - i - 1) {
            add_outcome_task(out, TASK_HOLD, sub_rule(task->of, list->rules[i]));
            add_outcome_task(out, TASK_HOLD, sub_rule(task->of, list->rules[i + 1 + n]));
            return true;
        }
        n -= list->count - i - 1;
    }
    *passed = first - n;
    return false;
}

/* Combinations, from the n-th on. */
static bool combination_broken(const struct task *task, size_t n, struct outcome *out)
{
    struct same_rule of = task->of;
    const struct rule *rule = of.rule;
    size_t passed = 0;
    if (n < rule->all_of.count) {
        add_outcome_task(out, TASK_BREAK, sub_rule(of, rule->all_of.rules[n]));
        return true;
    }
    n -= rule->all_of.count;
    if (n < 2) {
        const struct rule_list *list = n == 0 ? &rule->any_of : &rule->one_of;
        out->none_of = list;
        out->types = list->count > 0 ? TYPES_ALL : 0;
        return true;
    }
    n -= 2;
    if (pair_outcome(task, n, out, &passed))
        return true;
    n -= passed;
    if (n == 0) {
        out->types = rule->not_ != NULL ? TYPES_ALL : 0;
        if (rule->not_ != NULL)
            add_outcome_task(out, TASK_HOLD, sub_rule(of, rule->not_));
        return true;
    }
    if (n > 2)
        return false;
    const struct rule *then = n == 1 ? rule->then_ : rule->else_;
    out->types = rule->if_ != NULL && then != NULL ? TYPES_ALL : 0;
    if (out->types != 0) {
        add_outcome_task(out, n == 1 ? TASK_HOLD : TASK_BREAK, sub_rule(of, rule->if_));
        add_outcome_task(out, TASK_BREAK, sub_rule(of, then));
    }
    return true;
}

static bool break_outcome(struct search *s, const struct task *task, size_t n, struct outcome *out)
{
    struct same_rule of = task->of;
    struct way ways[24];
    size_t count = list_ways(of.rule, ways);
    size_t passed = 0;
    if (n < count)
        return fact_outcome(out, ways[n].types, (struct fact){ways[n].kind, of, 0, NULL, NULL});
    n -= count;
    if (list_outcome(task, n, out, &passed))
        return true;
    n -= passed;
    if (n == 0) {
        out->types = of.rule->ref != NULL ? TYPES_ALL : 0;
        if (of.rule->ref != NULL)
            add_outcome_task(out, TASK_BREAK, sub_rule(of, of.rule->ref));
        return true;
    }
    n--;
    if (dependency_broken(s, task, n, out, &passed))
        return true;
    n -= passed;
    return combination_broken(task, n, out);
}

/* --- impossible outcomes, found without a search --- */

static const struct rule *property_rule(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->property_count; i++)
        if (strcmp(rule->properties[i].name, name) == 0)
            return rule->properties[i].rule;
    return NULL;
}

static bool requires(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->required_count; i++)
        if (strcmp(rule->required[i].name, name) == 0)
            return true;
    return false;
}

static bool contradicts(struct search *s, const struct fact *held, const struct fact *fact)
{
    const struct rule *rule = held->of.rule;
    const struct rule *same = NULL;
    switch (fact->kind) {
    case FACT_ABSENT:
        return requires(rule, fact->name)
        ;
    case FACT_FIELD_BREAKS:
        same = property_rule(rule, fact->name);
        break;
    case FACT_FEW_MATCHES:
    case FACT_MANY_MATCHES:
        same = rule->contains;
        return same != NULL && fact->of.rule->min_contains <= rule->min_contains &&
               fact->of.rule->max_contains >= rule->max_contains &&
               same_rules(s->same, sub_rule(held->of, same),
                          sub_rule(fact->of, fact->of.rule->contains));
    case FACT_BAD_NAME:
        return rule->names != NULL && same_rules(s->same, sub_rule(held->of, rule->names),
                                                 sub_rule(fact->of, fact->of.rule->names));
    default:
        return false;
    }
    return same != NULL && same_rules(s->same, sub_rule(held->of, same), fact->of);
}

static bool is_possible(struct search *s, const struct expansion *e, const struct outcome *outcome)
{
    if ((e->branch.types & outcome->types) == 0)
        return false;
    if (outcome->fact.kind == FACT_HOLDS)
        return true;
    for (const struct fact *fact = fact_first_held(&e->branch); fact != NULL;
         fact = fact_next_held(fact))
        if (contradicts(s, fact, &outcome->fact))
            return false;
    return true;
}

/* --- the search over branches --- */

static enum answer expand(struct search *s, struct expansion e, struct made_value *out);

static enum answer take_outcome(struct search *s, struct expansion e, const struct task *choice,
                                const struct outcome *outcome, struct made_value *out)
{
    bool ok = true;
    e.branch.types &= outcome->types;
    if (outcome->fact.kind != FACT_HOLDS) {
        const struct fact *second = outcome->fact.next;
        ok = add_fact(s, &e.branch, outcome->fact) &&
             (second == NULL || add_fact(s, &e.branch, *second));
    }
    for (size_t i = 0; ok && i < outcome->task_count; i++)
        ok = add_task(s, &e.tasks, outcome->tasks[i]);
    for (size_t i = 0; ok && outcome->none_of != NULL && i < outcome->none_of->count; i++)
        ok = add_task(
            s, &e.tasks,
            (struct task){TASK_BREAK, sub_rule(choice->of, outcome->none_of->rules[i]), 0, NULL});
    return ok ? expand(s, e, out) : ANSWER_UNKNOWN;
}

static bool next_outcome(struct search *s, const struct task *choice, size_t n,
                         struct outcome *outcome)
{
    *outcome = plain_outcome();
    switch (choice->kind) {
    case TASK_ANY:
        return any_outcome(choice, n, outcome);
    case TASK_ONE:
        return one_outcome(s, choice, n, outcome);
    case TASK_IF:
        return if_outcome(choice, n, outcome);
    case TASK_DEPENDENCY:
        return dependency_outcome(choice, n, outcome);
    default:
        return break_outcome(s, choice, n, outcome);
    }
}

static enum answer choose(struct search *s, struct expansion e, struct made_value *out)
{
    const struct task *choice = e.choices;
    struct outcome outcome;
    bool unknown = false;
    e.choices = choice->next;
    for (size_t n = 0; next_outcome(s, choice, n, &outcome); n++) {
        if (!search_spend(s))
            return ANSWER_UNKNOWN;
        if (!is_possible(s, &e, &outcome))
            continue;
        enum answer answer = take_outcome(s, e, choice, &outcome, out);
        if (answer == ANSWER_FOUND)
            return answer;
        unknown = unknown || answer == ANSWER_UNKNOWN;
    }
    return unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

/* Searches each group of types separately; types with readable values come first. */
static enum answer search_types(struct search *s, const struct branch *branch,
                                struct made_value *out)
{
    static const uint8_t numbers[] = {BSON_KIND_INT32, BSON_KIND_DOUBLE, BSON_KIND_INT64,
                                      BSON_KIND_DECIMAL128};
    const type_mask structured = OF_TYPE(STRING) | OF_TYPE(OBJECT) | OF_TYPE(ARRAY) | TYPES_NUMBER;
    bool unknown = false;
    for (unsigned i = 0; i < 8; i++) {
        enum answer answer = ANSWER_IMPOSSIBLE;
        if (i == 0 && (branch->types & OF_TYPE(STRING)) != 0)
            answer = search_text(s, branch, out);
        if (i >= 1 && i <= 4 && (branch->types & TYPE_BIT(numbers[i - 1])) != 0)
            answer = search_number(s, branch, numbers[i - 1], out);
        if (i == 5 && (branch->types & ~structured) != 0)
            answer = search_fixed(s, branch, out);
        if (i == 6 && (branch->types & OF_TYPE(OBJECT)) != 0)
            answer = search_object(s, branch, out);
        if (i == 7 && (branch->types & OF_TYPE(ARRAY)) != 0)
            answer = search_array(s, branch, out);
        if (answer == ANSWER_FOUND)
            return answer;
        unknown = unknown || answer == ANSWER_UNKNOWN;
    }
    return unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

/* True unless the value is certain to meet the choice. */
static bool matters(struct search *s, const struct task *choice, const struct made_value *value)
{
    enum answer holds = search_judge(s, choice->of, value);
    return choice->kind == TASK_BREAK ? holds != ANSWER_IMPOSSIBLE : holds != ANSWER_FOUND;
}

/* Moves the choice to the front. False without memory. */
static bool put_first(struct search *s, struct expansion *e, const struct task *choice)
{
    const struct task *list = NULL;
    for (const struct task *one = e->choices; one != NULL; one = one->next)
        if (one != choice && !add_task(s, &list, *one))
            return false;
    if (!add_task(s, &list, *choice))
        return false;
    e->choices = list;
    return true;
}

/* A value that meets the certain conditions may meet all. If there is none, no choice helps.
 * Otherwise the next choice is one that the value breaks. */
static enum answer look_ahead(struct search *s, struct expansion *e, struct made_value *out)
{
    const struct goal *watched = s->watched;
    struct made_value rejected = s->rejected;
    const struct task *choice = e->choices;
    s->watched = e->branch.goal;
    s->rejected = (struct made_value){0};
    enum answer answer = search_types(s, &e->branch, out);
    while (answer == ANSWER_UNKNOWN && s->rejected.kind != BSON_KIND_EOD && choice != NULL &&
           !matters(s, choice, &s->rejected))
        choice = choice->next;
    s->watched = watched;
    s->rejected = rejected;
    if (answer == ANSWER_UNKNOWN && choice != NULL && choice != e->choices)
        (void)put_first(s, e, choice);
    return answer;
}

static enum answer expand(struct search *s, struct expansion e, struct made_value *out)
{
    enum answer answer = settle(s, &e);
    if (answer != ANSWER_FOUND)
        return answer;
    if (e.branch.types == 0)
        return ANSWER_IMPOSSIBLE;
    for (const struct fact *fact = fact_first_held(&e.branch); fact != NULL;
         fact = fact_next_held(fact))
        if (is_enum(fact->of.rule))
            return search_values(s, &e.branch, fact->of.rule, out);
    if (s->frames >= SEARCH_FRAMES_MAX)
        return ANSWER_UNKNOWN;
    if (e.choices != NULL && e.choices->next != NULL) {
        answer = look_ahead(s, &e, out);
        if (answer != ANSWER_UNKNOWN)
            return answer;
    }
    s->frames++;
    answer = e.choices != NULL ? choose(s, e, out) : search_types(s, &e.branch, out);
    s->frames--;
    return answer;
}

/* --- known goals --- */

struct known_goal {
    const struct rule **rules; /* those that hold, then those that break; each part sorted */
    size_t hold_count, break_count;
    type_mask types;
    enum answer answer;
    struct made_value value;
    unsigned depth; /* while the search is under way */
    struct known_goal *next;
};

static void insert_rule(const struct rule **rules, size_t *count, const struct rule *rule)
{
    size_t at = 0;
    while (at < *count && (uintptr_t)rules[at] < (uintptr_t)rule)
        at++;
    if (at < *count && rules[at] == rule)
        return;
    memmove(rules + at + 1, rules + at, (*count - at) * sizeof *rules);
    rules[at] = rule;
    *count += 1;
}

static struct known_goal *key_of(struct search *s, const struct goal *goal, type_mask types)
{
    struct known_goal *key = arena_alloc(s->arena, 1, sizeof *key);
    if (key == NULL)
        return NULL;
    key->rules =
        arena_alloc(s->arena, goal->hold_count + goal->break_count + 1, sizeof(struct rule *));
    if (key->rules == NULL)
        return NULL;
    for (size_t i = 0; i < goal->hold_count; i++)
        insert_rule(key->rules, &key->hold_count, goal->holds[i].rule);
    for (size_t i = 0; i < goal->break_count; i++)
        insert_rule(key->rules + key->hold_count, &key->break_count, goal->breaks[i].rule);
    key->types = types;
    return key;
}

static struct known_goal *find_goal(struct known_goal *list, const struct known_goal *key)
{
    for (; list != NULL; list = list->next)
        if (list->hold_count == key->hold_count && list->break_count == key->break_count &&
            list->types == key->types &&
            memcmp(list->rules, key->rules,
                   (key->hold_count + key->break_count) * sizeof(struct rule *)) == 0)
            return list;
    return NULL;
}

static enum answer start(struct search *s, const struct goal *goal, type_mask types,
                         struct made_value *out)
{
    struct expansion e = {.branch = {goal, types, NULL}};
    bool ok = true;
    for (size_t i = 0; ok && i < goal->break_count; i++)
        ok = add_task(s, &e.tasks, (struct task){TASK_BREAK, goal->breaks[i], 0, NULL});
    for (size_t i = 0; ok && i < goal->hold_count; i++)
        ok = add_task(s, &e.tasks, (struct task){TASK_HOLD, goal->holds[i], 0, NULL});
    return ok ? expand(s, e, out) : ANSWER_UNKNOWN;
}

/* A goal that comes up within itself cannot be met there: the smallest value that meets it contains
 * no other one. Answers that depend on this are true only within the outer goal. */
static enum answer search_new(struct search *s, const struct goal *goal, struct known_goal *key,
                              struct made_value *out)
{
    unsigned assumed = s->assumed;
    key->depth = s->depth++;
    key->next = s->under_way;
    s->under_way = key;
    s->assumed = UINT32_MAX;
    enum answer answer = start(s, goal, key->types, out);
    s->under_way = key->next;
    s->depth--;
    if (answer == ANSWER_FOUND || s->assumed >= key->depth) {
        key->answer = answer;
        key->value = *out;
        key->next = s->known;
        s->known = key;
        s->assumed = assumed;
    } else if (assumed < s->assumed) {
        s->assumed = assumed;
    }
    return answer;
}

enum answer search_value(struct search *s, const struct goal *goal, type_mask types,
                         struct made_value *out)
{
    if (!search_spend(s) || s->depth >= SEARCH_DEPTH_MAX)
        return ANSWER_UNKNOWN;
    struct known_goal *key = key_of(s, goal, types);
    if (key == NULL)
        return ANSWER_UNKNOWN;
    if (goal->other_count > 0) {
        s->depth++;
        enum answer answer = start(s, goal, types, out);
        s->depth--;
        return answer == ANSWER_IMPOSSIBLE ? ANSWER_UNKNOWN : answer;
    }
    struct known_goal *known = find_goal(s->known, key);
    if (known != NULL) {
        *out = known->value;
        return known->answer;
    }
    known = find_goal(s->under_way, key);
    if (known != NULL) {
        s->assumed = known->depth < s->assumed ? known->depth : s->assumed;
        return ANSWER_IMPOSSIBLE;
    }
    return search_new(s, goal, key, out);
}
