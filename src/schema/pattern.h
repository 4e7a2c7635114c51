/* Regular expressions: those that are an anchored row of character classes run as byte classes, the
 * others through PCRE2's JIT under a match limit, so that no pattern and no string makes a check
 * slow. A pattern is immutable and shared; a scratch belongs to one thread at a time. */
#ifndef SLUICE_SCHEMA_PATTERN_H
#define SLUICE_SCHEMA_PATTERN_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Steps of PCRE2's matcher that one string may take before its check is cut off: far over what a
 * sound pattern needs, and a quarter of a millisecond. */
#define PATTERN_MATCH_LIMIT 50000
/* A sound pattern needs about as many steps as the string is long, and so many are free:
 * PATTERN_FREE_STEPS, and PATTERN_FREE_STEPS_A_BYTE for each byte of the string. Who needs more is
 * let have PATTERN_CHEAP_LIMIT and then PATTERN_MATCH_LIMIT, which are charged to the document and
 * its command. */
#define PATTERN_FREE_STEPS        64
#define PATTERN_FREE_STEPS_A_BYTE 4
#define PATTERN_CHEAP_LIMIT       2000
#define PATTERN_DOCUMENT_STEPS    500000
#define PATTERN_COMMAND_STEPS     10000000

enum pattern_flavour {
    PATTERN_MONGODB,       /* UTF and nothing else, as $jsonSchema's `pattern` */
    PATTERN_MONGODB_NAMES, /* bytes, as its `patternProperties` */
    PATTERN_PYDANTIC /* UTF, Unicode classes, $ only at the very end, as pydantic's Rust regexes */
};

enum pattern_result { PATTERN_NO, PATTERN_YES, PATTERN_CUT_OFF };

struct pattern;
struct pattern_scratch;
struct byte_class_row;

/* text[0..len) without NULs. NULL with err set: InvalidRegex naming what PCRE2 refuses and where,
 * or out of memory. Released with pattern_free. */
struct pattern *pattern_new(const char *text, size_t len, enum pattern_flavour flavour,
                            struct error *err);
void pattern_free(struct pattern *pattern);

/* What it takes in memory, machine code included. */
size_t pattern_bytes(const struct pattern *pattern);

/* The byte classes that decide the pattern, owned by it; NULL where PCRE2 does. */
const struct byte_class_row *pattern_row(const struct pattern *pattern);

/* NULL without memory. */
struct pattern_scratch *pattern_scratch_new(void);
void pattern_scratch_free(struct pattern_scratch *scratch);
/* To be called when a new document begins: it may take PATTERN_DOCUMENT_STEPS. */
void pattern_scratch_reset(struct pattern_scratch *scratch);
/* What is left for a command, which its documents share; NULL: no limit. Outlives its use. */
void pattern_scratch_share(struct pattern_scratch *scratch, uint64_t *steps);
/* Why the last match was cut off. A static string. */
const char *pattern_cut_off_reason(const struct pattern_scratch *scratch);

/* Whether the pattern occurs in the string, which is valid UTF-8. */
enum pattern_result pattern_match(const struct pattern *pattern, const uint8_t *text, size_t len,
                                  struct pattern_scratch *scratch);

#endif
