/* A cursor over bytes from outside. Only this file checks lengths.
 *
 *        data           pos                 end
 *          |-- consumed --|---- remaining ----|         invariant: pos <= end
 *
 * Every read tests `len > end - pos`, because `pos + len > end` can wrap. A read that returns false
 * does not move the cursor. The cursor owns nothing. */
#ifndef SLUICE_BASE_BYTES_H
#define SLUICE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *pos;
    const uint8_t *end;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
    const uint8_t *p = data;
    return (struct bytes){p, p + len};
}

static inline size_t bytes_left(const struct bytes *b)
{
    return (size_t)(b->end - b->pos);
}

static inline bool bytes_skip(struct bytes *b, size_t len)
{
    if (len > bytes_left(b))
        return false;
    b->pos += len;
    return true;
}

/* Stores the next `len` bytes in *out and consumes them. */
static inline bool bytes_take(struct bytes *b, size_t len, struct bytes *out)
{
    if (len > bytes_left(b))
        return false;
    out->pos = b->pos;
    out->end = b->pos + len;
    b->pos += len;
    return true;
}

static inline uint32_t bytes_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline int32_t bytes_load_i32(const uint8_t *p)
{
    return (int32_t)bytes_load_u32(p);
}

static inline uint64_t bytes_load_u64(const uint8_t *p)
{
    return (uint64_t)bytes_load_u32(p) | (uint64_t)bytes_load_u32(p + 4) << 32;
}

static inline int64_t bytes_load_i64(const uint8_t *p)
{
    return (int64_t)bytes_load_u64(p);
}

static inline void bytes_store_i32(uint8_t *p, int32_t value)
{
    uint32_t v = (uint32_t)value;
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline bool bytes_read_u8(struct bytes *b, uint8_t *out)
{
    if (bytes_left(b) < 1)
        return false;
    *out = *b->pos++;
    return true;
}

static inline bool bytes_read_i32(struct bytes *b, int32_t *out)
{
    if (bytes_left(b) < 4)
        return false;
    *out = bytes_load_i32(b->pos);
    b->pos += 4;
    return true;
}

static inline bool bytes_read_i64(struct bytes *b, int64_t *out)
{
    if (bytes_left(b) < 8)
        return false;
    *out = bytes_load_i64(b->pos);
    b->pos += 8;
    return true;
}

/* Reads a NUL-terminated string; *len excludes the NUL. */
static inline bool bytes_read_cstring(struct bytes *b, const char **out, size_t *len)
{
    const uint8_t *nul = bytes_left(b) == 0 ? NULL : memchr(b->pos, 0, bytes_left(b));
    if (nul == NULL)
        return false;
    *out = (const char *)b->pos;
    *len = (size_t)(nul - b->pos);
    b->pos = nul + 1;
    return true;
}

#endif
