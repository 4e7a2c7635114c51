#include "schema/byte_class.h"

#include "base/memory.h"

#include <string.h>

#define ATOMS_MAX 24
#define FIXED_MAX 40
#define COUNT_MAX UINT32_MAX

struct atom {
    uint64_t bytes[4]; /* the set of bytes, a bit each */
    uint32_t min;
    uint32_t max;
};

/* While the pattern is read. */
struct row_parts {
    size_t count;
    bool to_end;   /* $ ends the pattern */
    bool end_only; /* $ does not match before a final newline */
    struct atom atoms[ATOMS_MAX];
};

struct byte_class_row {
    size_t count;
    bool to_end;
    bool end_only;
    struct {
        uint32_t min;
        uint32_t max;
    } counts[ATOMS_MAX];
    size_t fixed_len;           /* where every string that matches has this length; else 0 */
    uint8_t atom_at[FIXED_MAX]; /* then, the atom of each place */
    uint32_t accepts[256];      /* for each byte, a bit for each atom whose class it is in */
};

struct reader {
    const uint8_t *pos;
    const uint8_t *end;
    bool unicode;
};

static bool has(const struct atom *atom, uint8_t byte)
{
    return (atom->bytes[byte >> 6] >> (byte & 63) & 1) != 0;
}

static void add(struct atom *atom, unsigned from, unsigned to)
{
    for (unsigned byte = from; byte <= to; byte++)
        atom->bytes[byte >> 6] |= (uint64_t)1 << (byte & 63);
}

static bool is_one_of(uint8_t byte, const char *set)
{
    return byte != 0 && strchr(set, byte) != NULL;
}

static bool is_meta(uint8_t byte)
{
    return is_one_of(byte, "\\^$.[|()?*+{");
}

/* What follows a backslash: a class letter, or a punctuation character that stands for itself. */
static bool read_escape(struct reader *in, struct atom *atom)
{
    if (in->pos == in->end)
        return false;
    uint8_t byte = *in->pos++;
    if (byte == 'd' && !in->unicode) {
        add(atom, '0', '9');
        return true;
    }
    if (byte == 'w' && !in->unicode) {
        add(atom, '0', '9');
        add(atom, 'a', 'z');
        add(atom, 'A', 'Z');
        add(atom, '_', '_');
        return true;
    }
    bool punctuation = byte > ' ' && byte < 0x7F && !(byte >= '0' && byte <= '9') &&
                       !(byte >= 'A' && byte <= 'Z') && !(byte >= 'a' && byte <= 'z');
    if (punctuation)
        add(atom, byte, byte);
    return punctuation;
}

static bool read_set_member(struct reader *in, struct atom *atom)
{
    uint8_t byte = *in->pos++;
    if (byte >= 0x80 || byte == '[')
        return false; /* several bytes, or perhaps [:class:] */
    if (byte == '\\') {
        if (!read_escape(in, atom))
            return false;
        /* A range that begins with an escape is left to PCRE2. */
        return in->end - in->pos < 2 || in->pos[0] != '-' || in->pos[1] == ']';
    }
    if (in->end - in->pos >= 2 && in->pos[0] == '-' && in->pos[1] != ']') {
        uint8_t to = in->pos[1];
        if (to >= 0x80 || to == '\\' || to == '[' || to < byte)
            return false;
        add(atom, byte, to);
        in->pos += 2;
        return true;
    }
    add(atom, byte, byte);
    return true;
}

static bool read_set(struct reader *in, struct atom *atom)
{
    bool negated = in->pos < in->end && *in->pos == '^';
    in->pos += negated;
    if (in->pos < in->end && *in->pos == ']')
        return false; /* a literal ] at the beginning: rare, left to PCRE2 */
    while (in->pos < in->end && *in->pos != ']')
        if (!read_set_member(in, atom))
            return false;
    if (in->pos == in->end)
        return false;
    in->pos++;
    if (negated)
        for (size_t i = 0; i < 4; i++)
            atom->bytes[i] = ~atom->bytes[i];
    return true;
}

static bool read_number(struct reader *in, uint32_t *out)
{
    const uint8_t *first = in->pos;
    uint32_t value = 0;
    for (; in->pos < in->end && *in->pos >= '0' && *in->pos <= '9' && value < 10000; in->pos++)
        value = value * 10 + (*in->pos - '0');
    *out = value;
    return in->pos > first;
}

/* {n}, {n,}, {n,m}; other braces are text to PCRE2, and left to it. */
static bool read_braces(struct reader *in, struct atom *atom)
{
    if (!read_number(in, &atom->min))
        return false;
    atom->max = atom->min;
    if (in->pos < in->end && *in->pos == ',') {
        in->pos++;
        if (!read_number(in, &atom->max))
            atom->max = COUNT_MAX;
    }
    return in->pos < in->end && *in->pos++ == '}' && atom->min <= atom->max;
}

