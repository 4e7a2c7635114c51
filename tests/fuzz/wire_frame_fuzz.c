/* Any message, fed whole and in pieces: one verdict, one error, and a body that lies inside it.
 * Input: a byte that chooses the pieces, then the message with its header. */
#include <stdlib.h>

#include "wire/checksum.h"
#include "wire/query.h"
#include "wire/sections.h"

enum { MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_inside(struct bytes part, struct bytes whole)
{
    require(part.pos >= whole.pos && part.end <= whole.end && part.pos <= part.end);
}

/* Pieces of 1 to 64 bytes, drawn from the seed. Each is a block of its own, so that a sanitizer
 * sees a read past its end. */
static bool feed_in_pieces(struct wire_walk *walk, struct bytes payload, uint32_t seed,
                           struct error *err)
{
    bool ok = true;
    wire_walk_start(walk, (uint32_t)bytes_left(&payload));
    while (ok && bytes_left(&payload) > 0) {
        struct bytes piece;
        seed = seed * 1664525U + 1013904223U;
        size_t len = 1 + (seed >> 26);
        if (!bytes_take(&payload, len, &piece))
            (void)bytes_take(&payload, len = bytes_left(&payload), &piece);
        uint8_t *copy = malloc(len);
        require(copy != NULL);
        memcpy(copy, piece.pos, len);
        ok = wire_walk_feed(walk, copy, len, err);
        free(copy);
    }
    return ok;
}

static void walk_both_ways(struct bytes payload, uint32_t seed)
{
    struct wire_walk whole;
    struct wire_walk split;
    struct error whole_err = {0};
    struct error split_err = {0};
    struct bytes body;
    uint32_t flags = 0;
    wire_walk_start(&whole, (uint32_t)bytes_left(&payload));
    bool ok = wire_walk_feed(&whole, payload.pos, bytes_left(&payload), &whole_err);
    require(feed_in_pieces(&split, payload, seed, &split_err) == ok);
    require(strcmp(whole_err.message, split_err.message) == 0);
    require(whole.state == split.state && whole.offset == split.offset &&
            whole.left == split.left && whole.flags == split.flags &&
            whole.body_found == split.body_found && whole.body_offset == split.body_offset &&
            whole.body_length == split.body_length);
    require(ok == (whole.state == WIRE_WALK_DONE));
    require(ok == wire_sections_find_body(payload, &body, &flags, NULL));
    if (!ok)
        return;
    require_inside(body, payload);
    require(bytes_left(&body) >= 5);
    require(bytes_load_u32(body.pos) == bytes_left(&body));
}

/* The payload with the checksum that its flags announce: it fits, and with another byte it does
 * not. */
static void check_checksum(const struct wire_header *header, struct bytes payload)
{
    struct error err;
    size_t len = bytes_left(&payload);
    uint8_t front[WIRE_HEADER_BYTES];
    uint8_t *copy = malloc(len + 4);
    require(copy != NULL && wire_checksum_fits(header, payload, 0, &err));
    (void)wire_checksum_fits(header, payload, WIRE_FLAG_CHECKSUM_PRESENT, &err);
    struct wire_header whole = {.length = (int32_t)(WIRE_HEADER_BYTES + len + 4),
                                .request_id = header->request_id,
                                .response_to = header->response_to,
                                .opcode = WIRE_OP_MSG};
    wire_header_write(front, &whole);
    memcpy(copy, payload.pos, len);
    uint32_t crc = wire_crc32c(wire_crc32c(0, front, sizeof front), copy, len);
    bytes_store_i32(copy + len, (int32_t)crc);
    require(wire_checksum_fits(header, bytes_of(copy, len + 4), WIRE_FLAG_CHECKSUM_PRESENT, &err));
    copy[len / 2] ^= 1;
    require(!wire_checksum_fits(header, bytes_of(copy, len + 4), WIRE_FLAG_CHECKSUM_PRESENT, &err));
    free(copy);
}

/* The header as it came, of a client and of a server. */
static void check_header(const uint8_t *at, const struct wire_header *header)
{
    struct error err = {0};
    bool request = wire_opcode_check_request(header->opcode, &err);
    require(request == (err.message[0] == 0));
    require(!request || wire_legacy_opcode_name(header->opcode) == NULL ||
            header->opcode != WIRE_OP_MSG);
    err.message[0] = 0;
    bool fits = wire_header_check(header, MAX_BYTES, &err);
    require(fits == (err.message[0] == 0));
    require(!fits || wire_length_is_valid(header->length, MAX_BYTES));
    const char *hint = wire_header_hint(at);
    require(hint == NULL || hint[0] != 0);
    hint = wire_reply_hint(at);
    require(hint == NULL || hint[0] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + WIRE_HEADER_BYTES)
        return 0;
    struct error err;
    uint8_t again[WIRE_HEADER_BYTES];
    struct wire_header header = wire_header_read(data + 1);
    wire_header_write(again, &header);
    require(memcmp(again, data + 1, sizeof again) == 0);
    check_header(data + 1, &header);
    /* the available bytes are the message: its length would be wrong in nearly every input */
    header.length = (int32_t)(size - 1);
    if (!wire_header_check(&header, MAX_BYTES, &err))
        return 0;
    struct bytes payload = bytes_of(data + 1 + WIRE_HEADER_BYTES, size - 1 - WIRE_HEADER_BYTES);
    struct wire_query query;
    struct bytes document;
    if (header.opcode == WIRE_OP_MSG) {
        walk_both_ways(payload, data[0]);
        check_checksum(&header, payload);
    }
    if (header.opcode == WIRE_OP_QUERY && wire_query_read(payload, &query, &err)) {
        if (query.is_find) {
            require(bytes_left(&query.command) == 0 && bytes_left(&query.database) == 0);
            return 0;
        }
        require_inside(query.command, payload);
        require_inside(query.database, payload);
        require(bytes_left(&query.command) >= 5);
    }
    if (header.opcode == WIRE_OP_REPLY && wire_reply_read(payload, &document, &err))
        require_inside(document, payload);
    return 0;
}
