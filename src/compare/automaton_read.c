/* Makes the automaton of a pattern. */
#include "compare/automaton_internal.h"

#include <string.h>

enum { GROUPS_MAX = 40 };

struct reader {
    const char *text;
    size_t len;
    size_t pos;
    struct automaton *a;
    enum pattern_flavour flavour;
    unsigned depth;
    bool caseless; /* (?i) at its start */
    bool failed;
};

struct piece {
    uint32_t start, end; /* `end` is a STATE_PASS whose `out` is still open */
};

static uint32_t add_state(struct reader *r, enum state_kind kind)
{
    if (r->a->count >= STATES_MAX) {
        r->failed = true;
        return 0;
    }
    r->a->states[r->a->count] = (struct automaton_state){.kind = kind};
    return r->a->count++;
}

static bool at_end(const struct reader *r)
{
    return r->pos >= r->len;
}

static bool looking_at(const struct reader *r, const char *text)
{
    size_t len = strlen(text);
    return r->len - r->pos >= len && memcmp(r->text + r->pos, text, len) == 0;
}

static bool take(struct reader *r, const char *text)
{
    if (!looking_at(r, text))
        return false;
    r->pos += strlen(text);
    return true;
}

/* --- sets of characters --- */

static void set_add(struct char_set *set, unsigned low, unsigned high)
{
    for (unsigned c = low; c <= high && c < 128; c++)
        set->ascii[c / 64] |= (uint64_t)1 << c % 64;
}

static void set_join(struct char_set *set, const struct char_set *more)
{
    set->ascii[0] |= more->ascii[0];
    set->ascii[1] |= more->ascii[1];
    set->other |= more->other;
}

/* Adds the other case of the letters. Beyond ASCII, some letter is another case of k and of s: all
 * letters are added. */
static void set_fold(struct reader *r, struct char_set *set)
{
    uint64_t letters = set->ascii[1] & 0x07FFFFFE07FFFFFEU;
    if (!r->caseless)
        return;
    letters |= letters >> 32 | letters << 32;
    set->ascii[1] |= letters;
    if (r->flavour != PATTERN_MONGODB_NAMES && (letters & (1U << 11 | 1U << 19)) != 0) {
        set->other |= OTHER_WORD;
        r->a->exact = false;
    }
}

static void set_invert(struct char_set *set)
{
    set->ascii[0] = ~set->ascii[0];
    set->ascii[1] = ~set->ascii[1];
    set->other = ~set->other & OTHER_ALL;
}

/* \d, \w, \s and their opposites. */
static bool escape_set(const struct reader *r, char c, struct char_set *set)
{
    bool unicode = r->flavour == PATTERN_PYDANTIC;
    *set = (struct char_set){0};
    switch (c | 0x20) {
    case 'd':
        set_add(set, '0', '9');
        set->other = unicode ? OTHER_DIGIT : 0;
        break;
    case 'w':
        set_add(set, '0', '9');
        set_add(set, 'a', 'z');
        set_add(set, 'A', 'Z');
        set_add(set, '_', '_');
        set->other = unicode ? OTHER_DIGIT | OTHER_WORD : 0;
        break;
    case 's':
        set_add(set, '\t', '\r');
        set_add(set, ' ', ' ');
        set->other = unicode ? OTHER_SPACE : 0;
        break;
    default:
        return false;
    }
    if (c >= 'A' && c <= 'Z')
        set_invert(set);
    return true;
}

/* The character after a backslash, if it is one character; otherwise -1. */
static int escape_char(struct reader *r)
{
    static const char names[] = "ntrfea";
    static const char values[] = "\n\t\r\f\033\a";
    char c = r->text[r->pos];
    const char *name = strchr(names, c);
    if (c != 0 && name != NULL) {
        r->pos++;
        return (unsigned char)values[name - names];
    }
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || (unsigned char)c >= 128)
        return -1;
    r->pos++;
    return (unsigned char)c;
}

/* One character inside brackets, or a set. False if it is not understood. */
static bool class_item(struct reader *r, int *one, struct char_set *set)
{
    *one = -1;
    if ((unsigned char)r->text[r->pos] >= 128 || looking_at(r, "[:") || looking_at(r, "[.") ||
        looking_at(r, "[="))
        return false;
    if (r->text[r->pos] != '\\') {
        *one = (unsigned char)r->text[r->pos++];
        return true;
    }
    if (++r->pos >= r->len)
        return false;
    if (escape_set(r, r->text[r->pos], set)) {
        r->pos++;
        return true;
    }
    *one = escape_char(r);
    return *one >= 0;
}

