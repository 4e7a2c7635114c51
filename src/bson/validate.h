/* Checks a whole BSON document: lengths, terminators, UTF-8, known types, booleans of 0 or 1, and
 * depth. Allocates nothing. The schema evaluator makes the same check value by value through
 * validate_value, so one pass suffices and one place knows the rules.
 *
 * Every value is checked against the end of its document, and every length by `len > end - pos`.
 * Sources: bsonspec.org 1.1; the depth is the server's limit for stored documents. */
#ifndef SLUICE_BSON_VALIDATE_H
#define SLUICE_BSON_VALIDATE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/utf8.h"

/* The maximal nesting of a stored document, itself included. */
#define VALIDATE_DEPTH_MAX 180

/* The reason and the place of invalid BSON. */
struct validate_fault {
    const char *what; /* a static phrase; NULL without a fault */
    const uint8_t *at;
    bool too_deep; /* well-formed so far, but nested too deeply: the server's Overflow */
};

/* Checks the value of this kind at pos, which must end before `end`. `depth` is the number of
 * documents and arrays around it. Returns the end of the value, or NULL with *fault set. */
const uint8_t *validate_value(uint8_t kind, const uint8_t *pos, const uint8_t *end, unsigned depth,
                              struct validate_fault *fault);

/* Checks the name at pos: it must be UTF-8 and end before `end`. Returns the start of the value, or
 * NULL with *fault set. */
const uint8_t *validate_name(const uint8_t *pos, const uint8_t *end, struct validate_fault *fault);

/* Checks that `document` is exactly one document. On false, err holds InvalidBSON or Overflow with
 * the offset of the fault. */
bool validate_document(struct bytes document, struct error *err);

/* Sets the error for a fault in the document at `start`. Returns false. */
bool validate_report(const struct validate_fault *fault, const uint8_t *start, struct error *err);

/* Sets the fault. Returns NULL, so callers can write `return validate_fail(...)`. */
static inline const uint8_t *validate_fail(struct validate_fault *fault, const uint8_t *at,
                                           const char *what)
{
    fault->what = what;
    fault->at = at;
    return NULL;
}

/* Does the same, fast for short ASCII names; nearly all names are such. */
static inline const uint8_t *validate_skip_name(const uint8_t *pos, const uint8_t *end,
                                                struct validate_fault *fault)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (const uint8_t *p = pos; end - p >= 8; p += 8) {
        uint64_t word = utf8_load_word(p);
        uint64_t nuls = (word - 0x0101010101010101U) & ~word & UTF8_HIGH_BITS;
        if (nuls != 0) {
            unsigned bits = (unsigned)__builtin_ctzll(nuls) - 7; /* the bits before the NUL */
            if ((word & UTF8_HIGH_BITS & (((uint64_t)1 << bits) - 1)) != 0)
                break;
            return p + bits / 8 + 1;
        }
        if ((word & UTF8_HIGH_BITS) != 0)
            break;
    }
#endif
    return validate_name(pos, end, fault);
}

/* Opens the document at pos: checks its length and its final NUL. Returns its first element and
 * sets *last to its final NUL, or returns NULL with *fault set. */
static inline const uint8_t *validate_open(const uint8_t *pos, const uint8_t *end,
                                           const uint8_t **last, struct validate_fault *fault)
{
    ptrdiff_t left = end - pos; /* signed: the evaluator's position may lie behind the end */
    if (left < 5)
        return validate_fail(fault, pos, "the document is shorter than its length field says");
    int32_t len = bytes_load_i32(pos);
    if (len < 5 || len > left)
        return validate_fail(fault, pos, "the document's length field is out of bounds");
    *last = pos + len - 1;
    if (**last != 0)
        return validate_fail(fault, *last, "the document does not end with a NUL");
    return pos + 4;
}

#endif
