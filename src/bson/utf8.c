#include "bson/utf8.h"

static bool continues(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Length of the well-formed sequence at p, 0 if there is none; `left` >= 1. */
static size_t sequence_length(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    size_t len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (len > left || !continues(p[1]))
        return 0;
    /* The second byte excludes overlong forms, surrogates and what lies over U+10FFFF. */
    if ((lead == 0xE0 && p[1] < 0xA0) || (lead == 0xED && p[1] > 0x9F) ||
        (lead == 0xF0 && p[1] < 0x90) || (lead == 0xF4 && p[1] > 0x8F))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!continues(p[i]))
            return 0;
    return len;
}

bool utf8_check_slow(const uint8_t *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (len - i >= 8 && (utf8_load_word(text + i) & UTF8_HIGH_BITS) == 0) {
            i += 8;
            continue;
        }
        size_t step = sequence_length(text + i, len - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

size_t utf8_count(const uint8_t *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += !continues(text[i]);
    return count;
}
