/* Sections of a command's message, for the files that read and write them. */
#ifndef SLUICE_ENFORCE_MESSAGE_INTERNAL_H
#define SLUICE_ENFORCE_MESSAGE_INTERNAL_H

#include "enforce/message.h"
#include "wire/sections.h"

enum { MESSAGE_FLAG_BYTES = 4, MESSAGE_CHECKSUM_BYTES = 4 };

/* A section of an OP_MSG. */
struct section {
    uint8_t kind;
    const char *name; /* of a sequence */
    size_t name_len;
    struct bytes content; /* the body, or a sequence's documents */
    struct bytes whole;
};

/* What is between the flags and the checksum. */
static inline bool message_open_sections(struct bytes payload, uint32_t flags, struct bytes *rest)
{
    size_t trailer = (flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? MESSAGE_CHECKSUM_BYTES : 0;
    *rest = payload;
    if (!bytes_skip(rest, MESSAGE_FLAG_BYTES) || bytes_left(rest) < trailer)
        return false;
    rest->end -= trailer;
    return true;
}

/* The next section; false at the end, or where it is broken: then *rest is not empty. */
static inline bool message_next_section(struct bytes *rest, struct section *out)
{
    struct bytes at = *rest;
    struct bytes sized;
    int32_t size = 0;
    if (!bytes_read_u8(&at, &out->kind) || out->kind > 1)
        return false;
    sized = at;
    if (!bytes_read_i32(&at, &size) || size < 5 || !bytes_take(&sized, (size_t)size, &at))
        return false;
    out->content = at;
    if (out->kind == 1) {
        (void)bytes_skip(&out->content, 4);
        if (!bytes_read_cstring(&out->content, &out->name, &out->name_len))
            return false;
    }
    out->whole = (struct bytes){rest->pos, sized.pos};
    *rest = (struct bytes){sized.pos, rest->end};
    return true;
}

static inline void message_move(struct bytes *bytes, ptrdiff_t moved)
{
    if (bytes->pos == NULL)
        return;
    bytes->pos += moved;
    bytes->end += moved;
}

#endif
