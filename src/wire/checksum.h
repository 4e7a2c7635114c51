/* The checksum at the end of an OP_MSG: CRC-32C of all that stands before it, the header included.
 * Source: specification "OP_MSG" (message/OP_MSG). */
#ifndef SLUICE_WIRE_CHECKSUM_H
#define SLUICE_WIRE_CHECKSUM_H

#include "wire/header.h"

/* Goes on from what came out for the bytes before; 0 at the start. */
uint32_t wire_crc32c(uint32_t before, const uint8_t *data, size_t len);

/* Whether the payload (flags, sections, checksum) has the checksum that its flags announce; true
 * without one. The header is that of the message before it was compressed, but for its length and
 * opcode, which are made out from the payload. */
bool wire_checksum_fits(const struct wire_header *header, struct bytes payload, uint32_t flags,
                        struct error *err);

#endif
