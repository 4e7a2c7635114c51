#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_write(const uint8_t *data, size_t len, char *out)
{
    char *to = out;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= have > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= have > 2 ? (uint32_t)data[i + 2] : 0;
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = '=';
        *to++ = '=';
        if (have > 1)
            to[-2] = digits[bits >> 6 & 63];
        if (have > 2)
            to[-1] = digits[bits & 63];
    }
    return (size_t)(to - out);
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Decodes characters until another one comes or the next byte does not fit. *rest: the bits that
 * make no byte. */
static size_t decode(struct bytes *text, uint8_t *out, size_t cap, uint32_t *rest)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t len = 0;
    while (bytes_left(text) > 0) {
        int value = value_of(*text->pos);
        if (value < 0 || (bit_count >= 2 && len == cap))
            break;
        text->pos++;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[len++] = (uint8_t)(bits >> bit_count);
            bits &= (1U << bit_count) - 1;
        }
    }
    *rest = bits;
    return len;
}

bool base64_read(struct bytes text, uint8_t *out, size_t cap, size_t *len)
{
    uint32_t rest = 0;
    if (bytes_left(&text) % 4 != 0)
        return false;
    *len = decode(&text, out, cap, &rest);
    size_t padding = (3 - *len % 3) % 3;
    return rest == 0 && bytes_left(&text) == padding &&
           memcmp(text.pos == NULL ? (const uint8_t *)"" : text.pos, "==", padding) == 0;
}

size_t base64_read_front(struct bytes text, uint8_t *out, size_t cap)
{
    uint32_t rest = 0;
    return decode(&text, out, cap, &rest);
}
