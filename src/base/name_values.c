#include "base/name_values.h"

#include <stdint.h>
#include <string.h>

static bool is_printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

bool name_values_next(const char **rest, struct name_value *out)
{
    const char *begin = *rest;
    size_t len = strcspn(begin, ",");
    const char *equals = memchr(begin, '=', len);
    if (len >= NAME_VALUE_BYTES || equals == NULL || equals == begin || !is_printable(begin, len))
        return false;
    size_t name_len = (size_t)(equals - begin);
    *out = (struct name_value){begin, name_len, equals + 1, len - name_len - 1};
    *rest = begin + len + (begin[len] == ',');
    return true;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    int letter = (unsigned char)digit | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

size_t name_value_decode(const struct name_value *pair, char out[NAME_VALUE_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < pair->value_len; i++) {
        const char *at = pair->value + i;
        int high = i + 2 < pair->value_len && *at == '%' ? hex_digit(at[1]) : -1;
        int low = high >= 0 ? hex_digit(at[2]) : -1;
        uint8_t byte = (uint8_t)(low >= 0 ? high << 4 | low : *at);
        memcpy(&out[len++], &byte, 1);
        i += low >= 0 ? 2 : 0;
    }
    return len;
}

bool name_values_are_valid(const char *text)
{
    struct name_value pair;
    const char *rest = text;
    while (*rest != 0)
        if (!name_values_next(&rest, &pair))
            return false;
    return rest == text || rest[-1] != ',';
}
