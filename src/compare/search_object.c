/* The search among objects: the fields, and the conditions for each. */
#include "compare/search_text.h"

#include <stdio.h>

enum {
    FIELDS_MAX = 4096,
    RULES_MAX = 64,
    PATTERNS_MAX = 4,
    EXTRA_MAX = 6,
    MORE_MAX = 64,
    NAME_MAX_BYTES = 256
};

enum presence { FREE, PRESENT, ABSENT };

struct broken_rule {
    struct same_rule of;
    const struct broken_rule *next;
};

/* A name that occurs in a schema. */
struct field {
    const char *name;
    enum presence presence;
    const struct broken_rule *breaks; /* rules that its value must break */
};

/* A field whose name occurs in no schema, or a repeated field of a known name. */
struct extra {
    const char *name;  /* the known name; NULL: unknown */
    unsigned patterns; /* a bit for each pattern that matches an unknown name */
    bool any_patterns; /* all sets of patterns are possible */
    struct same_rule breaks;
};

struct object_plan {
    struct field *fields;
    size_t field_count, field_room;
    struct extra extras[EXTRA_MAX];
    size_t extra_count;
    struct text_pattern patterns[PATTERNS_MAX]; /* all patterns of names */
    size_t pattern_count;
    bool too_many_patterns;
    bool names; /* there is a propertyNames */
    uint64_t min, max;
};

/* --- known names --- */

static struct field *find_field(const struct object_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->field_count; i++)
        if (strcmp(plan->fields[i].name, name) == 0)
            return &plan->fields[i];
    return NULL;
}

static bool add_name(struct object_plan *plan, const char *name)
{
    if (find_field(plan, name) != NULL)
        return true;
    if (plan->field_count == plan->field_room)
        return false;
    plan->fields[plan->field_count++] = (struct field){.name = name};
    return true;
}

static bool add_dependency_names(struct object_plan *plan, const struct rule_dependency *dependency)
{
    struct scan scan;
    struct scan_element name;
    bool ok = add_name(plan, dependency->name);
    if (dependency->rule != NULL)
        return ok;
    (void)scan_open(&scan, dependency->element.value);
    while (ok && scan_next(&scan, &name))
        ok = add_name(plan, (const char *)name.value.pos + 4);
    return ok;
}

/* Adds the names in an enum of propertyNames. */
static bool add_listed_names(struct object_plan *plan, const struct rule *rule)
{
    for (size_t i = 0; i < rule->value_count; i++) {
        const char *text = NULL;
        size_t len = 0;
        struct scan_element value = rule->values[i];
        if (scan_as_string(&value, &text, &len) && strlen(text) == len && !add_name(plan, text))
            return false;
    }
    return true;
}

static enum pattern_flavour flavour_of(const struct schema *schema)
{
    return schema->dialect == SCHEMA_JSON_SCHEMA ? PATTERN_PYDANTIC : PATTERN_MONGODB_NAMES;
}

static void add_pattern(struct object_plan *plan, const struct schema *schema,
                        const struct rule_pattern *pattern)
{
    enum pattern_flavour flavour = flavour_of(schema);
    for (size_t i = 0; i < plan->pattern_count; i++)
        if (plan->patterns[i].flavour == flavour && plan->patterns[i].len == pattern->text_len &&
            memcmp(plan->patterns[i].text, pattern->text, pattern->text_len) == 0)
            return;
    if (plan->pattern_count == PATTERNS_MAX)
        plan->too_many_patterns = true;
    else
        plan->patterns[plan->pattern_count++] =
            (struct text_pattern){pattern->text, pattern->text_len, flavour, true};
}

static bool add_names_of(struct object_plan *plan, struct same_rule of)
{
    const struct rule *rule = of.rule;
    bool ok = true;
    for (size_t i = 0; ok && i < rule->property_count; i++)
        ok = add_name(plan, rule->properties[i].name);
    for (size_t i = 0; ok && i < rule->required_count; i++)
        ok = add_name(plan, rule->required[i].name);
    for (size_t i = 0; ok && i < rule->dependency_count; i++)
        ok = add_dependency_names(plan, &rule->dependencies[i]);
    for (size_t i = 0; i < rule->pattern_count; i++)
        add_pattern(plan, of.schema, &rule->patterns[i]);
    if (rule->names == NULL)
        return ok;
    plan->names = true;
    return ok && add_listed_names(plan, rule->names);
}