/* Called after the opening bracket. */
static bool read_class(struct reader *r, struct char_set *out)
{
    bool inverted = take(r, "^");
    bool first = true;
    *out = (struct char_set){0};
    for (; !at_end(r) && (first || r->text[r->pos] != ']'); first = false) {
        struct char_set set = {0};
        int low = 0;
        int high = 0;
        if (!class_item(r, &low, &set))
            return false;
        if (low < 0) {
            if (looking_at(r, "-") && !looking_at(r, "-]"))
                return false;
            set_join(out, &set);
            continue;
        }
        high = low;
        if (looking_at(r, "-") && !looking_at(r, "-]") && r->pos + 1 < r->len) {
            r->pos++;
            if (!class_item(r, &high, &set) || high < low)
                return false;
        }
        set_add(out, (unsigned)low, (unsigned)high);
    }
    set_fold(r, out);
    if (inverted)
        set_invert(out);
    if (inverted && !r->a->exact && r->caseless)
        out->other = OTHER_ALL; /* rather too many than too few */
    return take(r, "]");
}

/* --- pieces --- */

static struct piece no_piece(struct reader *r)
{
    r->failed = true;
    return (struct piece){0, 0};
}

static struct piece piece_of(struct reader *r, enum state_kind kind)
{
    struct piece piece = {add_state(r, kind), 0};
    piece.end = kind == STATE_PASS ? piece.start : add_state(r, STATE_PASS);
    if (!r->failed && kind != STATE_PASS)
        r->a->states[piece.start].out = piece.end;
    return piece;
}

static struct piece char_piece(struct reader *r, const struct char_set *set)
{
    struct piece piece = piece_of(r, STATE_CHAR);
    if (!r->failed)
        r->a->states[piece.start].set = *set;
    return piece;
}

static struct piece end_piece(struct reader *r, unsigned tail)
{
    struct piece piece = piece_of(r, STATE_END);
    if (!r->failed)
        r->a->states[piece.start].tail = tail;
    return piece;
}

static struct piece read_alternatives(struct reader *r);

/* Reads an assertion to its end and leaves it out. */
static struct piece left_out(struct reader *r)
{
    uint32_t count = r->a->count;
    (void)read_alternatives(r);
    if (r->failed || !take(r, ")"))
        return no_piece(r);
    r->a->count = count;
    r->a->exact = false;
    return piece_of(r, STATE_PASS);
}

/* Called after the opening parenthesis. */
static struct piece read_group(struct reader *r)
{
    if (++r->depth > GROUPS_MAX)
        return no_piece(r);
    struct piece piece = {0, 0};
    if (take(r, "?=") || take(r, "?!") || take(r, "?<=") || take(r, "?<!")) {
        piece = left_out(r);
        r->depth--;
        return piece;
    }
    if (take(r, "?>")) {
        r->a->exact = false;
    } else if (take(r, "?<") || take(r, "?P<")) {
        while (!at_end(r) && r->text[r->pos] != '>')
            r->pos++;
        if (!take(r, ">"))
            return no_piece(r);
    } else if (!take(r, "?:") && (looking_at(r, "?") || looking_at(r, "*"))) {
        return no_piece(r); /* options and verbs */
    }
    piece = read_alternatives(r);
    r->depth--;
    return take(r, ")") ? piece : no_piece(r);
}

/* Called after a backslash. */
static struct piece read_escape(struct reader *r)
{
    struct char_set set = {0};
    if (at_end(r))
        return no_piece(r);
    char c = r->text[r->pos];
    if (escape_set(r, c, &set)) {
        r->pos++;
        return char_piece(r, &set);
    }
    if (take(r, "A"))
        return piece_of(r, STATE_BEGIN);
    if (take(r, "z"))
        return end_piece(r, TAIL_NOTHING);
    if (take(r, "Z"))
        return end_piece(r, TAIL_NEWLINE);
    if (take(r, "b") || take(r, "B")) {
        r->a->exact = false;
        return piece_of(r, STATE_PASS);
    }
    int one = escape_char(r);
    if (one < 0)
        return no_piece(r);
    set_add(&set, (unsigned)one, (unsigned)one);
    set_fold(r, &set);
    return char_piece(r, &set);
}

/* Called after an opening brace. */
static bool is_like_count(const struct reader *r)
{
    size_t at = r->pos;
    while (at < r->len && strchr("0123456789, ", r->text[at]) != NULL && r->text[at] != 0)
        at++;
    return at < r->len && r->text[at] == '}';
}

static struct piece read_atom(struct reader *r)
{
    struct char_set set = {0};
    char c = r->text[r->pos];
    if ((unsigned char)c >= 128)
        return no_piece(r);
    r->pos++;
    switch (c) {
    case '(':
        return read_group(r);
    case '[':
        return read_class(r, &set) ? char_piece(r, &set) : no_piece(r);
    case '\\':
        return read_escape(r);
    case '^':
        return piece_of(r, STATE_BEGIN);
    case '$':
        return end_piece(r, r->flavour == PATTERN_PYDANTIC ? TAIL_NOTHING : TAIL_NEWLINE);
    case '.':
        set_add(&set, '\n', '\n');
        set_invert(&set);
        return char_piece(r, &set);
    case '*':
    case '+':
    case '?':
        return no_piece(r);
    case '{': /* literal text; versions of PCRE2 differ for some forms */
        if (is_like_count(r))
            return no_piece(r);
        set_add(&set, '{', '{');
        return char_piece(r, &set);
    default:
        set_add(&set, (unsigned)c, (unsigned)c);
        set_fold(r, &set);
        return char_piece(r, &set);
    }
}

