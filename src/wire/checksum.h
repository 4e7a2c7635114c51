/* The checksum at the end of an OP_MSG: CRC-32C of all bytes before it, including the header.
 * Source: specification "OP_MSG" (message/OP_MSG). */
#ifndef SLUICE_WIRE_CHECKSUM_H
#define SLUICE_WIRE_CHECKSUM_H

#include "wire/header.h"

/* Continues from the result for the bytes before; 0 at the start. */
uint32_t wire_crc32c(uint32_t before, const uint8_t *data, size_t len);

/* True if the payload (flags, sections, checksum) has the checksum that its flags announce, or
 * announces none. `header` is the header before compression; its length and opcode follow from the
 * payload. */
bool wire_checksum_fits(const struct wire_header *header, struct bytes payload, uint32_t flags,
                        struct error *err);

#endif
