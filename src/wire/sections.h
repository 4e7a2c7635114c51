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

struct wire_walk {
    enum wire_walk_state state;
    uint8_t kind;       /* of the current section */
    bool body_found;    /* body_offset and body_length are set */
    uint8_t field_have; /* the bytes of the 4-byte field read so far */
    uint8_t field[4];
    uint32_t flags;
    uint32_t left;         /* bytes of the message left to walk */
    uint32_t section_left; /* bytes of the section left to walk */
    uint32_t skip;         /* bytes of its document left to walk */
    uint32_t offset;       /* walked bytes, counted from the first byte after the header */
    uint32_t body_offset;  /* of the kind-0 section's document, counted in the same way */
    uint32_t body_length;
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
