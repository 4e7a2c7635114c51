/* UTF-8 as RFC 3629 has it: no overlong form, no surrogate, nothing over U+10FFFF. NUL is a
 * character like any other. */
#ifndef SLUICE_BSON_UTF8_H
#define SLUICE_BSON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UTF8_HIGH_BITS 0x8080808080808080U

/* Whether text[0..len) is UTF-8, for any bytes. Called where a byte over 0x7F was seen. */
bool utf8_check_slow(const uint8_t *text, size_t len);

/* Code points in valid UTF-8: the bytes that do not continue one. */
size_t utf8_count(const uint8_t *text, size_t len);

static inline uint64_t utf8_load_word(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Whether no byte is over 0x7F. */
static inline bool utf8_is_ascii(const uint8_t *text, size_t len)
{
    uint64_t bits = 0;
    if (len < 8) {
        for (size_t i = 0; i < len; i++)
            bits |= text[i];
        return (bits & 0x80) == 0;
    }
    size_t i = 0;
    for (; i + 8 < len; i += 8)
        bits |= utf8_load_word(text + i);
    bits |= utf8_load_word(text + len - 8); /* the last word, overlapping the one before */
    return (bits & UTF8_HIGH_BITS) == 0;
}

/* The same for the characters of a BSON string, which stand between their length and a NUL: the
 * word that ends with the NUL is there to be read, and the length of a short string is no high
 * byte. */
static inline bool utf8_is_ascii_string(const uint8_t *text, size_t len)
{
    if (len < 3)
        return len == 0 || ((text[0] | text[1]) & 0x80) == 0;
    uint64_t bits = utf8_load_word(text + len - 7);
    for (size_t i = 0; i + 7 < len; i += 8)
        bits |= utf8_load_word(text + i);
    return (bits & UTF8_HIGH_BITS) == 0;
}

static inline bool utf8_check(const uint8_t *text, size_t len)
{
    return utf8_is_ascii(text, len) || utf8_check_slow(text, len);
}

#endif
