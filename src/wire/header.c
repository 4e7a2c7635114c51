#include "wire/header.h"

#include <string.h>

struct wire_header wire_header_read(const uint8_t *at)
{
    return (struct wire_header){
        .length = bytes_load_i32(at),
        .request_id = bytes_load_i32(at + 4),
        .response_to = bytes_load_i32(at + 8),
        .opcode = bytes_load_i32(at + 12),
    };
}

void wire_header_write(uint8_t *at, const struct wire_header *header)
{
    bytes_store_i32(at, header->length);
    bytes_store_i32(at + 4, header->request_id);
    bytes_store_i32(at + 8, header->response_to);
    bytes_store_i32(at + 12, header->opcode);
}

/* The shortest message of each opcode: its fixed fields and an empty document, if it has one. */
static int32_t shortest_length(int32_t opcode)
{
    switch (opcode) {
    case WIRE_OP_MSG:
        return WIRE_HEADER_BYTES + 4 + 1 + 5;
    case WIRE_OP_COMPRESSED:
        return WIRE_HEADER_BYTES + 9;
    case WIRE_OP_QUERY:
        return WIRE_HEADER_BYTES + 4 + 1 + 8 + 5;
    case WIRE_OP_REPLY:
        return WIRE_HEADER_BYTES + 20;
    default:
        return WIRE_HEADER_BYTES;
    }
}

bool wire_length_is_valid(int32_t length, size_t max_bytes)
{
    return length >= WIRE_HEADER_BYTES && (size_t)length <= max_bytes;
}

bool wire_header_check(const struct wire_header *header, size_t max_bytes, struct error *err)
{
    if (!wire_length_is_valid(header->length, max_bytes))
        return error_set(err, ERROR_PROTOCOL,
                         "message length %d is invalid: it must be between %d and %zu bytes "
                         "(option max_message_bytes)",
                         header->length, WIRE_HEADER_BYTES, max_bytes);
    if (header->length < shortest_length(header->opcode))
        return error_set(err, ERROR_PROTOCOL,
                         "message length %d is too short for opcode %d, which needs at least %d",
                         header->length, header->opcode, shortest_length(header->opcode));
    return true;
}

const char *wire_header_hint(const uint8_t *at)
{
    static const char *const http[] = {"GET /", "HEAD /", "POST /", "PUT /"};
    enum { TLS_HANDSHAKE = 0x16, TLS_MAJOR = 3 };
    if (at[0] == TLS_HANDSHAKE && at[1] == TLS_MAJOR && at[2] != 0) /* 0: 790 bytes long */
        return "this looks like TLS, and tls.mode is off";
    for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
        if (memcmp(at, http[i], strlen(http[i])) == 0)
            return "this looks like HTTP: the admin endpoint has its own port (admin.listen)";
    return NULL;
}

const char *wire_reply_hint(const uint8_t *at)
{
    static const struct {
        char begin[4];
        const char *hint;
    } others[] = {
        {{'H', 'T', 'T', 'P'}, "this looks like HTTP"},
        {{'S', 'S', 'H', '-'}, "this looks like SSH"},
        {{'2', '2', '0', ' '}, "this looks like SMTP or FTP"},
        {{'2', '2', '0', '-'}, "this looks like SMTP or FTP"},
        {{'-', 'E', 'R', 'R'}, "this looks like Redis"},
    };
    enum { TLS_ALERT = 0x15, TLS_MAJOR = 3 };
    if (at[0] == TLS_ALERT && at[1] == TLS_MAJOR)
        return "this looks like TLS: the server may want tls=true in upstream";
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (memcmp(at, others[i].begin, sizeof others[i].begin) == 0)
            return others[i].hint;
    return NULL;
}

const char *wire_legacy_opcode_name(int32_t opcode)
{
    switch (opcode) {
    case WIRE_OP_UPDATE:
        return "OP_UPDATE";
    case WIRE_OP_INSERT:
        return "OP_INSERT";
    case WIRE_OP_GET_MORE:
        return "OP_GET_MORE";
    case WIRE_OP_DELETE:
        return "OP_DELETE";
    case WIRE_OP_KILL_CURSORS:
        return "OP_KILL_CURSORS";
    default:
        return NULL;
    }
}

bool wire_opcode_check_request(int32_t opcode, struct error *err)
{
    if (opcode == WIRE_OP_MSG || opcode == WIRE_OP_COMPRESSED || opcode == WIRE_OP_QUERY ||
        wire_legacy_opcode_name(opcode) != NULL)
        return true;
    return error_set(err, ERROR_PROTOCOL,
                     "unknown opcode %d: a client sends OP_MSG (2013), OP_COMPRESSED (2012) or "
                     "OP_QUERY (2004)",
                     opcode);
}