static bool set_presence(struct object_plan *plan, const char *name, enum presence presence)
{
    struct field *field = find_field(plan, name);
    if (field->presence != FREE && field->presence != presence)
        return false;
    field->presence = presence;
    return true;
}

static bool has_names(const struct fact *fact)
{
    return fact->kind == FACT_HOLDS || fact->kind == FACT_OTHER_FIELD ||
           fact->kind == FACT_PATTERN_FIELD || fact->kind == FACT_BAD_NAME;
}

static bool list_names(struct object_plan *plan, const struct fact *fact)
{
    for (; fact != NULL; fact = fact->next)
        if ((has_names(fact) && !add_names_of(plan, fact->of)) ||
            (fact->name != NULL && !add_name(plan, fact->name)))
            return false;
    return true;
}

/* --- the rules for a field --- */

enum answer_of_name { NAME_NO, NAME_YES, NAME_UNSURE };

static enum answer_of_name name_matches(struct search *s, const struct rule_pattern *pattern,
                                        const char *name)
{
    pattern_scratch_reset(s->scratch->patterns);
    enum pattern_result result =
        pattern_match(pattern->pattern, (const uint8_t *)name, strlen(name), s->scratch->patterns);
    return result == PATTERN_YES ? NAME_YES : result == PATTERN_NO ? NAME_NO : NAME_UNSURE;
}

static const struct rule *property_of(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->property_count; i++)
        if (strcmp(rule->properties[i].name, name) == 0)
            return rule->properties[i].rule;
    return NULL;
}

struct field_goal {
    struct same_rule holds[RULES_MAX], breaks[RULES_MAX];
    struct goal goal;
    bool forbidden;
};

static void want(struct field_goal *field, struct same_rule of)
{
    if (of.rule != NULL && field->goal.hold_count < RULES_MAX)
        field->holds[field->goal.hold_count++] = of;
}

/* Adds the conditions of a rule that holds for a field with a known name. `later`: an earlier field
 * has the same name. */
static void add_known(struct search *s, struct same_rule of, const char *name, bool later,
                      struct field_goal *field)
{
    const struct rule *rule = of.rule;
    const struct rule *property = property_of(rule, name);
    bool listed = property != NULL;
    if (property != NULL && (!later || of.schema->dialect == SCHEMA_JSON_SCHEMA))
        want(field, (struct same_rule){of.schema, property});
    for (size_t i = 0; i < rule->pattern_count; i++) {
        enum answer_of_name matches = name_matches(s, &rule->patterns[i], name);
        listed = listed || matches != NAME_NO;
        if (matches == NAME_YES)
            want(field, (struct same_rule){of.schema, rule->patterns[i].rule});
    }
    if (!listed && rule->no_additional)
        field->forbidden = true;
    if (!listed)
        want(field, (struct same_rule){of.schema, rule->additional});
    if (rule->names == NULL)
        return;
    struct made_value text = made_string(s, name, strlen(name));
    if (search_judge(s, (struct same_rule){of.schema, rule->names}, &text) == ANSWER_IMPOSSIBLE)
        field->forbidden = true;
}

static unsigned pattern_bit(const struct object_plan *plan, const struct schema *schema,
                            const struct rule_pattern *pattern)
{
    for (size_t i = 0; i < plan->pattern_count; i++)
        if (plan->patterns[i].flavour == flavour_of(schema) &&
            plan->patterns[i].len == pattern->text_len &&
            memcmp(plan->patterns[i].text, pattern->text, pattern->text_len) == 0)
            return 1U << i;
    return 0;
}

/* The same for a field with an unknown name that matches the patterns in `patterns`. */
static void add_unknown(const struct object_plan *plan, struct same_rule of,
                        const struct extra *extra, struct field_goal *field)
{
    const struct rule *rule = of.rule;
    bool listed = false;
    if (extra->any_patterns && rule->pattern_count > 0)
        return;
    for (size_t i = 0; i < rule->pattern_count; i++) {
        if ((pattern_bit(plan, of.schema, &rule->patterns[i]) & extra->patterns) == 0)
            continue;
        listed = true;
        want(field, (struct same_rule){of.schema, rule->patterns[i].rule});
    }
    if (!listed && rule->no_additional)
        field->forbidden = true;
    if (!listed)
        want(field, (struct same_rule){of.schema, rule->additional});
}

