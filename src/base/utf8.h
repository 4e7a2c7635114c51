/* UTF-8, checked. Source: RFC 3629: no overlong form, no surrogate, nothing over U+10FFFF. NUL is a
 * character like any other. */
#ifndef SLUICE_BASE_UTF8_H
#define SLUICE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UTF8_HIGH_BITS 0x8080808080808080U

/* The number of bytes of the character at `p` (1 to 4); `left` bytes are readable, at least one. 0
 * if the bytes are not UTF-8: a stray continuation byte, a cut or overlong sequence, a surrogate,
 * or a value above U+10FFFF. */
static inline size_t utf8_length(const uint8_t *p, size_t left)
{
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    size_t len = 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        len = 2;
    } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        len = 3;
        low = p[0] == 0xE0 ? 0xA0 : 0x80;
        high = p[0] == 0xED ? 0x9F : 0xBF;
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        len = 4;
        low = p[0] == 0xF0 ? 0x90 : 0x80;
        high = p[0] == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (len > left || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

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
