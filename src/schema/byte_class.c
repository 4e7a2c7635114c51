#include "schema/byte_class.h"

#include "base/memory.h"

#include <string.h>

#define ATOMS_MAX 24
#define FIXED_MAX 40
#define COUNT_MAX UINT32_MAX

struct atom {
    uint64_t bytes[4]; /* the set of bytes, one bit each */
    uint32_t min;
    uint32_t max;
};

/* The state during the reading of a pattern. */
struct row_parts {
    size_t count;
    bool to_end;   /* $ ends the pattern */
    bool end_only; /* $ does not match before a final newline */
    struct atom atoms[ATOMS_MAX];
};

/* A set of bytes as a few ranges, or all bytes except these; the last range fills unused places. No
 * ranges if it needs more. */
struct ranges {
    unsigned count;
    uint32_t flip; /* BLOCK_BITS: all bytes except the ranges */
    uint8_t low[BYTE_CLASS_RANGES_MAX];
    uint8_t span[BYTE_CLASS_RANGES_MAX];
};

/* One atom of the row, ready for matching. Blocks find a run of a class that is two ranges, or all
 * except two. */
struct step {
    uint32_t min;
    uint32_t max;
    bool by_block;
    uint32_t flip;
    uint8_t low[2][BLOCK_BYTES]; /* all bytes of a block are equal */
    uint8_t span[2][BLOCK_BYTES];
};

struct byte_class_row {
    size_t count;
    bool to_end;
    bool end_only;
    struct step steps[ATOMS_MAX];
    size_t fixed_len; /* the length of every matching string, if it is fixed; otherwise 0 */
    uint8_t atom_at[FIXED_MAX]; /* then, the atom of each place */
    struct byte_class_code code;
    uint32_t accepts[256]; /* one bit for each atom whose class contains the byte */
};