static enum answer solve_known(struct search *s, const struct branch *branch,
                               const struct field *known, bool later, struct same_rule breaks,
                               struct made_value *out)
{
    struct field_goal *field = arena_alloc(s->arena, 1, sizeof *field);
    if (field == NULL)
        return ANSWER_UNKNOWN;
    field->goal = (struct goal){.holds = field->holds, .breaks = field->breaks};
    for (const struct fact *fact = fact_first_held(branch); fact != NULL;
         fact = fact_next_held(fact))
        add_known(s, fact->of, known->name, later, field);
    for (const struct broken_rule *one = known->breaks; one != NULL && !later; one = one->next)
        if (field->goal.break_count + 1 < RULES_MAX)
            field->breaks[field->goal.break_count++] = one->of;
    if (breaks.rule != NULL)
        field->breaks[field->goal.break_count++] = breaks;
    return field->forbidden ? ANSWER_IMPOSSIBLE : search_value(s, &field->goal, TYPES_ALL, out);
}

/* --- unknown names --- */

struct name_try {
    struct search *s;
    const struct branch *branch;
    const struct object_plan *plan;
    const struct made_value *taken; /* used names */
    size_t taken_count;
    char *name; /* NAME_MAX_BYTES */
};

static bool try_name(void *arg, const char *text, size_t len)
{
    struct name_try *t = arg;
    if (len >= NAME_MAX_BYTES || memchr(text, 0, len) != NULL)
        return false;
    memcpy(t->name, text, len);
    t->name[len] = 0;
    if (find_field(t->plan, t->name) != NULL)
        return false;
    for (size_t i = 0; i < t->taken_count; i++)
        if (bytes_left(&t->taken[i].bytes) == len + 5 &&
            memcmp(t->taken[i].bytes.pos + 4, text, len) == 0)
            return false;
    struct made_value value = made_string(t->s, text, len);
    for (const struct fact *fact = fact_first_held(t->branch); fact != NULL;
         fact = fact_next_held(fact))
        if (fact->of.rule->names != NULL &&
            search_judge(t->s, (struct same_rule){fact->of.schema, fact->of.rule->names}, &value) !=
                ANSWER_FOUND)
            return false;
    return true;
}

/* Finds a name that occurs in no schema and matches exactly the wanted patterns. */
static enum answer find_name(struct search *s, const struct branch *branch,
                             const struct object_plan *plan, const struct extra *extra,
                             const struct made_value *taken, size_t taken_count, const char **name)
{
    struct text_goal goal = {.max = UINT32_MAX};
    struct name_try t = {s,     branch,      plan,
                         taken, taken_count, arena_alloc(s->arena, NAME_MAX_BYTES, 1)};
    if (t.name == NULL)
        return ANSWER_UNKNOWN;
    *name = t.name;
    for (size_t i = 0; i < plan->pattern_count && !extra->any_patterns; i++)
        search_add_pattern(&goal, plan->patterns[i].text, plan->patterns[i].len,
                           plan->patterns[i].flavour, (extra->patterns >> i & 1) != 0);
    for (const struct fact *fact = fact_first_held(branch); fact != NULL;
         fact = fact_next_held(fact)) {
        const char *text = NULL;
        size_t len = 0;
        const struct rule *names = fact->of.rule->names;
        if (names == NULL)
            continue;
        goal.min = names->min_length > goal.min ? names->min_length : goal.min;
        goal.max = names->max_length < goal.max ? names->max_length : goal.max;
        if (names->pattern != NULL && same_pattern_text(names, &text, &len))
            search_add_pattern(&goal, text, len, PATTERN_PYDANTIC, true);
    }
    return search_text_goal(s, &goal, try_name, &t);
}

