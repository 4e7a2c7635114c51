#include "trace/protobuf.h"

enum { TYPE_VARINT = 0, TYPE_FIXED64 = 1, TYPE_BYTES = 2, TYPE_FIXED32 = 5, VARINT_BYTES = 10 };

static size_t write_varint(uint64_t value, char out[VARINT_BYTES])
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        out[len++] = (char)(value | 0x80);
    out[len++] = (char)value;
    return len;
}

static void put_varint(struct text *out, uint64_t value)
{
    char bytes[VARINT_BYTES];
    text_add_bytes(out, bytes, write_varint(value, bytes));
}

static void put_key(struct text *out, unsigned field, unsigned type)
{
    put_varint(out, (uint64_t)field << 3 | type);
}

static void put_fixed(struct text *out, uint64_t value, size_t len)
{
    char bytes[8];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(value >> (8 * i));
    text_add_bytes(out, bytes, len);
}

void protobuf_add_varint(struct text *out, unsigned field, uint64_t value)
{
    put_key(out, field, TYPE_VARINT);
    put_varint(out, value);
}

void protobuf_add_fixed64(struct text *out, unsigned field, uint64_t value)
{
    put_key(out, field, TYPE_FIXED64);
    put_fixed(out, value, 8);
}

void protobuf_add_fixed32(struct text *out, unsigned field, uint32_t value)
{
    put_key(out, field, TYPE_FIXED32);
    put_fixed(out, value, 4);
}

void protobuf_add_bytes(struct text *out, unsigned field, const void *bytes, size_t len)
{
    put_key(out, field, TYPE_BYTES);
    put_varint(out, len);
    text_add_bytes(out, bytes, len);
}

void protobuf_add_string(struct text *out, unsigned field, const char *string)
{
    protobuf_add_bytes(out, field, string, strlen(string));
}

size_t protobuf_open(struct text *out, unsigned field)
{
    put_key(out, field, TYPE_BYTES);
    return out->len;
}

/* The length stands before the content, and its own length depends on it. */
void protobuf_close(struct text *out, size_t start)
{
    char length[VARINT_BYTES];
    if (out->cut)
        return;
    size_t content = out->len - start;
    size_t len = write_varint(content, length);
    text_add_bytes(out, length, len);
    if (out->cut)
        return;
    memmove(out->data + start + len, out->data + start, content);
    memcpy(out->data + start, length, len);
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
