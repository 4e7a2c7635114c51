/* Regular expressions. An anchored sequence of character classes runs as byte classes; others run
 * through PCRE2's JIT under a match limit, so that no pattern and no string makes a check slow. A
 * pattern is immutable and shared; a scratch belongs to one thread at a time. */
#ifndef SLUICE_SCHEMA_PATTERN_H
#define SLUICE_SCHEMA_PATTERN_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* The maximal steps of PCRE2's matcher for one string: far above the need of a sensible pattern,
 * and a quarter of a millisecond. */
#define PATTERN_MATCH_LIMIT 50000
/* A sensible pattern needs about as many steps as the string has bytes. So many are free:
 * PATTERN_FREE_STEPS, plus PATTERN_FREE_STEPS_A_BYTE for each byte of the string. A pattern that
 * needs more gets PATTERN_CHEAP_LIMIT and then PATTERN_MATCH_LIMIT, charged to the document and its
 * command. */
#define PATTERN_FREE_STEPS        64
#define PATTERN_FREE_STEPS_A_BYTE 4
#define PATTERN_CHEAP_LIMIT       2000
#define PATTERN_DOCUMENT_STEPS    500000
#define PATTERN_COMMAND_STEPS     10000000

enum pattern_flavour {
    PATTERN_MONGODB,       /* UTF and nothing else, like $jsonSchema's `pattern` */
    PATTERN_MONGODB_NAMES, /* bytes, like its `patternProperties` */
    PATTERN_PYDANTIC /* UTF, Unicode classes, $ only at the very end, like pydantic's Rust regexes
                      */
};

enum pattern_result { PATTERN_NO, PATTERN_YES, PATTERN_CUT_OFF };

struct pattern;
struct pattern_scratch;
struct byte_class_row;

/* text[0..len) contains no NULs. NULL with err set: InvalidRegex with PCRE2's reason and place, or
 * out of memory. Release it with pattern_free. */
struct pattern *pattern_new(const char *text, size_t len, enum pattern_flavour flavour,
                            struct error *err);
void pattern_free(struct pattern *pattern);

/* Its memory, including machine code. */
size_t pattern_bytes(const struct pattern *pattern);

/* The byte classes of the pattern, which owns them; NULL if PCRE2 runs it. */
const struct byte_class_row *pattern_row(const struct pattern *pattern);

/* NULL without memory. */
struct pattern_scratch *pattern_scratch_new(void);
void pattern_scratch_free(struct pattern_scratch *scratch);
/* Call it for each new document: it gets PATTERN_DOCUMENT_STEPS. */
void pattern_scratch_reset(struct pattern_scratch *scratch);
/* The budget that all documents of a command share; NULL: no limit. The pointer must stay valid. */
void pattern_scratch_share(struct pattern_scratch *scratch, uint64_t *steps);
/* The reason why the last match was cut off. A static string. */
const char *pattern_cut_off_reason(const struct pattern_scratch *scratch);

/* True if the pattern occurs in the string, which is valid UTF-8. */
enum pattern_result pattern_match(const struct pattern *pattern, const uint8_t *text, size_t len,
                                  struct pattern_scratch *scratch);

#endif