static enum answer solve_extra(struct search *s, const struct branch *branch,
                               const struct object_plan *plan, const struct extra *extra,
                               struct made_value *out)
{
    if (extra->name != NULL)
        return solve_known(s, branch, find_field(plan, extra->name), true, extra->breaks, out);
    struct field_goal *field = arena_alloc(s->arena, 1, sizeof *field);
    if (field == NULL)
        return ANSWER_UNKNOWN;
    field->goal = (struct goal){.holds = field->holds, .breaks = field->breaks};
    for (const struct fact *fact = fact_first_held(branch); fact != NULL;
         fact = fact_next_held(fact))
        add_unknown(plan, fact->of, extra, field);
    if (extra->breaks.rule != NULL)
        field->breaks[field->goal.break_count++] = extra->breaks;
    return field->forbidden ? ANSWER_IMPOSSIBLE : search_value(s, &field->goal, TYPES_ALL, out);
}

/* --- the whole object --- */

struct made_fields {
    struct made_value *names; /* strings */
    struct made_value *values;
    size_t count, room;
};

static bool add_made(struct search *s, struct made_fields *made, const char *name,
                     struct made_value value)
{
    if (made->count == made->room)
        return false;
    made->names[made->count] = made_string(s, name, strlen(name));
    made->values[made->count++] = value;
    return made->names[made->count - 1].kind != BSON_KIND_EOD;
}

static enum answer accept(struct search *s, const struct branch *branch,
                          const struct made_fields *made, struct made_value *out)
{
    struct build build;
    struct bytes bytes;
    struct branch one = *branch;
    enum answer answer = ANSWER_UNKNOWN;
    one.types = TYPE_BIT(BSON_KIND_OBJECT);
    build_begin(&build, SEARCH_BYTES_MAX);
    for (size_t i = 0; i < made->count; i++)
        build_value(&build, (const char *)made->names[i].bytes.pos + 4, made->values[i].kind,
                    made->values[i].bytes);
    if (build_finish(&build, &bytes))
        answer = search_accept(s, &one,
                               made_bytes(s, BSON_KIND_OBJECT, bytes.pos, bytes_left(&bytes)), out);
    build_free(&build);
    return answer == ANSWER_FOUND ? answer : ANSWER_UNKNOWN;
}

static enum answer make_present(struct search *s, const struct branch *branch,
                                const struct object_plan *plan, struct made_fields *made)
{
    enum answer all = ANSWER_FOUND;
    for (size_t i = 0; i < plan->field_count && all != ANSWER_IMPOSSIBLE; i++) {
        struct made_value value = {0};
        if (plan->fields[i].presence != PRESENT)
            continue;
        enum answer answer =
            solve_known(s, branch, &plan->fields[i], false, (struct same_rule){0}, &value);
        if (answer == ANSWER_FOUND && !add_made(s, made, plan->fields[i].name, value))
            answer = ANSWER_UNKNOWN;
        all = answer_both(all, answer);
    }
    return all;
}

static enum answer make_extras(struct search *s, const struct branch *branch,
                               const struct object_plan *plan, struct made_fields *made)
{
    enum answer all = ANSWER_FOUND;
    for (size_t i = 0; i < plan->extra_count && all != ANSWER_IMPOSSIBLE; i++) {
        const struct extra *extra = &plan->extras[i];
        struct made_value value = {0};
        const char *name = extra->name;
        enum answer answer = solve_extra(s, branch, plan, extra, &value);
        if (answer != ANSWER_IMPOSSIBLE && name == NULL)
            answer = answer_both(
                answer, find_name(s, branch, plan, extra, made->names, made->count, &name));
        if (answer == ANSWER_FOUND && !add_made(s, made, name, value))
            answer = ANSWER_UNKNOWN;
        all = answer_both(all, answer);
    }
    return all;
}

/* Adds fields without conditions, up to the required number. */
static void make_more(struct search *s, const struct branch *branch, const struct object_plan *plan,
                      struct made_fields *made)
{
    for (size_t i = 0; i < plan->field_count && made->count < plan->min; i++) {
        struct made_value value = {0};
        if (plan->fields[i].presence == FREE &&
            solve_known(s, branch, &plan->fields[i], false, (struct same_rule){0}, &value) ==
                ANSWER_FOUND)
            (void)add_made(s, made, plan->fields[i].name, value);
    }
    for (unsigned patterns = 0; patterns < 1U << plan->pattern_count; patterns++) {
        while (made->count < plan->min && made->count < made->room && search_spend(s)) {
            struct extra extra = {.patterns = patterns};
            struct made_value value = {0};
            const char *name = NULL;
            if (solve_extra(s, branch, plan, &extra, &value) != ANSWER_FOUND ||
                find_name(s, branch, plan, &extra, made->names, made->count, &name) !=
                    ANSWER_FOUND ||
                !add_made(s, made, name, value))
                break;
        }
    }
}