struct class_reader {
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

/* The text after a backslash: a class letter, or a punctuation character that means itself. */
static bool read_escape(struct class_reader *in, struct atom *atom)
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

static bool read_set_member(struct class_reader *in, struct atom *atom)
{
    uint8_t byte = *in->pos++;
    if (byte >= 0x80 || byte == '[')
        return false; /* several bytes, or possibly [:class:] */
    if (byte == '\\') {
        if (!read_escape(in, atom))
            return false;
        /* PCRE2 handles a range that starts with an escape. */
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

static bool read_set(struct class_reader *in, struct atom *atom)
{
    bool negated = in->pos < in->end && *in->pos == '^';
    in->pos += negated;
    if (in->pos < in->end && *in->pos == ']')
        return false; /* a literal ] at the start: rare, so PCRE2 handles it */
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

static bool read_number(struct class_reader *in, uint32_t *out)
{
    const uint8_t *first = in->pos;
    uint32_t value = 0;
    for (; in->pos < in->end && *in->pos >= '0' && *in->pos <= '9' && value < 10000; in->pos++)
        value = value * 10 + (*in->pos - '0');
    *out = value;
    return in->pos > first;
}

/* {n}, {n,}, {n,m}; other braces are text for PCRE2, which handles them. */
static bool read_braces(struct class_reader *in, struct atom *atom)
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

static bool read_quantifier(struct class_reader *in, struct atom *atom)
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

static bool read_atom(struct class_reader *in, struct atom *atom)
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
    /* a class of characters with several bytes counts bytes and not characters: correct only if the
     * count does not matter */
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

/* True if the longest run of each atom is the correct one. */
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
    struct class_reader in = {(const uint8_t *)pattern, (const uint8_t *)pattern + len, unicode};
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
        if (row->steps[i].min != row->steps[i].max || row->steps[i].max > FIXED_MAX - len)
            return;
        for (uint32_t n = 0; n < row->steps[i].min; n++)
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

/* --- by blocks --- */

static struct ranges find_ranges(const struct atom *atom)
{
    struct ranges ranges = {.flip = has(atom, 0) ? BLOCK_BITS : 0};
    for (unsigned byte = 1; byte < 256; byte++) {
        unsigned first = byte;
        while (byte < 256 && has(atom, (uint8_t)byte) == (ranges.flip == 0))
            byte++;
        if (byte == first)
            continue;
        if (ranges.count == BYTE_CLASS_RANGES_MAX)
            return (struct ranges){0};
        for (unsigned r = ranges.count++; r < BYTE_CLASS_RANGES_MAX; r++) {
            ranges.low[r] = (uint8_t)first;
            ranges.span[r] = (uint8_t)(byte - 1 - first);
        }
    }
    return ranges;
}

/* The ranges of each place, if they are few and ASCII. */
static void lay_out_code(struct byte_class_row *row, const struct row_parts *parts)
{
    struct byte_class_code code = {.len = row->fixed_len,
                                   .range_count = 1,
                                   .room = row->fixed_len > BLOCK_BYTES ? BYTE_CLASS_CODE_MAX
                                                                        : BLOCK_BYTES};
    if (row->fixed_len > BYTE_CLASS_CODE_MAX)
        return;
    memset(code.span, UINT8_MAX, sizeof code.span); /* beyond the text: any byte */
    for (size_t i = 0; i < row->fixed_len; i++) {
        struct ranges ranges = find_ranges(&parts->atoms[row->atom_at[i]]);
        if (ranges.flip != 0 || ranges.count == 0)
            return;
        if (ranges.count > code.range_count)
            code.range_count = ranges.count;
        for (unsigned r = 0; r < BYTE_CLASS_RANGES_MAX; r++) {
            if (ranges.low[r] + ranges.span[r] > 0x7F)
                return;
            code.low[r][i] = ranges.low[r];
            code.span[r][i] = ranges.span[r];
        }
    }
    row->code = code;
}

static void make_step(struct step *step, const struct atom *atom)
{
    struct ranges ranges = find_ranges(atom);
    step->min = atom->min;
    step->max = atom->max;
    step->by_block = atom->max > 1 && (ranges.count == 1 || ranges.count == 2);
    step->flip = ranges.flip;
    for (unsigned r = 0; r < 2; r++) {
        memset(step->low[r], ranges.low[r], BLOCK_BYTES);
        memset(step->span[r], ranges.span[r], BLOCK_BYTES);
    }
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
        make_step(&row->steps[i], &parts.atoms[i]);
        for (unsigned byte = 0; byte < 256; byte++)
            row->accepts[byte] |= (uint32_t)has(&parts.atoms[i], (uint8_t)byte) << i;
    }
    lay_out_fixed(row);
    if (row->fixed_len > 0)
        lay_out_code(row, &parts);
    return row;
}

size_t byte_class_bytes(const struct byte_class_row *row)
{
    return row == NULL ? 0 : sizeof *row;
}

void byte_class_free(struct byte_class_row *row)
{
    memory_free(row);
}

const struct byte_class_code *byte_class_code(const struct byte_class_row *row)
{
    return row->code.len > 0 ? &row->code : NULL;
}

/* The first byte of [pos, end) outside the class of the row's i-th atom; `end` if there is none.
 * With blocks an e-mail address takes 160 instructions, byte by byte 260. */
static inline const uint8_t *find_end_of_run(const struct byte_class_row *row, size_t i,
                                             const uint8_t *pos, const uint8_t *end,
                                             const uint8_t *limit)
{
    const struct step *step = &row->steps[i];
    for (; step->by_block && pos < end && limit - pos >= BLOCK_BYTES; pos += BLOCK_BYTES) {
        block16 here = block_load(pos);
        block16 in = block_in_range(here, block_load(step->low[0]), block_load(step->span[0])) |
                     block_in_range(here, block_load(step->low[1]), block_load(step->span[1]));
        uint32_t others = block_high_bits(in) ^ step->flip ^ BLOCK_BITS;
        if (others == 0)
            continue;
        pos += __builtin_ctz(others);
        return pos < end ? pos : end;
    }
    while (pos < end && (row->accepts[*pos] >> i & 1) != 0)
        pos++;
    return pos < end ? pos : end;
}

bool byte_class_match(const struct byte_class_row *row, const uint8_t *text, size_t len,
                      size_t room)
{
    const uint8_t *pos = text;
    const uint8_t *end = text + len;
    if (row->fixed_len > 0 && len == row->fixed_len)
        return matches_fixed(row, text);
    for (size_t i = 0; i < row->count; i++) {
        const struct step *step = &row->steps[i];
        size_t most = (size_t)(end - pos);
        if (step->max < most)
            most = step->max;
        const uint8_t *stop = find_end_of_run(row, i, pos, pos + most, text + room);
        if ((size_t)(stop - pos) < step->min)
            return false;
        pos = stop;
    }
    return !row->to_end || pos == end || (!row->end_only && pos + 1 == end && *pos == '\n');
}
