/* The simple regular expressions that need no matcher: an anchored row of character classes, each
 * with a count, of which no class shares a first byte with what may follow it, so that the longest
 * run is always the right one and nothing is ever tried twice. `^[A-Z]{3}-\d{4}$` is one. */
#ifndef SLUICE_SCHEMA_BYTE_CLASS_H
#define SLUICE_SCHEMA_BYTE_CLASS_H

#include "bson/block.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_class_row;

/* What it decides is the same whether the pattern and the text are read as UTF-8 or as bytes: only
 * runs of any length may hold characters of several bytes.
 * NULL where the pattern is not of that form (or there is no memory: the caller has PCRE2 to fall
 * back on). `unicode` as PCRE2_UCP | PCRE2_DOLLAR_ENDONLY: \d and \w are then left to PCRE2, and $
 * does not match before a final newline. */
struct byte_class_row *byte_class_compile(const char *pattern, size_t len, bool unicode);
size_t byte_class_bytes(const struct byte_class_row *row); /* 0 for NULL */
void byte_class_free(struct byte_class_row *row);

/* Whether the pattern matches text[0..len), which is valid UTF-8. `room`: how many bytes may be
 * read from text on, at least len. */
bool byte_class_match(const struct byte_class_row *row, const uint8_t *text, size_t len,
                      size_t room);

/* Patterns of a fixed length, as codes and numbers have: each byte is in one of few ASCII ranges of
 * its own, so that one comparison of blocks tells. */
#define BYTE_CLASS_RANGES_MAX 3
#define BYTE_CLASS_CODE_MAX   ((size_t)2 * BLOCK_BYTES)

struct byte_class_code {
    size_t len;
    unsigned range_count;
    unsigned room; /* how many bytes a match reads */
    uint8_t low[BYTE_CLASS_RANGES_MAX][BYTE_CLASS_CODE_MAX];
    uint8_t span[BYTE_CLASS_RANGES_MAX][BYTE_CLASS_CODE_MAX];
};

/* NULL where the pattern is none of those. Owned by the row. */
const struct byte_class_code *byte_class_code(const struct byte_class_row *row);

/* Whether text[0..code->len) matches; the text is ASCII then. */
static inline bool byte_class_code_match(const struct byte_class_code *code, const uint8_t *text)
{
    block16 in = {0};
    for (unsigned r = 0; r < code->range_count; r++)
        in |= block_in_range(block_load(text), block_load(code->low[r]), block_load(code->span[r]));
    if (code->room > BLOCK_BYTES) {
        block16 rest = {0};
        for (unsigned r = 0; r < code->range_count; r++)
            rest |= block_in_range(block_load(text + BLOCK_BYTES),
                                   block_load(code->low[r] + BLOCK_BYTES),
                                   block_load(code->span[r] + BLOCK_BYTES));
        in &= rest;
    }
    return block_high_bits(in) == BLOCK_BITS;
}

#endif
