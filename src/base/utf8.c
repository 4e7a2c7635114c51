#include "base/utf8.h"

bool utf8_check_slow(const uint8_t *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (len - i >= 8 && (utf8_load_word(text + i) & UTF8_HIGH_BITS) == 0) {
            i += 8;
            continue;
        }
        size_t step = utf8_length(text + i, len - i);
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
        count += (text[i] & 0xC0) != 0x80;
    return count;
}