static bool read_quantifier(struct reader *in, struct atom *atom)
{
    atom->min = 1;
    atom->max = 1;
    if (in->pos == in->end || !is_one_of(*in->pos, "?*+{"))
        return true;
    uint8_t byte = *in->pos++;
    if (byte == '{') {
        if (!read_braces(in, atom))
            return false;
    } else {
        atom->min = byte == '+';
        atom->max = byte == '?' ? 1 : COUNT_MAX;
    }
    /* A second quantifier makes the first lazy or possessive. */
    return in->pos == in->end || !is_one_of(*in->pos, "?*+{");
}

static bool read_atom(struct reader *in, struct atom *atom)
{
    uint8_t byte = *in->pos++;
    bool ok = true;
    if (byte == '[')
        ok = read_set(in, atom);
    else if (byte == '\\')
        ok = read_escape(in, atom);
    else if (byte >= 0x80 || is_meta(byte))
        return false;
    else
        add(atom, byte, byte);
    if (!ok || !read_quantifier(in, atom))
        return false;
    /* A class over several-byte characters counts bytes, not characters: right only where the count
     * does not matter. */
    bool wide = (atom->bytes[2] | atom->bytes[3]) != 0;
    return !wide || (atom->min <= 1 && atom->max == COUNT_MAX);
}

static bool overlaps(const struct atom *a, const struct atom *b)
{
    for (size_t i = 0; i < 4; i++)
        if ((a->bytes[i] & b->bytes[i]) != 0)
            return true;
    return false;
}

/* Whether the longest run of each atom is the right one. */
static bool is_deterministic(const struct row_parts *row)
{
    for (size_t i = 0; i < row->count; i++) {
        if (row->atoms[i].min == row->atoms[i].max)
            continue;
        for (size_t next = i + 1; next < row->count; next++) {
            if (overlaps(&row->atoms[i], &row->atoms[next]))
                return false;
            if (row->atoms[next].min > 0)
                break;
        }
    }
    return true;
}

static bool parse(struct row_parts *row, const char *pattern, size_t len, bool unicode)
{
    struct reader in = {(const uint8_t *)pattern, (const uint8_t *)pattern + len, unicode};
    if (len == 0 || *in.pos++ != '^')
        return false;
    row->end_only = unicode;
    while (in.pos < in.end) {
        if (*in.pos == '$' && in.end - in.pos == 1) {
            row->to_end = true;
            break;
        }
        if (row->count == ATOMS_MAX || !read_atom(&in, &row->atoms[row->count]))
            return false;
        row->count++;
    }
    return is_deterministic(row);
}

static void lay_out_fixed(struct byte_class_row *row)
{
    size_t len = 0;
    for (size_t i = 0; i < row->count; i++) {
        if (row->counts[i].min != row->counts[i].max || row->counts[i].max > FIXED_MAX - len)
            return;
        for (uint32_t n = 0; n < row->counts[i].min; n++)
            row->atom_at[len++] = (uint8_t)i;
    }
    if (row->to_end)
        row->fixed_len = len;
}

static bool matches_fixed(const struct byte_class_row *row, const uint8_t *text)
{
    uint32_t accepted = 1;
    for (size_t i = 0; i < row->fixed_len; i++)
        accepted &= row->accepts[text[i]] >> row->atom_at[i];
    return accepted != 0;
}

struct byte_class_row *byte_class_compile(const char *pattern, size_t len, bool unicode)
{
    struct row_parts parts = {0};
    if (!parse(&parts, pattern, len, unicode))
        return NULL;
    struct byte_class_row *row = memory_zalloc(sizeof *row);
    if (row == NULL)
        return NULL;
    row->count = parts.count;
    row->to_end = parts.to_end;
    row->end_only = parts.end_only;
    for (size_t i = 0; i < parts.count; i++) {
        row->counts[i].min = parts.atoms[i].min;
        row->counts[i].max = parts.atoms[i].max;
        for (unsigned byte = 0; byte < 256; byte++)
            row->accepts[byte] |= (uint32_t)has(&parts.atoms[i], (uint8_t)byte) << i;
    }
    lay_out_fixed(row);
    return row;
}

void byte_class_free(struct byte_class_row *row)
{
    memory_free(row);
}

bool byte_class_match(const struct byte_class_row *row, const uint8_t *text, size_t len)
{
    size_t pos = 0;
    if (row->fixed_len > 0 && len == row->fixed_len)
        return matches_fixed(row, text);
    for (size_t i = 0; i < row->count; i++) {
        uint32_t min = row->counts[i].min;
        uint32_t accepted = 1;
        if (min > len - pos)
            return false;
        size_t end = pos + min;
        while (pos < end)
            accepted &= row->accepts[text[pos++]] >> i;
        if ((accepted & 1) == 0)
            return false;
        if (row->counts[i].max == min)
            continue;
        end = row->counts[i].max - min < len - pos ? pos + (row->counts[i].max - min) : len;
        while (pos < end && (row->accepts[text[pos]] >> i & 1) != 0)
            pos++;
    }
    return !row->to_end || pos == len || (!row->end_only && pos + 1 == len && text[pos] == '\n');
}
