// Going through BSON that came from outside: nothing behind its end is looked at. Nothing here
// knows Python.
#ifndef MONGOSLUICE_NATIVE_BYTES_H
#define MONGOSLUICE_NATIVE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The bytes that are yet to be read.
struct bytes {
    const unsigned char *at, *end;
};

struct element {
    int type;
    const char *name;
    size_t name_size;
};

// A number of up to 8 bytes, the least significant first.
static inline uint64_t bytes_load(const unsigned char *at, int size)
{
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

// The next `size` bytes; NULL, and nothing is taken, where there are fewer.
static inline const unsigned char *bytes_take(struct bytes *bytes, size_t size)
{
    if (size > (size_t)(bytes->end - bytes->at))
        return NULL;
    const unsigned char *at = bytes->at;
    bytes->at += size;
    return at;
}

// The text that ends with the next NUL, which is taken too; NULL where there is no NUL.
static inline const unsigned char *bytes_take_text(struct bytes *bytes)
{
    const unsigned char *text = bytes->at;
    const unsigned char *end = memchr(text, 0, (size_t)(bytes->end - text));
    if (end == NULL)
        return NULL;
    bytes->at = end + 1;
    return text;
}

// The elements of the document or array that begins here, without its length and its last NUL.
// `bytes` goes on behind it; false, and it stays, where the document is not whole.
static inline bool bytes_open_document(struct bytes *bytes, struct bytes *elements)
{
    size_t left = (size_t)(bytes->end - bytes->at);
    if (left < 5)
        return false;
    int64_t size = (int32_t)(uint32_t)bytes_load(bytes->at, 4);
    if (size < 5 || (uint64_t)size > left || bytes->at[size - 1] != 0)
        return false;
    *elements = (struct bytes){bytes->at + 4, bytes->at + size - 1};
    bytes->at += size;
    return true;
}

// Type and name of the next element, whose value follows.
static inline bool bytes_next_element(struct bytes *elements, struct element *out)
{
    const unsigned char *type = bytes_take(elements, 1);
    const unsigned char *name = type == NULL ? NULL : bytes_take_text(elements);
    if (name == NULL)
        return false;
    *out = (struct element){*type, (const char *)name, (size_t)(elements->at - 1 - name)};
    return true;
}

// Goes past a value; false where it is of no type of BSON's, or is not whole.
bool bytes_skip_value(int type, struct bytes *bytes);

#endif
