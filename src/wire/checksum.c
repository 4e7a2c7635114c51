#include "wire/checksum.h"

#include "wire/sections.h"

enum { CHECKSUM_BYTES = 4 };

/* Half a byte at a time, because few messages have a checksum and few of these are checked. The
 * table belongs to the reflected polynomial 0x82F63B78. */
uint32_t wire_crc32c(uint32_t before, const uint8_t *data, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3,
        0x61C69362, 0x7198540D, 0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
        0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
    };
    uint32_t crc = ~before;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

bool wire_checksum_fits(const struct wire_header *header, struct bytes payload, uint32_t flags,
                        struct error *err)
{
    uint8_t front[WIRE_HEADER_BYTES];
    size_t len = bytes_left(&payload);
    if ((flags & WIRE_FLAG_CHECKSUM_PRESENT) == 0)
        return true;
    struct wire_header plain = {.length = (int32_t)(WIRE_HEADER_BYTES + len),
                                .request_id = header->request_id,
                                .response_to = header->response_to,
                                .opcode = WIRE_OP_MSG};
    wire_header_write(front, &plain);
    uint32_t crc = wire_crc32c(0, front, sizeof front);
    if (len >= CHECKSUM_BYTES && wire_crc32c(crc, payload.pos, len - CHECKSUM_BYTES) ==
                                     bytes_load_u32(payload.end - CHECKSUM_BYTES))
        return true;
    return error_set(
        err, ERROR_PROTOCOL,
        "OP_MSG has a checksum that does not match its contents: the message changed on its way");
}
