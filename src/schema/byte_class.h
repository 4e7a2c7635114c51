/* Simple regular expressions that need no matcher: an anchored sequence of character classes with
 * counts. No class shares a first byte with its possible successors, so the longest run is always
 * correct, and nothing is tried twice. An example is `^[A-Z]{3}-\d{4}$`. */
#ifndef SLUICE_SCHEMA_BYTE_CLASS_H
#define SLUICE_SCHEMA_BYTE_CLASS_H

#include "bson/block.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_class_row;

/* The result is the same for UTF-8 and for bytes: only runs of any length may contain characters of
 * several bytes. Returns NULL if the pattern has another form (or without memory: the caller then
 * uses PCRE2). `unicode` means PCRE2_UCP | PCRE2_DOLLAR_ENDONLY: PCRE2 handles \d and \w, and $
 * does not match before a final newline. */
struct byte_class_row *byte_class_compile(const char *pattern, size_t len, bool unicode);
size_t byte_class_bytes(const struct byte_class_row *row); /* 0 for NULL */
void byte_class_free(struct byte_class_row *row);

/* True if the pattern matches text[0..len), which is valid UTF-8. `room` is the number of readable
 * bytes from text on, at least len. */
bool byte_class_match(const struct byte_class_row *row, const uint8_t *text, size_t len,
                      size_t room);

/* Patterns of a fixed length, as for codes and numbers: each byte has a few ASCII ranges, so one
 * comparison of blocks decides. */
#define BYTE_CLASS_RANGES_MAX 3
#define BYTE_CLASS_CODE_MAX   ((size_t)2 * BLOCK_BYTES)

struct byte_class_code {
    size_t len;
    unsigned range_count;
    unsigned room; /* the number of bytes that a match reads */
    uint8_t low[BYTE_CLASS_RANGES_MAX][BYTE_CLASS_CODE_MAX];
    uint8_t span[BYTE_CLASS_RANGES_MAX][BYTE_CLASS_CODE_MAX];
};

/* NULL if the pattern has another form. The row owns it. */
const struct byte_class_code *byte_class_code(const struct byte_class_row *row);

/* True if text[0..code->len) matches; the text is then ASCII. */
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
