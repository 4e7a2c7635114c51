/* Reads the elements of a BSON document in place: one level, no allocation, every length checked.
 * It checks only the element that it visits; validate.h checks the whole document. Source:
 * bsonspec.org 1.1. */
#ifndef SLUICE_BSON_SCAN_H
#define SLUICE_BSON_SCAN_H

#include "base/bytes.h"

enum bson_kind {
    BSON_KIND_EOD = 0x00,
    BSON_KIND_DOUBLE = 0x01,
    BSON_KIND_STRING = 0x02,
    BSON_KIND_OBJECT = 0x03,
    BSON_KIND_ARRAY = 0x04,
    BSON_KIND_BINARY = 0x05,
    BSON_KIND_UNDEFINED = 0x06,
    BSON_KIND_OBJECT_ID = 0x07,
    BSON_KIND_BOOL = 0x08,
    BSON_KIND_DATE = 0x09,
    BSON_KIND_NULL = 0x0A,
    BSON_KIND_REGEX = 0x0B,
    BSON_KIND_DB_POINTER = 0x0C,
    BSON_KIND_CODE = 0x0D,
    BSON_KIND_SYMBOL = 0x0E,
    BSON_KIND_CODE_WITH_SCOPE = 0x0F,
    BSON_KIND_INT32 = 0x10,
    BSON_KIND_TIMESTAMP = 0x11,
    BSON_KIND_INT64 = 0x12,
    BSON_KIND_DECIMAL128 = 0x13,
    BSON_KIND_MAX_KEY = 0x7F,
    BSON_KIND_MIN_KEY = 0xFF
};

/* An element; all pointers point into the scanned bytes. */
struct scan_element {
    uint8_t kind;
    const char *name;
    size_t name_len;
    struct bytes value; /* the value alone, as in the document */
};

struct scan {
    struct bytes
        rest;    /* from the next element's type byte to the document's final NUL, excluding it */
    bool broken; /* an element exceeds the document or has an unknown type */
};

/* Opens the document at the start of `at`; its length may be less than the length of `at`. False if
 * its length is below 5 or above that of `at`, or if its last byte is not NUL. */
bool scan_open(struct scan *scan, struct bytes at);

/* Reads the next element. False at the end, or if the document is broken (scan->broken is then
 * set). */
bool scan_next(struct scan *scan, struct scan_element *element);

/* The length of a value of this kind at the start of `at`, checked against `at`. */
bool scan_value_length(uint8_t kind, struct bytes at, size_t *len);

/* Finds the first element with this name. False if there is none, or if the document breaks before
 * it. */
bool scan_find(struct bytes document, const char *name, struct scan_element *element);

/* Finds the only element with this name. False also if the document contains the name twice:
 * readers differ in the element that they take, and a wrong choice would spoil decisions. */
bool scan_find_once(struct bytes document, const char *name, struct scan_element *element);

/* True if the element has this name. */
bool scan_name_is(const struct scan_element *element, const char *name);

/* Does the same for a literal name, without a call. */
#define SCAN_NAME_IS(element, literal)                                                             \
    ((element)->name_len == sizeof(literal) - 1 &&                                                 \
     memcmp((element)->name, literal, sizeof(literal) - 1) == 0)

/* Reads the element as a boolean, as the server reads a command's flag: a bool, or a number other
 * than 0. Everything else is false. */
bool scan_is_true(const struct scan_element *element);

/* Accepts int32, int64, and doubles without a fraction. */
bool scan_as_int64(const struct scan_element *element, int64_t *out);

/* The characters of a string, without the terminator; they may contain NULs. */
bool scan_as_string(const struct scan_element *element, const char **text, size_t *len);

/* Elements in a valid document or array. */
size_t scan_count(struct bytes container);

#endif
