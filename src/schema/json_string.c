#include "schema/json_string.h"

#include <string.h>

#include "base/memory.h"

struct string_reader {
    const char *text;
    size_t len;
    size_t at;
    const char *why; /* it is no string */
};

/* Returns false. */
static bool broken(struct string_reader *r, size_t at, const char *why)
{
    r->at = at;
    r->why = why;
    return false;
}

static bool read_hex(const struct string_reader *r, size_t at, uint32_t *unit)
{
    *unit = 0;
    for (size_t i = at; i < at + 4; i++) {
        if (i >= r->len)
            return false;
        char c = r->text[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        *unit = *unit * 16 + digit;
    }
    return true;
}

static size_t put_character(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* \u and its digits; two of them for a character above U+FFFF. */
static bool read_unicode(struct string_reader *r, char *out, size_t *used)
{
    size_t at = r->at;
    uint32_t high = 0;
    uint32_t low = 0;
    if (!read_hex(r, at + 2, &high))
        return broken(r, at, "\\u takes four hexadecimal digits");
    r->at += 6;
    if (high >= 0xD800 && high < 0xDC00) {
        if (r->at + 1 >= r->len || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u' ||
            !read_hex(r, r->at + 2, &low) || low < 0xDC00 || low > 0xDFFF)
            return broken(r, at, "half of a surrogate pair");
        r->at += 6;
        high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    } else if (high >= 0xDC00 && high <= 0xDFFF) {
        return broken(r, at, "half of a surrogate pair");
    }
    *used += put_character(out + *used, high);
    return true;
}

static bool read_escape(struct string_reader *r, char *out, size_t *used)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    char letter = '\0';
    if (r->at + 1 < r->len)
        letter = r->text[r->at + 1];
    if (letter == 'u')
        return read_unicode(r, out, used);
    const char *found = letter == 0 ? NULL : strchr(letters, letter);
    if (found == NULL)
        return broken(r, r->at + 1 < r->len ? r->at : r->len,
                      "no such escape; a backslash in a string is written as \\\\");
    out[(*used)++] = meanings[found - letters];
    r->at += 2;
    return true;
}

char *json_string_decode(const char *text, size_t text_len, size_t *at, size_t *len,
                         const char **why)
{
    struct string_reader r = {.text = text, .len = text_len, .at = *at + 1};
    size_t end = r.at;
    while (end < text_len && text[end] != '"')
        end += text[end] == '\\' && end + 1 < text_len ? 2 : 1;
    /* a character is never longer than its escape */
    char *out = memory_alloc(end - *at + 1);
    size_t used = 0;
    bool ok = out != NULL;
    while (ok && r.at < text_len && text[r.at] != '"') {
        if (text[r.at] == '\\')
            ok = read_escape(&r, out, &used);
        else if ((uint8_t)text[r.at] < 0x20)
            ok =
                broken(&r, r.at, "a control character in a string; a line break is written as \\n");
        else
            out[used++] = text[r.at++];
    }
    if (ok && r.at == text_len)
        ok = broken(&r, text_len, "the string does not end");
    *at = ok ? r.at + 1 : r.at;
    *why = r.why;
    if (!ok) {
        memory_free(out);
        return NULL;
    }
    out[used] = 0;
    *len = used;
    return out;
}
