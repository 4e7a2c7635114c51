/* The search for a string: breadth first over the product of the automata, so that the first string
 * is among the shortest. */
#include "base/memory.h"
#include "compare/automaton_internal.h"

#include <string.h>

enum { NODES_MAX = 20000, SLOTS = 65536, VARIANTS_MAX = 40, TEXT_MAX = 65536, CLASSES_MAX = 132 };

/* A class of characters that all automata treat alike. */
struct class
{
    struct char_set sample; /* one character of the class */
    struct char_set all;
    const char *text; /* of the sample */
};

struct text_node {
    uint64_t *sets;  /* of all automata, one after the other */
    uint32_t before; /* node, or UINT32_MAX */
    uint32_t length; /* of the string, in code points */
    unsigned char class;
};

struct find {
    struct arena arena;
    char *text; /* TEXT_MAX bytes */
    const struct automaton_wish *wishes;
    size_t count;
    size_t words[AUTOMATON_WISHES_MAX];
    size_t offset[AUTOMATON_WISHES_MAX];
    size_t total_words;
    struct class classes[CLASSES_MAX];
    size_t class_count;
    struct text_node *nodes;
    uint32_t node_count;
    uint32_t *slots;
    uint32_t min, max;
    automaton_try_fn *try;
    void *arg;
    uint64_t *steps;
    bool cut_off; /* a limit was reached, or `try` did not take a string */
};

/* --- classes of characters --- */

static bool set_meets(const struct char_set *a, const struct char_set *b)
{
    return (a->ascii[0] & b->ascii[0]) != 0 || (a->ascii[1] & b->ascii[1]) != 0 ||
           (a->other & b->other) != 0;
}

static bool same_class(const struct find *f, const struct char_set *a, const struct char_set *b)
{
    static const struct char_set newline = {{(uint64_t)1 << '\n', 0}, 0};
    if (set_meets(a, &newline) != set_meets(b, &newline))
        return false;
    for (size_t w = 0; w < f->count; w++) {
        const struct automaton *m = f->wishes[w].automaton;
        for (uint32_t s = 0; s < m->count; s++)
            if (m->states[s].kind == STATE_CHAR &&
                set_meets(&m->states[s].set, a) != set_meets(&m->states[s].set, b))
                return false;
    }
    return true;
}

static void add_class(struct find *f, const struct char_set *sample, const char *text)
{
    for (size_t i = 0; i < f->class_count; i++) {
        struct class *class = &f->classes[i];
        if (!same_class(f, &class->sample, sample))
            continue;
        class->all.ascii[0] |= sample->ascii[0];
        class->all.ascii[1] |= sample->ascii[1];
        class->all.other |= sample->other;
        return;
    }
    f->classes[f->class_count++] = (struct class){*sample, *sample, text};
}

