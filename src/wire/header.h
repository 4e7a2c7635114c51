/* The 16 bytes in front of every message. Source: MongoDB's wire protocol documentation. */
#ifndef SLUICE_WIRE_HEADER_H
#define SLUICE_WIRE_HEADER_H

#include "base/bytes.h"
#include "base/error.h"

#define WIRE_HEADER_BYTES 16

enum wire_opcode {
    WIRE_OP_REPLY = 1,
    WIRE_OP_UPDATE = 2001,
    WIRE_OP_INSERT = 2002,
    WIRE_OP_QUERY = 2004,
    WIRE_OP_GET_MORE = 2005,
    WIRE_OP_DELETE = 2006,
    WIRE_OP_KILL_CURSORS = 2007,
    WIRE_OP_COMPRESSED = 2012,
    WIRE_OP_MSG = 2013
};

struct wire_header {
    int32_t length; /* of the whole message, including these 16 bytes */
    int32_t request_id;
    int32_t response_to;
    int32_t opcode;
};

/* Reads the header at `at`, which has at least WIRE_HEADER_BYTES. */
struct wire_header wire_header_read(const uint8_t *at);
void wire_header_write(uint8_t *at, const struct wire_header *header);

/* True if 16 <= length <= max_bytes and the opcode's fixed part fits. */
bool wire_header_check(const struct wire_header *header, size_t max_bytes, struct error *err);

/* For a refused header: the protocol that the client seems to speak, from its first 16 bytes, as
 * words for the error; NULL if unknown. */
const char *wire_header_hint(const uint8_t *at);

/* The same for a server, from its first 4 bytes. */
const char *wire_reply_hint(const uint8_t *at);

/* True if a message may have this length (its first 4 bytes). */
bool wire_length_is_valid(int32_t length, size_t max_bytes);

/* True for the requests that a client may send: OP_MSG, OP_COMPRESSED, OP_QUERY and the legacy
 * opcodes. */
bool wire_opcode_check_request(int32_t opcode, struct error *err);

/* The name of an opcode that MongoDB 5.1 removed ("OP_INSERT"); NULL for any other opcode. */
const char *wire_legacy_opcode_name(int32_t opcode);

#endif
