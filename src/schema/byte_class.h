/* The simple regular expressions that need no matcher: an anchored row of character classes, each
 * with a count, of which no class shares a first byte with what may follow it, so that the longest
 * run is always the right one and nothing is ever tried twice. `^[A-Z]{3}-\d{4}$` is one. */
#ifndef SLUICE_SCHEMA_BYTE_CLASS_H
#define SLUICE_SCHEMA_BYTE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_class_row;

/* NULL where the pattern is not of that form (or there is no memory: the caller has PCRE2 to fall
 * back on). `unicode` as PCRE2_UCP | PCRE2_DOLLAR_ENDONLY: \d and \w are then left to PCRE2, and $
 * does not match before a final newline. */
struct byte_class_row *byte_class_compile(const char *pattern, size_t len, bool unicode);
void byte_class_free(struct byte_class_row *row);

/* Whether the pattern matches text[0..len), which is valid UTF-8. */
bool byte_class_match(const struct byte_class_row *row, const uint8_t *text, size_t len);

#endif