static bool read_number(struct reader *r, unsigned *out)
{
    size_t begin = r->pos;
    *out = 0;
    while (!at_end(r) && r->text[r->pos] >= '0' && r->text[r->pos] <= '9' && *out < 100000)
        *out = *out * 10 + (unsigned)(r->text[r->pos++] - '0');
    return r->pos > begin;
}

/* {n}, {n,} or {n,m}; anything else in braces is literal text. */
static bool read_braces(struct reader *r, unsigned *min, unsigned *max)
{
    size_t begin = r->pos;
    if (take(r, "{") && read_number(r, min)) {
        *max = *min;
        if (take(r, ",") && !read_number(r, max))
            *max = UINT32_MAX;
        if (take(r, "}"))
            return true;
    }
    r->pos = begin;
    return false;
}

static bool read_count(struct reader *r, unsigned *min, unsigned *max)
{
    *min = 1;
    *max = 1;
    if (take(r, "*")) {
        *min = 0;
        *max = UINT32_MAX;
    } else if (take(r, "+")) {
        *max = UINT32_MAX;
    } else if (take(r, "?")) {
        *min = 0;
    } else if (!read_braces(r, min, max)) {
        return false;
    }
    if (take(r, "+"))
        r->a->exact = false; /* possessive: matches less */
    else
        (void)take(r, "?");
    return true;
}

static void join(struct reader *r, struct piece *to, struct piece more)
{
    if (r->failed)
        return;
    r->a->states[to->end].out = more.start;
    to->end = more.end;
}

/* The piece, or the empty string. */
static struct piece optional(struct reader *r, struct piece piece, bool again)
{
    uint32_t split = add_state(r, STATE_SPLIT);
    uint32_t end = add_state(r, STATE_PASS);
    if (r->failed)
        return piece;
    r->a->states[split].out = piece.start;
    r->a->states[split].out2 = end;
    r->a->states[piece.end].out = again ? split : end;
    return (struct piece){split, end};
}

/* An atom with its count. Each further copy reads the atom's text again. */
static struct piece read_counted(struct reader *r)
{
    size_t begin = r->pos;
    unsigned min = 0;
    unsigned max = 0;
    struct piece one = read_atom(r);
    if (r->failed || !read_count(r, &min, &max))
        return one;
    size_t end = r->pos;
    if (max < min)
        return no_piece(r);
    struct piece all = piece_of(r, STATE_PASS);
    unsigned copies = max == UINT32_MAX ? min + 1 : max;
    for (unsigned i = 0; i < copies && !r->failed; i++) {
        if (i > 0) {
            r->pos = begin;
            one = read_atom(r);
        }
        if (i >= min)
            one = optional(r, one, max == UINT32_MAX);
        join(r, &all, one);
    }
    r->pos = end;
    return all;
}

static struct piece read_alternatives(struct reader *r)
{
    struct piece all = piece_of(r, STATE_PASS);
    while (!r->failed && !at_end(r) && r->text[r->pos] != ')' && r->text[r->pos] != '|')
        join(r, &all, read_counted(r));
    if (r->failed || !take(r, "|"))
        return all;
    struct piece other = read_alternatives(r);
    uint32_t split = add_state(r, STATE_SPLIT);
    uint32_t end = add_state(r, STATE_PASS);
    if (r->failed)
        return all;
    r->a->states[split].out = all.start;
    r->a->states[split].out2 = other.start;
    r->a->states[all.end].out = end;
    r->a->states[other.end].out = end;
    return (struct piece){split, end};
}

struct automaton *automaton_new(struct arena *arena, const char *text, size_t len,
                                enum pattern_flavour flavour)
{
    struct automaton *a = arena_alloc(arena, 1, sizeof *a);
    struct reader r = {.text = text, .len = len, .a = a, .flavour = flavour};
    if (a == NULL)
        return NULL;
    a->states = arena_alloc(arena, STATES_MAX, sizeof *a->states);
    if (a->states == NULL)
        return NULL;
    a->exact = true;
    a->bytes = flavour == PATTERN_MONGODB_NAMES;
    r.caseless = take(&r, "(?i)");
    struct piece all = read_alternatives(&r);
    uint32_t accept = add_state(&r, STATE_ACCEPT);
    if (r.failed || !at_end(&r))
        return NULL;
    a->states[all.end].out = accept;
    a->start = all.start;
    return a;
}

bool automaton_is_exact(const struct automaton *automaton)
{
    return automaton->exact;
}