/* Letters and digits come first, because they make readable strings. */
static void find_classes(struct find *f)
{
    static char ascii[128][2];
    static const char order[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "-_.@/ :,;+#!?%&*()[]{}<>=~^$'\"|\\`";
    static const struct {
        unsigned other;
        const char *text;
    } others[] = {{OTHER_WORD, "\303\251"},
                  {OTHER_DIGIT, "\331\243"},
                  {OTHER_SPACE, "\302\240"},
                  {OTHER_REST, "\342\202\254"}};
    for (size_t i = 0; i < sizeof order - 1 + 128; i++) {
        unsigned c =
            i < sizeof order - 1 ? (unsigned)order[i] : (unsigned)(i - sizeof order + 2) % 128;
        struct char_set one = {0};
        one.ascii[c / 64] = (uint64_t)1 << c % 64;
        ascii[c][0] = (char)c;
        add_class(f, &one, ascii[c]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        add_class(f, &(struct char_set){.other = others[i].other}, others[i].text);
}

/* --- steps --- */

static void add_state(const struct automaton *m, uint64_t *set, uint32_t state, unsigned tail,
                      bool at_start)
{
    for (;;) {
        uint32_t bit = state * TAIL_COUNT + tail;
        const struct automaton_state *s = &m->states[state];
        if ((set[bit / 64] >> bit % 64 & 1) != 0 || (s->kind == STATE_BEGIN && !at_start))
            return;
        set[bit / 64] |= (uint64_t)1 << bit % 64;
        if (s->kind == STATE_CHAR || s->kind == STATE_ACCEPT)
            return;
        if (s->kind == STATE_SPLIT)
            add_state(m, set, s->out2, tail, at_start);
        if (s->kind == STATE_END && s->tail > tail)
            tail = s->tail;
        state = s->out;
    }
}

static bool accepts(const struct automaton *m, const uint64_t *set)
{
    for (unsigned tail = 0; tail < TAIL_COUNT; tail++) {
        uint32_t bit = (m->count - 1) * TAIL_COUNT + tail; /* the last state is STATE_ACCEPT */
        if ((set[bit / 64] >> bit % 64 & 1) != 0)
            return true;
    }
    return false;
}

/* Once a pattern has matched, it accepts any rest of the string. */
static void simplify(const struct automaton *m, uint64_t *set, size_t words)
{
    uint32_t bit = (m->count - 1) * TAIL_COUNT + TAIL_ANY;
    if ((set[bit / 64] >> bit % 64 & 1) == 0)
        return;
    memset(set, 0, words * sizeof *set);
    set[bit / 64] |= (uint64_t)1 << bit % 64;
}

static void step(const struct automaton *m, const uint64_t *from, uint64_t *to, size_t words,
                 const struct class *class)
{
    bool newline = class->text[0] == '\n';
    for (size_t word = 0; word < words; word++) {
        for (uint64_t bits = from[word]; bits != 0; bits &= bits - 1) {
            uint32_t bit = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(bits);
            const struct automaton_state *s = &m->states[bit / TAIL_COUNT];
            unsigned tail = bit % TAIL_COUNT;
            if (tail == TAIL_NOTHING || (tail == TAIL_NEWLINE && !newline))
                continue;
            unsigned next = tail == TAIL_NEWLINE ? TAIL_NOTHING : TAIL_ANY;
            if (s->kind == STATE_ACCEPT)
                add_state(m, to, bit / TAIL_COUNT, next, false);
            if (s->kind == STATE_CHAR && set_meets(&s->set, &class->sample))
                add_state(m, to, s->out, next, false);
        }
    }
    add_state(m, to, m->start, TAIL_ANY, false); /* a match may begin at any character */
    simplify(m, to, words);
}

/* --- nodes --- */

static uint64_t hash_of(const struct find *f, const uint64_t *sets, uint32_t length)
{
    uint64_t hash = 0x9E3779B97F4A7C15U ^ length;
    for (size_t i = 0; i < f->total_words; i++)
        hash = (hash ^ sets[i]) * 0xD6E8FEB86659FD93U ^ hash >> 29;
    return hash;
}

/* Above the least allowed length, the length does not matter: each continuation of the longer of
 * two strings is also one of the shorter. */
static uint32_t length_that_counts(const struct find *f, uint32_t length)
{
    return length < f->min ? length : f->min;
}

/* Adds the node unless an equal one exists. False at the limit. */
static bool add_node(struct find *f, uint64_t *sets, uint32_t before, uint32_t length,
                     unsigned char class)
{
    size_t slot = hash_of(f, sets, length_that_counts(f, length)) % SLOTS;
    for (; f->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        const struct text_node *other = &f->nodes[f->slots[slot] - 1];
        if (length_that_counts(f, other->length) == length_that_counts(f, length) &&
            memcmp(other->sets, sets, f->total_words * sizeof *sets) == 0)
            return true;
    }
    uint64_t *copy =
        f->node_count < NODES_MAX ? arena_alloc(&f->arena, f->total_words, sizeof *copy) : NULL;
    if (copy == NULL)
        return false;
    memcpy(copy, sets, f->total_words * sizeof *sets);
    f->nodes[f->node_count++] = (struct text_node){copy, before, length, class};
    f->slots[slot] = f->node_count;
    return true;
}

static bool is_wanted(const struct find *f, const struct text_node *node)
{
    if (node->length < f->min || node->length > f->max)
        return false;
    for (size_t w = 0; w < f->count; w++)
        if (accepts(f->wishes[w].automaton, node->sets + f->offset[w]) != f->wishes[w].matches)
            return false;
    return true;
}

/* --- strings --- */

/* The n-th character of a class, from 0; starts again after the last. */
static const char *member(const struct class *class, unsigned n, char out[2])
{
    unsigned count = (unsigned)(__builtin_popcountll(class->all.ascii[0]) +
                                __builtin_popcountll(class->all.ascii[1]));
    if (count < 2 || n == 0)
        return class->text;
    n %= count;
    for (unsigned c = 0; c < 128; c++) {
        unsigned at = ((unsigned)class->text[0] + c) % 128;
        if ((class->all.ascii[at / 64] >> at % 64 & 1) != 0 && n-- == 0) {
            out[0] = (char)at;
            out[1] = 0;
            return out;
        }
    }
    return class->text;
}

/* The string of a node. `variant` selects other characters of the same classes. False if it is too
 * long. */
static bool text_of(const struct find *f, uint32_t node, unsigned variant, char *text, size_t *len)
{
    size_t at = TEXT_MAX;
    char one[2] = {0};
    for (; f->nodes[node].before != UINT32_MAX; node = f->nodes[node].before) {
        const struct class *class = &f->classes[f->nodes[node].class];
        const char *piece = member(class, variant, one);
        size_t piece_len = piece[0] == 0 ? 1 : strlen(piece);
        if (piece_len > at ||
            ((unsigned char)class->text[0] >= 128 && f->count > 0 && f->wishes[0].automaton->bytes))
            return false;
        at -= piece_len;
        for (size_t i = 0; i < piece_len; i++)
            text[at + i] = piece[i];
    }
    *len = TEXT_MAX - at;
    memmove(text, text + at, *len);
    return true;
}

static bool try_node(struct find *f, uint32_t node)
{
    size_t len = 0;
    for (unsigned variant = 0; variant < VARIANTS_MAX; variant++) {
        if (*f->steps == 0 || !text_of(f, node, variant, f->text, &len))
            break;
        *f->steps -= 1;
        if (f->try(f->arg, f->text, len))
            return true;
        if (len == 0)
            break;
    }
    f->cut_off = true;
    return false;
}

/* --- the search --- */

static bool begin(struct find *f)
{
    for (size_t w = 0; w < f->count; w++) {
        f->words[w] = ((size_t)f->wishes[w].automaton->count * TAIL_COUNT + 63) / 64;
        f->offset[w] = f->total_words;
        f->total_words += f->words[w];
    }
    f->nodes = arena_alloc(&f->arena, NODES_MAX, sizeof *f->nodes);
    f->slots = arena_alloc(&f->arena, SLOTS, sizeof *f->slots);
    uint64_t *sets = arena_alloc(&f->arena, f->total_words + 1, sizeof *sets);
    if (f->nodes == NULL || f->slots == NULL || sets == NULL)
        return false;
    find_classes(f);
    for (size_t w = 0; w < f->count; w++) {
        const struct automaton *m = f->wishes[w].automaton;
        add_state(m, sets + f->offset[w], m->start, TAIL_ANY, true);
        simplify(m, sets + f->offset[w], f->words[w]);
    }
    return add_node(f, sets, UINT32_MAX, 0, 0);
}

/* Adds all strings that are one character longer than the node's. False at a limit. */
static bool extend(struct find *f, uint32_t at, uint64_t *sets)
{
    for (size_t c = 0; c < f->class_count; c++) {
        memset(sets, 0, f->total_words * sizeof *sets);
        for (size_t w = 0; w < f->count; w++)
            step(f->wishes[w].automaton, f->nodes[at].sets + f->offset[w], sets + f->offset[w],
                 f->words[w], &f->classes[c]);
        if (*f->steps == 0)
            return false;
        *f->steps -= 1;
        if (!add_node(f, sets, at, f->nodes[at].length + 1, (unsigned char)c))
            return false;
    }
    return true;
}

static enum answer search(struct find *f)
{
    if (!begin(f))
        return ANSWER_UNKNOWN;
    uint64_t *sets = arena_alloc(&f->arena, f->total_words + 1, sizeof *sets);
    f->text = arena_alloc(&f->arena, TEXT_MAX, 1);
    if (sets == NULL || f->text == NULL)
        return ANSWER_UNKNOWN;
    for (uint32_t at = 0; at < f->node_count; at++) {
        if (is_wanted(f, &f->nodes[at]) && try_node(f, at))
            return ANSWER_FOUND;
        if (f->nodes[at].length < f->max && !extend(f, at, sets))
            return ANSWER_UNKNOWN;
    }
    return f->cut_off ? ANSWER_UNKNOWN : ANSWER_IMPOSSIBLE;
}

enum answer automaton_find(const struct automaton_wish *wishes, size_t count, uint32_t min,
                           uint32_t max, automaton_try_fn *try, void *arg, uint64_t *steps)
{
    if (min > max)
        return ANSWER_IMPOSSIBLE;
    if (count > AUTOMATON_WISHES_MAX)
        return ANSWER_UNKNOWN;
    for (size_t w = 0; w < count; w++)
        if (wishes[w].automaton->bytes != wishes[0].automaton->bytes)
            return ANSWER_UNKNOWN;
    struct find *f = memory_zalloc(sizeof *f);
    if (f == NULL)
        return ANSWER_UNKNOWN;
    f->wishes = wishes;
    f->count = count;
    f->min = min;
    f->max = max;
    f->try = try;
    f->arg = arg;
    f->steps = steps;
    enum answer answer = search(f);
    arena_free(&f->arena);
    memory_free(f);
    return answer;
}
