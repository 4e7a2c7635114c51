#include "wire/sections.h"

#include <stddef.h>
#include <string.h>

enum { CHECKSUM_BYTES = 4, REQUIRED_FLAG_BITS = 0xFFFF };

void wire_walk_start(struct wire_walk *walk, uint32_t payload_bytes)
{
    memset(walk, 0, offsetof(struct wire_walk, sections));
    walk->state = WIRE_WALK_FLAGS;
    walk->left = payload_bytes;
}

static bool break_walk(struct wire_walk *walk, struct error *err, const char *what)
{
    walk->state = WIRE_WALK_BROKEN;
    return error_set(err, ERROR_PROTOCOL, "OP_MSG is malformed %u bytes after its header: %s",
                     walk->offset, what);
}

static uint32_t trailer_bytes(const struct wire_walk *walk)
{
    return (walk->flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? CHECKSUM_BYTES : 0;
}

/* Collects the 4 bytes of a field over any number of feeds; true when they are complete. */
static bool collect_field(struct wire_walk *walk, const uint8_t **data, const uint8_t *end,
                          uint32_t *value)
{
    if (walk->field_have == 0 && end - *data >= 4) {
        *value = bytes_load_u32(*data);
        *data += 4;
        walk->offset += 4;
        walk->left -= 4;
        return true;
    }
    while (walk->field_have < 4 && *data < end) {
        walk->field[walk->field_have++] = *(*data)++;
        walk->offset++;
        walk->left--;
    }
    if (walk->field_have < 4)
        return false;
    walk->field_have = 0;
    *value = bytes_load_u32(walk->field);
    return true;
}

/* Enters the next part after a section or the flags. */
static bool enter_next(struct wire_walk *walk, struct error *err)
{
    uint32_t trailer = trailer_bytes(walk);
    if (walk->left > trailer) {
        walk->state = WIRE_WALK_KIND;
        return true;
    }
    if (walk->left < trailer)
        return break_walk(walk, err, "no room for the checksum that its flags announce");
    if (!walk->body_found)
        return break_walk(walk, err, "it has no body section (kind 0)");
    walk->state = trailer == 0 ? WIRE_WALK_DONE : WIRE_WALK_CHECKSUM;
    return true;
}

static bool take_flags(struct wire_walk *walk, uint32_t flags, struct error *err)
{
    walk->flags = flags;
    uint32_t known = WIRE_FLAG_CHECKSUM_PRESENT | WIRE_FLAG_MORE_TO_COME;
    if ((walk->flags & REQUIRED_FLAG_BITS & ~known) != 0)
        return break_walk(walk, err, "it has unknown required flag bits");
    return enter_next(walk, err);
}

static bool take_kind(struct wire_walk *walk, uint8_t kind, struct error *err)
{
    walk->kind = kind;
    walk->offset++;
    walk->left--;
    if (kind != WIRE_SECTION_BODY && kind != WIRE_SECTION_SEQUENCE &&
        kind != WIRE_SECTION_TELEMETRY)
        return break_walk(walk, err, "unknown section kind (kinds are 0, 1 and 3)");
    if (kind == WIRE_SECTION_BODY && walk->body_found)
        return break_walk(walk, err, "a second body section (kind 0)");
    if (kind == WIRE_SECTION_TELEMETRY && walk->telemetry_found)
        return break_walk(walk, err, "a second telemetry section (kind 3)");
    walk->state = WIRE_WALK_SIZE;
    return true;
}

/* Notes where the section stands: its kind and size were walked over. */
static void note_section(struct wire_walk *walk, uint32_t size)
{
    uint32_t at = walk->offset - 5;
    if (walk->section_count < WIRE_SECTIONS_MAX)
        walk->sections[walk->section_count] =
            (struct wire_section){at, walk->kind == WIRE_SECTION_SEQUENCE ? 0 : at + 1,
                                  at + 1 + size, (enum wire_section_kind)walk->kind};
    walk->section_count++;
}

static bool take_size(struct wire_walk *walk, uint32_t size, struct error *err)
{
    /* kind 1: its own size and an identifier's NUL; kinds 0 and 3: an empty document */
    if (size < 5)
        return break_walk(walk, err, "a section's size is too small");
    if (walk->left < trailer_bytes(walk) || size - 4 > walk->left - trailer_bytes(walk))
        return break_walk(walk, err, "a section is longer than the message");
    if (walk->kind == WIRE_SECTION_BODY) {
        walk->body_found = true;
        walk->body_offset = walk->offset - 4;
        walk->body_length = size;
    }
    walk->telemetry_found |= walk->kind == WIRE_SECTION_TELEMETRY;
    note_section(walk, size);
    walk->section_left = size - 4;
    walk->skip = walk->kind == WIRE_SECTION_SEQUENCE ? 0 : size - 4;
    walk->state = walk->kind == WIRE_SECTION_SEQUENCE ? WIRE_WALK_NAME : WIRE_WALK_SKIP;
    return true;
}

/* Walks over `n` bytes of the section. */
static void advance(struct wire_walk *walk, const uint8_t **data, uint32_t n)
{
    *data += n;
    walk->offset += n;
    walk->left -= n;
    walk->section_left -= n;
}

/* Ends a document or the name of a sequence. */
static bool leave_part(struct wire_walk *walk, struct error *err)
{
    if (walk->section_left == 0)
        return enter_next(walk, err);
    if (walk->section_left < 4)
        return break_walk(walk, err, "bytes after the last document of a sequence");
    walk->state = WIRE_WALK_DOCUMENT;
    return true;
}

static bool skip_name(struct wire_walk *walk, const uint8_t **data, const uint8_t *end,
                      struct error *err)
{
    size_t have = (size_t)(end - *data);
    uint32_t most = walk->section_left < have ? walk->section_left : (uint32_t)have;
    const uint8_t *nul = memchr(*data, 0, most);
    advance(walk, data, nul == NULL ? most : (uint32_t)(nul - *data) + 1);
    if (nul != NULL) {
        if (walk->section_count <= WIRE_SECTIONS_MAX)
            walk->sections[walk->section_count - 1].content = walk->offset;
        return leave_part(walk, err);
    }
    return walk->section_left > 0 || break_walk(walk, err, "the name of a sequence has no end");
}

static bool take_document(struct wire_walk *walk, uint32_t size, struct error *err)
{
    walk->section_left -= 4;
    if (size < 5 || size - 4 > walk->section_left)
        return break_walk(walk, err, "a document does not fit into its sequence");
    walk->skip = size - 4;
    walk->state = WIRE_WALK_SKIP;
    return true;
}

static bool skip_document(struct wire_walk *walk, const uint8_t **data, const uint8_t *end,
                          struct error *err)
{
    size_t have = (size_t)(end - *data);
    uint32_t n = walk->skip < have ? walk->skip : (uint32_t)have;
    advance(walk, data, n);
    walk->skip -= n;
    return walk->skip > 0 || leave_part(walk, err);
}

static bool walk_step(struct wire_walk *walk, const uint8_t **data, const uint8_t *end,
                      struct error *err)
{
    uint32_t value = 0;
    switch (walk->state) {
    case WIRE_WALK_FLAGS:
        return !collect_field(walk, data, end, &value) || take_flags(walk, value, err);
    case WIRE_WALK_KIND:
        return take_kind(walk, *(*data)++, err);
    case WIRE_WALK_SIZE:
        return !collect_field(walk, data, end, &value) || take_size(walk, value, err);
    case WIRE_WALK_NAME:
        return skip_name(walk, data, end, err);
    case WIRE_WALK_DOCUMENT:
        return !collect_field(walk, data, end, &value) || take_document(walk, value, err);
    case WIRE_WALK_SKIP:
        return skip_document(walk, data, end, err);
    case WIRE_WALK_CHECKSUM:
        if (collect_field(walk, data, end, &value))
            walk->state = WIRE_WALK_DONE;
        return true;
    case WIRE_WALK_DONE:
    case WIRE_WALK_BROKEN:
        break;
    }
    return break_walk(walk, err, "bytes after its end");
}

/* The flags and the body's size at once, as nearly all messages begin. Where anything is not as it
 * should be, the steps find it. */
static const uint8_t *begin_with_body(struct wire_walk *walk, const uint8_t *data,
                                      const uint8_t *end)
{
    enum { HEAD_BYTES = 9, BODY_AT = 5 };
    uint32_t unknown =
        REQUIRED_FLAG_BITS & ~(uint32_t)(WIRE_FLAG_CHECKSUM_PRESENT | WIRE_FLAG_MORE_TO_COME);
    if (walk->state != WIRE_WALK_FLAGS || walk->field_have > 0 || end - data < HEAD_BYTES)
        return data;
    uint32_t flags = bytes_load_u32(data);
    uint32_t size = bytes_load_u32(data + BODY_AT);
    uint32_t trailer = (flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? CHECKSUM_BYTES : 0;
    if ((flags & unknown) != 0 || data[4] != 0 || size < 5 || walk->left < BODY_AT + trailer ||
        size > walk->left - BODY_AT - trailer)
        return data;
    walk->flags = flags;
    walk->kind = 0;
    walk->body_found = true;
    walk->body_offset = BODY_AT;
    walk->body_length = size;
    walk->sections[0] =
        (struct wire_section){BODY_AT - 1, BODY_AT, BODY_AT + size, WIRE_SECTION_BODY};
    walk->section_count = 1;
    walk->offset = HEAD_BYTES;
    walk->left -= HEAD_BYTES;
    walk->section_left = walk->skip = size - 4;
    walk->state = WIRE_WALK_SKIP;
    return data + HEAD_BYTES;
}

bool wire_walk_feed(struct wire_walk *walk, const uint8_t *data, size_t len, struct error *err)
{
    const uint8_t *end = data + (len < walk->left ? len : walk->left);
    data = begin_with_body(walk, data, end);
    while (data < end)
        if (!walk_step(walk, &data, end, err))
            return false;
    /* the end of the message: in every state but DONE, a section or field is cut */
    if (walk->left == 0 && walk->state != WIRE_WALK_DONE)
        return break_walk(walk, err, "it ends inside a section");
    return true;
}

bool wire_sections_find_body(struct bytes payload, struct bytes *body, uint32_t *flags,
                             struct error *err)
{
    struct wire_walk walk;
    wire_walk_start(&walk, (uint32_t)bytes_left(&payload));
    if (!wire_walk_feed(&walk, payload.pos, bytes_left(&payload), err))
        return false;
    *body = bytes_of(payload.pos + walk.body_offset, walk.body_length);
    *flags = walk.flags;
    return true;
}
