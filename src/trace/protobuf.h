/* Writes and reads Protocol Buffers, field by field; writes into a growing text. Pure. out->cut
 * tells whether everything fitted. Source: protobuf.dev, "Encoding". */
#ifndef SLUICE_TRACE_PROTOBUF_H
#define SLUICE_TRACE_PROTOBUF_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"

void protobuf_add_varint(struct text *out, unsigned field, uint64_t value);
void protobuf_add_fixed64(struct text *out, unsigned field, uint64_t value);
void protobuf_add_fixed32(struct text *out, unsigned field, uint32_t value);
void protobuf_add_bytes(struct text *out, unsigned field, const void *bytes, size_t len);
void protobuf_add_string(struct text *out, unsigned field, const char *string);

/* Starts a nested message. Returns its start, for protobuf_close, which inserts its length. */
size_t protobuf_open(struct text *out, unsigned field);
void protobuf_close(struct text *out, size_t start);

struct protobuf_field {
    uint64_t number;
    uint64_t value;       /* of a varint or fixed field */
    struct bytes content; /* of bytes, a string or a nested message; otherwise empty */
};

/* Reads the next field of *rest. False at the end, or for a malformed field. */
bool protobuf_next(struct bytes *rest, struct protobuf_field *out);

#endif
