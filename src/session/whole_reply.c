#include "session/whole_reply.h"

#include "wire/sections.h"

/* The proxy's own commands have short replies. */
enum { REPLY_BYTES_MAX = 256 * 1024 };

enum whole_reply whole_reply_read(const struct link *link, struct bytes *document)
{
    const struct buffer *in = &link->in;
    size_t len = buffer_length(in);
    struct error ignored;
    uint32_t flags = 0;
    if (len < WIRE_HEADER_BYTES)
        return WHOLE_REPLY_PART;
    struct wire_header header = wire_header_read(buffer_begin(in));
    if (!wire_header_check(&header, REPLY_BYTES_MAX, NULL) || header.opcode != WIRE_OP_MSG ||
        len > (size_t)header.length)
        return WHOLE_REPLY_BROKEN;
    if (len < (size_t)header.length)
        return WHOLE_REPLY_PART;
    struct bytes payload = bytes_of(buffer_begin(in) + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES);
    if (!wire_sections_find_body(payload, document, &flags, &ignored) ||
        (flags & ~(uint32_t)WIRE_FLAG_CHECKSUM_PRESENT) != 0)
        return WHOLE_REPLY_BROKEN;
    return WHOLE_REPLY_READ;
}

bool whole_reply_gather(struct link *link, uint8_t *scratch, size_t room)
{
    struct error err;
    size_t got = 0;
    switch (link_read(link, scratch, room, &got, &err)) {
    case TRANSPORT_OK:
        break;
    case TRANSPORT_WANT_READ:
    case TRANSPORT_WANT_WRITE:
        return false;
    case TRANSPORT_EOF:
        link->handler->ended(link->arg);
        return false;
    case TRANSPORT_ERROR:
        link->handler->failed(link->arg, err.message);
        return false;
    }
    if (buffer_append(&link->in, link->budget, scratch, got))
        return true;
    link->handler->failed(link->arg, "no memory for its reply (option memory_max)");
    return false;
}