/* Applies dependencies on names: a field requires others. */
static bool settle_dependencies(const struct branch *branch, struct object_plan *plan)
{
    bool again = true;
    while (again) {
        again = false;
        for (const struct fact *fact = fact_first_held(branch); fact != NULL;
             fact = fact_next_held(fact))
            for (size_t i = 0; i < fact->of.rule->dependency_count; i++) {
                const struct rule_dependency *dependency = &fact->of.rule->dependencies[i];
                struct scan scan;
                struct scan_element name;
                if (dependency->rule != NULL ||
                    find_field(plan, dependency->name)->presence != PRESENT)
                    continue;
                (void)scan_open(&scan, dependency->element.value);
                while (scan_next(&scan, &name)) {
                    const char *text = (const char *)name.value.pos + 4;
                    again = again || find_field(plan, text)->presence == FREE;
                    if (!set_presence(plan, text, PRESENT))
                        return false;
                }
            }
    }
    return true;
}

static enum answer solve(struct search *s, const struct branch *branch, struct object_plan *plan,
                         struct made_value *out)
{
    struct made_fields made = {0};
    size_t present = 0;
    if (!settle_dependencies(branch, plan) || plan->min > plan->max)
        return ANSWER_IMPOSSIBLE;
    for (size_t i = 0; i < plan->field_count; i++)
        present += plan->fields[i].presence == PRESENT;
    if (present > plan->max)
        return ANSWER_IMPOSSIBLE;
    made.room = present + EXTRA_MAX + MORE_MAX;
    made.names = arena_alloc(s->arena, made.room, sizeof *made.names);
    made.values = arena_alloc(s->arena, made.room, sizeof *made.values);
    if (made.names == NULL || made.values == NULL)
        return ANSWER_UNKNOWN;
    enum answer answer = make_present(s, branch, plan, &made);
    if (answer != ANSWER_IMPOSSIBLE)
        answer = answer_both(answer, make_extras(s, branch, plan, &made));
    if (answer != ANSWER_FOUND)
        return answer;
    make_more(s, branch, plan, &made);
    return accept(s, branch, &made, out);
}

/* --- fields that a broken rule requires without a name --- */

static enum answer place(struct search *s, const struct branch *branch, const struct fact *fact,
                         const struct object_plan *plan, struct made_value *out);

/* The rule that the field must break; rule NULL: the field must only exist. */
static struct same_rule to_break(const struct fact *fact)
{
    const struct rule *rule = fact->of.rule;
    struct same_rule breaks = {fact->of.schema, NULL};
    if (fact->kind == FACT_FIELD_BREAKS)
        return fact->of;
    if (fact->kind == FACT_PATTERN_FIELD)
        breaks.rule = rule->patterns[fact->index].rule;
    if (fact->kind == FACT_OTHER_FIELD && !rule->no_additional)
        breaks.rule = rule->additional;
    return breaks;
}

/* Whether the fact can be about a field of that name. */
static enum answer_of_name concerns(struct search *s, const struct fact *fact, const char *name)
{
    const struct rule *rule = fact->of.rule;
    if (fact->kind == FACT_FIELD_BREAKS)
        return strcmp(fact->name, name) == 0 ? NAME_YES : NAME_NO;
    if (fact->kind == FACT_PATTERN_FIELD)
        return name_matches(s, &rule->patterns[fact->index], name);
    if (fact->kind == FACT_BAD_NAME) {
        struct made_value text = made_string(s, name, strlen(name));
        enum answer good = search_judge(s, (struct same_rule){fact->of.schema, rule->names}, &text);
        return good == ANSWER_FOUND ? NAME_NO : good == ANSWER_UNKNOWN ? NAME_UNSURE : NAME_YES;
    }
    if (property_of(rule, name) != NULL)
        return NAME_NO;
    for (size_t i = 0; i < rule->pattern_count; i++)
        if (name_matches(s, &rule->patterns[i], name) != NAME_NO)
            return NAME_NO;
    return NAME_YES;
}

