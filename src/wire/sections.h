/* Walks the sections of an OP_MSG as the bytes arrive, so a large message is checked without being
 * buffered. Source: specification "OP_MSG" (message/OP_MSG). */
#ifndef SLUICE_WIRE_SECTIONS_H
#define SLUICE_WIRE_SECTIONS_H

#include "wire/header.h"

enum wire_msg_flag {
    WIRE_FLAG_CHECKSUM_PRESENT = 1U << 0,
    WIRE_FLAG_MORE_TO_COME = 1U << 1,
    WIRE_FLAG_EXHAUST_ALLOWED = 1U << 16
};

enum wire_walk_state {
    WIRE_WALK_FLAGS,
    WIRE_WALK_KIND,
    WIRE_WALK_SIZE,
    WIRE_WALK_NAME,     /* of a sequence, kind 1 */
    WIRE_WALK_DOCUMENT, /* the length of a sequence's next document */
    WIRE_WALK_SKIP,     /* the rest of a document */
    WIRE_WALK_CHECKSUM,
    WIRE_WALK_DONE,
    WIRE_WALK_BROKEN
};

enum wire_section_kind {
    WIRE_SECTION_BODY = 0,
    WIRE_SECTION_SEQUENCE = 1, /* its length and its name stand before the documents */
    /* One document, {otel: {traceparent}}; drivers send it to servers with maxWireVersion 29 or
       above. Kind 2 belongs to MongoDB's own servers. */
    WIRE_SECTION_TELEMETRY = 3
};

/* Where a section stands, in bytes from the first one after the header. */
struct wire_section {
    uint32_t at;      /* its kind */
    uint32_t content; /* its document, or a sequence's documents; 0: not known yet */
    uint32_t end;
    enum wire_section_kind kind;
};

/* Where the name of a sequence stands, which ends with a NUL before its documents. */
static inline uint32_t wire_section_name(const struct wire_section *section)
{
    return section->at + 5;
}

/* A body, the two sequences of a bulkWrite, telemetry, and one that is too much. */
enum { WIRE_SECTIONS_MAX = 5 };

struct wire_walk {
    enum wire_walk_state state;
    uint8_t kind;    /* of the current section */
    bool body_found; /* body_offset and body_length are set */
    bool telemetry_found;
    uint8_t field_have; /* the bytes of the 4-byte field read so far */
    uint8_t field[4];
    uint32_t flags;
    uint32_t left;         /* bytes of the message left to walk */
    uint32_t section_left; /* bytes of the section left to walk */
    uint32_t skip;         /* bytes of its document left to walk */
    uint32_t offset;       /* walked bytes, counted from the first byte after the header */
    uint32_t body_offset;  /* of the kind-0 section's document, counted in the same way */
    uint32_t body_length;
    uint32_t section_count; /* of those that have begun, in their order … */
    struct wire_section sections[WIRE_SECTIONS_MAX]; /* … and the first ones */
};

/* `payload_bytes` is the length without the header (length - 16). */
void wire_walk_start(struct wire_walk *walk, uint32_t payload_bytes);

/* Walks over the next bytes of the message and looks at no more than walk->left of them. False for
 * broken sections; the walk then stays broken. It is done in state WIRE_WALK_DONE. */
bool wire_walk_feed(struct wire_walk *walk, const uint8_t *data, size_t len, struct error *err);

/* Walks a whole message and returns its body and flags. */
bool wire_sections_find_body(struct bytes payload, struct bytes *body, uint32_t *flags,
                             struct error *err);

#endif
