#include "trace/protobuf.h"

enum { TYPE_VARINT = 0, TYPE_FIXED64 = 1, TYPE_BYTES = 2, TYPE_FIXED32 = 5, VARINT_BYTES = 10 };
enum { SHORT_BYTES = 128 }; /* copied once more, to be added in one piece */

static size_t write_varint(uint64_t value, char out[VARINT_BYTES])
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (char)(value | 0x80);
    out[len++] = (char)value;
    return len;
}

static size_t write_key(unsigned field, unsigned type, char out[VARINT_BYTES])
{
    return write_varint((uint64_t)field << 3 | type, out);
}

static void add_fixed(struct text *out, unsigned field, unsigned type, uint64_t value, size_t len)
{
    char bytes[VARINT_BYTES + 8];
    size_t at = write_key(field, type, bytes);
    for (size_t i = 0; i < len; i++)
        bytes[at++] = (char)(value >> (8 * i));
    text_add_bytes(out, bytes, at);
}

void protobuf_add_varint(struct text *out, unsigned field, uint64_t value)
{
    char bytes[2 * VARINT_BYTES];
    size_t len = write_key(field, TYPE_VARINT, bytes);
    len += write_varint(value, bytes + len);
    text_add_bytes(out, bytes, len);
}

void protobuf_add_fixed64(struct text *out, unsigned field, uint64_t value)
{
    add_fixed(out, field, TYPE_FIXED64, value, 8);
}

void protobuf_add_fixed32(struct text *out, unsigned field, uint32_t value)
{
    add_fixed(out, field, TYPE_FIXED32, value, 4);
}

void protobuf_add_bytes(struct text *out, unsigned field, const void *bytes, size_t len)
{
    char front[2 * VARINT_BYTES + SHORT_BYTES];
    size_t at = write_key(field, TYPE_BYTES, front);
    at += write_varint(len, front + at);
    if (len <= SHORT_BYTES) {
        memcpy(front + at, bytes, len);
        text_add_bytes(out, front, at + len);
        return;
    }
    text_add_bytes(out, front, at);
    text_add_bytes(out, bytes, len);
}

void protobuf_add_string(struct text *out, unsigned field, const char *string)
{
    protobuf_add_bytes(out, field, string, strlen(string));
}

size_t protobuf_open(struct text *out, unsigned field)
{
    char key[VARINT_BYTES + 1];
    size_t len = write_key(field, TYPE_BYTES, key);
    key[len++] = 0; /* most messages are shorter than 128 bytes */
    text_add_bytes(out, key, len);
    return out->len;
}

/* The length stands before the content, and its own length depends on it. */
void protobuf_close(struct text *out, size_t start)
{
    char length[VARINT_BYTES];
    if (out->cut)
        return;
    size_t content = out->len - start;
    if (content < 0x80) {
        out->data[start - 1] = (char)content;
        return;
    }
    size_t more = write_varint(content, length) - 1;
    text_add_bytes(out, length, more);
    if (out->cut)
        return;
    memmove(out->data + start + more, out->data + start, content);
    memcpy(out->data + start - 1, length, more + 1);
}

static bool read_varint(struct bytes *rest, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && bytes_left(rest) > 0; shift += 7) {
        uint8_t byte = *rest->pos++;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_fixed(struct bytes *rest, size_t len, uint64_t *out)
{
    struct bytes value;
    if (!bytes_take(rest, len, &value))
        return false;
    for (size_t i = 0; i < len; i++)
        *out |= (uint64_t)value.pos[i] << (8 * i);
    return true;
}

bool protobuf_next(struct bytes *rest, struct protobuf_field *out)
{
    uint64_t key = 0;
    *out = (struct protobuf_field){0};
    if (!read_varint(rest, &key))
        return false;
    out->number = key >> 3;
    switch (key & 7) {
    case TYPE_VARINT:
        return read_varint(rest, &out->value);
    case TYPE_FIXED64:
        return read_fixed(rest, 8, &out->value);
    case TYPE_FIXED32:
        return read_fixed(rest, 4, &out->value);
    case TYPE_BYTES:
        return read_varint(rest, &out->value) && bytes_take(rest, out->value, &out->content);
    default:
        return false;
    }
}
