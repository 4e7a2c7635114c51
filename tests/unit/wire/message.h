/* A message built piece by piece, in wire format. */
#ifndef SLUICE_TESTS_UNIT_WIRE_MESSAGE_H
#define SLUICE_TESTS_UNIT_WIRE_MESSAGE_H

#include "../cmocka_all.h"

#include <bson/bson.h>

#include "base/bytes.h"

struct message {
    size_t len;
    uint8_t data[16384];
};

static inline void message_add(struct message *message, const void *data, size_t len)
{
    assert_true(len <= sizeof message->data - message->len);
    memcpy(message->data + message->len, data, len);
    message->len += len;
}

static inline void message_add_u8(struct message *message, uint8_t value)
{
    message_add(message, &value, 1);
}

static inline void message_add_i32(struct message *message, int32_t value)
{
    uint8_t field[4];
    bytes_store_i32(field, value);
    message_add(message, field, sizeof field);
}

/* A document of the caller's, which is destroyed. */
static inline void message_add_document(struct message *message, bson_t *document)
{
    message_add(message, bson_get_data(document), document->len);
    bson_destroy(document);
}

static inline struct bytes message_bytes(const struct message *message)
{
    return bytes_of(message->data, message->len);
}

static inline void assert_bytes_equal(struct bytes got, const void *want, size_t len)
{
    assert_int_equal(bytes_left(&got), len);
    assert_memory_equal(got.pos, want, len);
}

static inline struct bytes bson_bytes(const bson_t *document)
{
    return bytes_of(bson_get_data(document), document->len);
}

#endif
