#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

enum { FIRST_SIZE = 256 };

struct text text_over(char *buffer, size_t size)
{
    buffer[0] = '\0';
    return (struct text){.data = buffer, .size = size};
}

struct text text_growing(void)
{
    return (struct text){.grows = true};
}

void text_release(struct text *text)
{
    if (!text->grows)
        return;
    memory_free(text->data);
    *text = text_growing();
}

/* True if `len` more bytes and the NUL fit; otherwise sets cut. */
static bool make_room(struct text *text, size_t len)
{
    if (text->cut)
        return false;
    if (text->size > text->len && len < text->size - text->len)
        return true;
    text->cut = true;
    if (!text->grows || len >= SIZE_MAX / 4 - text->len)
        return false;
    size_t size = text->size == 0 ? FIRST_SIZE : text->size;
    while (size <= text->len + len)
        size *= 2;
    char *data = memory_resize(text->data, size);
    if (data == NULL)
        return false;
    text->data = data;
    text->size = size;
    text->cut = false;
    return true;
}

void text_add_bytes(struct text *text, const char *bytes, size_t len)
{
    if (!make_room(text, len))
        return;
    memcpy(text->data + text->len, bytes, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len >= 0 && make_room(text, (size_t)len)) {
        (void)vsnprintf(text->data + text->len, (size_t)len + 1, format, again);
        text->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

static void add_escaped_ascii(struct text *text, char c)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if (letters[i] == c) {
            const char pair[2] = {'\\', letters[i + 1]};
            text_add_bytes(text, pair, 2);
            return;
        }
    }
    if ((unsigned char)c < 0x20 || c == 0x7F)
        text_format(text, "\\u%04x", (unsigned)c);
    else
        text_add_bytes(text, &c, 1);
}

size_t text_add_escaped(struct text *text, const char *bytes, size_t len)
{
    size_t taken = 0;
    while (taken < len) {
        size_t n = utf8_length((const uint8_t *)bytes + taken, len - taken);
        if (n == 1)
            add_escaped_ascii(text, bytes[taken]);
        else if (n == 0)
            text_add(text, "\xEF\xBF\xBD");
        else
            text_add_bytes(text, bytes + taken, n);
        if (text->cut)
            break;
        taken += n == 0 ? 1 : n;
    }
    return taken;
}

void text_add_json_string(struct text *text, const char *string)
{
    if (string == NULL) {
        text_add(text, "null");
        return;
    }
    text_add(text, "\"");
    (void)text_add_escaped(text, string, strlen(string));
    text_add(text, "\"");
}

void text_rewind(struct text *text, size_t len)
{
    text->cut = false;
    if (len < text->len) {
        text->len = len;
        text->data[len] = '\0';
    }
}