/* Copies the plan with its own fields. */
static bool copy_plan(struct search *s, const struct object_plan *plan, struct object_plan *copy)
{
    *copy = *plan;
    copy->fields = arena_alloc(s->arena, plan->field_count, sizeof *copy->fields);
    if (copy->fields == NULL)
        return false;
    memcpy(copy->fields, plan->fields, plan->field_count * sizeof *copy->fields);
    return true;
}

static bool add_broken(struct search *s, struct field *field, struct same_rule of)
{
    for (const struct broken_rule *one = field->breaks; one != NULL; one = one->next)
        if (same_rules(s->same, one->of, of))
            return true;
    struct broken_rule *broken = arena_alloc(s->arena, 1, sizeof *broken);
    if (broken == NULL)
        return false;
    *broken = (struct broken_rule){of, field->breaks};
    field->breaks = broken;
    return true;
}

static enum answer place_known(struct search *s, const struct branch *branch,
                               const struct fact *fact, const struct object_plan *plan, size_t at,
                               struct made_value *out)
{
    struct object_plan with;
    struct same_rule breaks = to_break(fact);
    if (!copy_plan(s, plan, &with))
        return ANSWER_UNKNOWN;
    struct field *field = &with.fields[at];
    if (!set_presence(&with, field->name, PRESENT))
        return ANSWER_IMPOSSIBLE;
    if (breaks.rule != NULL && !add_broken(s, field, breaks))
        return ANSWER_UNKNOWN;
    return place(s, branch, fact->next, &with, out);
}

static enum answer place_extra(struct search *s, const struct branch *branch,
                               const struct fact *fact, const struct object_plan *plan,
                               struct extra extra, struct made_value *out)
{
    struct object_plan with = *plan;
    if (with.extra_count == EXTRA_MAX)
        return ANSWER_UNKNOWN;
    extra.breaks = to_break(fact);
    with.extras[with.extra_count++] = extra;
    return place(s, branch, fact->next, &with, out);
}

/* Adds a repeated field: $jsonSchema checks only the first field of a name. */
static enum answer place_later(struct search *s, const struct branch *branch,
                               const struct fact *fact, const struct object_plan *plan, size_t at,
                               struct made_value *out)
{
    struct object_plan with;
    if (!copy_plan(s, plan, &with))
        return ANSWER_UNKNOWN;
    if (!set_presence(&with, with.fields[at].name, PRESENT))
        return ANSWER_IMPOSSIBLE;
    return place_extra(s, branch, fact, &with, (struct extra){.name = with.fields[at].name}, out);
}

