/* The search among strings, and among names of fields. */
#include "compare/search_text.h"

enum { PLAIN_MAX = 4096, VARIANTS = 30 };

struct pattern_automaton {
    const char *text;
    size_t len;
    enum pattern_flavour flavour;
    const struct automaton *automaton;
    struct pattern_automaton *next;
};

const struct automaton *search_automaton(struct search *s, const char *text, size_t len,
                                         enum pattern_flavour flavour)
{
    for (struct pattern_automaton *known = s->automata; known != NULL; known = known->next)
        if (known->flavour == flavour && known->len == len && memcmp(known->text, text, len) == 0)
            return known->automaton;
    struct pattern_automaton *one = arena_alloc(s->arena, 1, sizeof *one);
    if (one == NULL)
        return NULL;
    *one = (struct pattern_automaton){text, len, flavour,
                                      automaton_new(s->arena, text, len, flavour), s->automata};
    s->automata = one;
    return one->automaton;
}

void search_add_pattern(struct text_goal *goal, const char *text, size_t len,
                        enum pattern_flavour flavour, bool matches)
{
    if (goal->count < TEXT_PATTERNS_MAX)
        goal->patterns[goal->count++] = (struct text_pattern){text, len, flavour, matches};
    else
        goal->left_out = true;
}

static bool same_pattern(const struct text_pattern *a, const struct text_pattern *b)
{
    return a->flavour == b->flavour && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static bool contradicts_itself(const struct text_goal *goal)
{
    for (size_t i = 0; i < goal->count; i++)
        for (size_t j = 0; j < i; j++)
            if (goal->patterns[i].matches != goal->patterns[j].matches &&
                same_pattern(&goal->patterns[i], &goal->patterns[j]))
                return true;
    return false;
}

/* Tries strings that often match, for patterns that are not understood. */
static bool try_usual(automaton_try_fn *try, void *arg)
{
    static const char *const usual[] = {"a",
                                        "A",
                                        "1",
                                        "abc",
                                        "ABC",
                                        "a1",
                                        "123",
                                        "12345",
                                        "a@b.co",
                                        "user@example.com",
                                        "https://example.com",
                                        "http://example.com/",
                                        "2024-01-01",
                                        "2024-01-01T00:00:00Z",
                                        "12:00",
                                        "+491234567",
                                        "+1234567890",
                                        "192.168.0.1",
                                        "1.0.0",
                                        "v1",
                                        "abc-def",
                                        "Abc123!x",
                                        "Passw0rd!",
                                        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
                                        "0123456789abcdef01234567",
                                        "DE",
                                        "EUR",
                                        "en-US",
                                        "#ffffff",
                                        "/a",
                                        "a.b",
                                        "a_b",
                                        "",
                                        "-",
                                        " ",
                                        "x y",
                                        "123-45-6789",
                                        "(555) 555-5555"};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (try(arg, usual[i], strlen(usual[i])))
            return true;
    return false;
}

/* Without patterns: letters, in an allowed length. */
static bool try_letters(struct search *s, const struct text_goal *goal, automaton_try_fn *try,
                        void *arg)
{
    uint64_t lengths[] = {3, goal->min, (uint64_t)goal->min + 1, 1, goal->max};
    char *text = arena_alloc(s->arena, PLAIN_MAX + 1, 1);
    for (size_t i = 0; text != NULL && i < sizeof lengths / sizeof lengths[0]; i++) {
        if (lengths[i] < goal->min || lengths[i] > goal->max || lengths[i] > PLAIN_MAX)
            continue;
        for (unsigned variant = 0; variant < VARIANTS; variant++) {
            memset(text, 'a' + (int)(variant % 26), (size_t)lengths[i]);
            if (variant >= 26 && lengths[i] > 0)
                text[0] = 'A';
            if (try(arg, text, (size_t)lengths[i]))
                return true;
        }
    }
    return false;
}

/* The automata of the understood patterns. *complete: all patterns are understood exactly. */
static size_t list_wishes(struct search *s, const struct text_goal *goal,
                          struct automaton_wish wishes[AUTOMATON_WISHES_MAX], bool *complete)
{
    size_t count = 0;
    *complete = !goal->left_out;
    for (size_t i = 0; i < goal->count; i++) {
        const struct text_pattern *pattern = &goal->patterns[i];
        const struct automaton *automaton =
            search_automaton(s, pattern->text, pattern->len, pattern->flavour);
        bool exact = automaton != NULL && automaton_is_exact(automaton);
        *complete = *complete && exact;
        if (automaton != NULL && (exact || pattern->matches) && count < AUTOMATON_WISHES_MAX)
            wishes[count++] = (struct automaton_wish){automaton, pattern->matches};
    }
    return count;
}

enum answer search_text_goal(struct search *s, const struct text_goal *goal, automaton_try_fn *try,
                             void *arg)
{
    struct automaton_wish wishes[AUTOMATON_WISHES_MAX];
    bool complete = false;
    if (goal->min > goal->max || contradicts_itself(goal))
        return ANSWER_IMPOSSIBLE;
    if (goal->count == 0 && try_letters(s, goal, try, arg))
        return ANSWER_FOUND;
    size_t count = list_wishes(s, goal, wishes, &complete);
    if (count == 0)
        return try_usual(try, arg) ? ANSWER_FOUND : ANSWER_UNKNOWN;
    /* Adds one more character each time: other rules may refuse all strings of one length. */
    for (uint32_t more = 0; more < 3 && goal->max - goal->min >= more; more++) {
        enum answer answer =
            automaton_find(wishes, count, goal->min + more, goal->max, try, arg, &s->steps);
        if (answer == ANSWER_FOUND || (answer == ANSWER_IMPOSSIBLE && more == 0))
            return answer;
        if (answer == ANSWER_IMPOSSIBLE)
            break;
    }
    return !complete && try_usual(try, arg) ? ANSWER_FOUND : ANSWER_UNKNOWN;
}

struct text_try {
    struct search *s;
    struct branch branch;
    struct made_value *out;
    bool unknown;
};

static bool try_string(void *arg, const char *text, size_t len)
{
    struct text_try *t = arg;
    if (!search_spend(t->s))
        return false;
    enum answer answer = search_accept(t->s, &t->branch, made_string(t->s, text, len), t->out);
    t->unknown = t->unknown || answer == ANSWER_UNKNOWN;
    return answer == ANSWER_FOUND;
}

static void add_string_fact(struct text_goal *goal, const struct fact *fact)
{
    const struct rule *rule = fact->of.rule;
    const char *text = NULL;
    size_t len = 0;
    enum pattern_flavour flavour =
        fact->of.schema->dialect == SCHEMA_JSON_SCHEMA ? PATTERN_PYDANTIC : PATTERN_MONGODB;
    uint32_t min = 0;
    uint32_t max = UINT32_MAX;
    if (fact->kind == FACT_HOLDS) {
        min = rule->min_length;
        max = rule->max_length;
    }
    if (fact->kind == FACT_TOO_SHORT)
        max = rule->min_length - 1;
    if (fact->kind == FACT_TOO_LONG)
        min = rule->max_length + 1;
    goal->min = min > goal->min ? min : goal->min;
    goal->max = max < goal->max ? max : goal->max;
    if ((fact->kind == FACT_HOLDS || fact->kind == FACT_NOT_PATTERN) && rule->pattern != NULL &&
        same_pattern_text(rule, &text, &len))
        search_add_pattern(goal, text, len, flavour, fact->kind == FACT_HOLDS);
}

enum answer search_text(struct search *s, const struct branch *branch, struct made_value *out)
{
    struct text_goal goal = {.max = UINT32_MAX};
    struct text_try t = {s, *branch, out, false};
    t.branch.types = TYPE_BIT(BSON_KIND_STRING);
    for (const struct fact *fact = branch->facts; fact != NULL; fact = fact->next) {
        if (fact->kind == FACT_HOLDS && fact->of.rule->encrypted_types != 0)
            return ANSWER_IMPOSSIBLE;
        add_string_fact(&goal, fact);
    }
    if (goal.max == 0 && goal.min == 0) { /* one string */
        bool found = try_string(&t, "", 0);
        return found ? ANSWER_FOUND : t.unknown ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
    }
    return search_text_goal(s, &goal, try_string, &t);
}