/* Adds a field with an unknown name, for each possible set of patterns. */
static enum answer place_unknown(struct search *s, const struct branch *branch,
                                 const struct fact *fact, const struct object_plan *plan,
                                 struct made_value *out)
{
    bool unknown = plan->too_many_patterns || fact->kind == FACT_BAD_NAME;
    for (unsigned patterns = 0; patterns < 1U << plan->pattern_count; patterns++) {
        bool listed = false;
        for (size_t i = 0; i < fact->of.rule->pattern_count; i++)
            listed = listed || (pattern_bit(plan, fact->of.schema, &fact->of.rule->patterns[i]) &
                                patterns) != 0;
        if (fact->kind == FACT_OTHER_FIELD && listed)
            continue;
        if (fact->kind == FACT_PATTERN_FIELD &&
            (pattern_bit(plan, fact->of.schema, &fact->of.rule->patterns[fact->index]) &
             patterns) == 0)
            continue;
        if (!search_spend(s))
            return ANSWER_UNKNOWN;
        enum answer answer =
            place_extra(s, branch, fact, plan, (struct extra){.patterns = patterns}, out);
        if (answer == ANSWER_FOUND)
            return answer;
        unknown = unknown || answer == ANSWER_UNKNOWN;
    }
    return unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

static bool is_unnamed(const struct fact *fact)
{
    return fact->kind == FACT_OTHER_FIELD || fact->kind == FACT_PATTERN_FIELD ||
           fact->kind == FACT_BAD_NAME || fact->kind == FACT_FIELD_BREAKS;
}

static bool mixes_dialects(const struct branch *branch, const struct fact *fact)
{
    for (const struct fact *held = fact_first_held(branch); held != NULL;
         held = fact_next_held(held))
        if (held->of.schema->dialect != fact->of.schema->dialect)
            return true;
    return false;
}

static enum answer place(struct search *s, const struct branch *branch, const struct fact *fact,
                         const struct object_plan *plan, struct made_value *out)
{
    while (fact != NULL && !is_unnamed(fact))
        fact = fact->next;
    if (fact == NULL) {
        struct object_plan last;
        return copy_plan(s, plan, &last) ? solve(s, branch, &last, out) : ANSWER_UNKNOWN;
    }
    bool unknown = false;
    bool named = fact->kind == FACT_FIELD_BREAKS;
    enum answer answer = named ? ANSWER_IMPOSSIBLE : place_unknown(s, branch, fact, plan, out);
    for (size_t i = 0; i < plan->field_count && answer != ANSWER_FOUND; i++) {
        unknown = unknown || answer == ANSWER_UNKNOWN;
        answer = ANSWER_IMPOSSIBLE;
        enum answer_of_name name = concerns(s, fact, plan->fields[i].name);
        if (name == NAME_NO)
            continue;
        if (!search_spend(s))
            return ANSWER_UNKNOWN;
        unknown = unknown || name == NAME_UNSURE;
        answer = place_known(s, branch, fact, plan, i, out);
        if (answer == ANSWER_FOUND || (named && !mixes_dialects(branch, fact)))
            continue;
        unknown = unknown || answer == ANSWER_UNKNOWN;
        answer = place_later(s, branch, fact, plan, i, out);
    }
    if (answer == ANSWER_FOUND)
        return answer;
    return unknown || answer == ANSWER_UNKNOWN ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

static bool settle_facts(struct object_plan *plan, const struct fact *fact)
{
    for (; fact != NULL; fact = fact->next) {
        const struct rule *rule = fact->of.rule;
        bool ok = true;
        if (fact->kind == FACT_PRESENT || fact->kind == FACT_ABSENT)
            ok = set_presence(plan, fact->name, fact->kind == FACT_PRESENT ? PRESENT : ABSENT);
        for (size_t i = 0; ok && fact->kind == FACT_HOLDS && i < rule->required_count; i++)
            ok = set_presence(plan, rule->required[i].name, PRESENT);
        uint64_t min = fact->kind == FACT_HOLDS         ? rule->min_properties
                       : fact->kind == FACT_MANY_FIELDS ? (uint64_t)rule->max_properties + 1
                                                        : 0;
        uint64_t max = fact->kind == FACT_HOLDS        ? rule->max_properties
                       : fact->kind == FACT_FEW_FIELDS ? rule->min_properties - 1
                                                       : UINT64_MAX;
        plan->min = min > plan->min ? min : plan->min;
        plan->max = max < plan->max ? max : plan->max;
        if (!ok)
            return false;
    }
    return true;
}

/* At least as large as the number of names in the facts. */
static size_t count_names(const struct fact *fact)
{
    size_t count = 0;
    for (; fact != NULL; fact = fact->next) {
        const struct rule *rule = fact->of.rule;
        count += fact->name != NULL;
        if (!has_names(fact))
            continue;
        count += rule->property_count + rule->required_count;
        for (size_t i = 0; i < rule->dependency_count; i++)
            count += 1 + (rule->dependencies[i].rule == NULL
                              ? bytes_left(&rule->dependencies[i].element.value) / 8
                              : 0);
        count += rule->names == NULL ? 0 : rule->names->value_count;
    }
    return count;
}

enum answer search_object(struct search *s, const struct branch *branch, struct made_value *out)
{
    struct object_plan plan = {.max = UINT64_MAX, .field_room = count_names(branch->facts)};
    if (plan.field_room > FIELDS_MAX)
        return ANSWER_UNKNOWN;
    plan.fields = arena_alloc(s->arena, plan.field_room, sizeof *plan.fields);
    for (const struct fact *fact = fact_first_held(branch); fact != NULL;
         fact = fact_next_held(fact))
        if (fact->of.rule->encrypted_types != 0)
            return ANSWER_IMPOSSIBLE;
    if (plan.fields == NULL || !list_names(&plan, branch->facts))
        return ANSWER_UNKNOWN;
    if (!settle_facts(&plan, branch->facts))
        return ANSWER_IMPOSSIBLE;
    return place(s, branch, branch->facts, &plan, out);
}
