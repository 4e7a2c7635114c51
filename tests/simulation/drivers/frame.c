#include "frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_BYTES = 16,
    MESSAGE_MAX_BYTES = 48000000,
    OP_REPLY_CODE = 1,
    OP_QUERY_CODE = 2004,
    OP_MSG_CODE = 2013,
    REPLY_FIELDS_BYTES = 20
};

void frame_append(struct frame_bytes *bytes, const void *data, size_t len)
{
    if (bytes->len + len > bytes->cap) {
        bytes->cap = (bytes->len + len) * 2;
        bytes->data = realloc(bytes->data, bytes->cap);
        assert(bytes->data != NULL);
    }
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

void frame_consume(struct frame_bytes *bytes, size_t len)
{
    memmove(bytes->data, bytes->data + len, bytes->len - len);
    bytes->len -= len;
}

void frame_release(struct frame_bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

static void append_int32(struct frame_bytes *out, uint32_t value)
{
    uint32_t little = BSON_UINT32_TO_LE(value);
    frame_append(out, &little, sizeof little);
}

static int32_t read_int32(const uint8_t *data)
{
    uint32_t little;
    memcpy(&little, data, sizeof little);
    return (int32_t)BSON_UINT32_FROM_LE(little);
}

static size_t begin(struct frame_bytes *out, int32_t id, uint32_t opcode)
{
    size_t start = out->len;
    append_int32(out, 0);
    append_int32(out, (uint32_t)id);
    append_int32(out, 0);
    append_int32(out, opcode);
    return start;
}

static void finish_length(struct frame_bytes *out, size_t at)
{
    uint32_t little = BSON_UINT32_TO_LE((uint32_t)(out->len - at));
    memcpy(out->data + at, &little, sizeof little);
}

void frame_write_msg(struct frame_bytes *out, int32_t id, uint32_t flags, const bson_t *body,
                     const struct frame_sequence *sequences, unsigned sequence_count)
{
    size_t start = begin(out, id, OP_MSG_CODE);
    append_int32(out, flags);
    frame_append(out, "\0", 1);
    frame_append(out, bson_get_data(body), body->len);
    for (unsigned i = 0; i < sequence_count; i++) {
        frame_append(out, "\1", 1);
        size_t at = out->len;
        append_int32(out, 0);
        frame_append(out, sequences[i].name, strlen(sequences[i].name) + 1);
        for (unsigned k = 0; k < sequences[i].count; k++) {
            const bson_t *document = sequences[i].documents[k];
            frame_append(out, bson_get_data(document), document->len);
        }
        finish_length(out, at);
    }
    finish_length(out, start);
}

void frame_write_query(struct frame_bytes *out, int32_t id, const bson_t *body)
{
    size_t start = begin(out, id, OP_QUERY_CODE);
    append_int32(out, 0);
    frame_append(out, "admin.$cmd", sizeof "admin.$cmd");
    append_int32(out, 0);
    append_int32(out, (uint32_t)-1);
    frame_append(out, bson_get_data(body), body->len);
    finish_length(out, start);
}

static enum frame_step broken(struct frame_reply *out, const char *problem)
{
    out->problem = problem;
    return FRAME_BROKEN;
}

enum frame_step frame_read(const struct frame_bytes *bytes, struct frame_reply *out)
{
    if (bytes->len < 4) {
        return FRAME_MORE;
    }
    int32_t announced = read_int32(bytes->data);
    if (announced < HEADER_BYTES || announced > MESSAGE_MAX_BYTES) {
        return broken(out, "its length is impossible");
    }
    out->len = (size_t)announced;
    if (bytes->len < out->len) {
        return FRAME_MORE;
    }
    out->id = read_int32(bytes->data + 4);
    out->response_to = read_int32(bytes->data + 8);
    int32_t opcode = read_int32(bytes->data + 12);
    out->is_msg = opcode == OP_MSG_CODE;
    out->more_to_come = false;
    size_t at = HEADER_BYTES;
    if (out->is_msg && out->len >= at + 5) {
        uint32_t flags = (uint32_t)read_int32(bytes->data + at);
        if ((flags & ~(uint32_t)FRAME_MORE_TO_COME) != 0) {
            return broken(out, "it has flags that a driver refuses");
        }
        out->more_to_come = flags != 0;
        if (bytes->data[at + 4] != 0) {
            return broken(out, "its first section is no body");
        }
        at += 5;
    } else if (opcode == OP_REPLY_CODE && out->len >= at + REPLY_FIELDS_BYTES) {
        if (read_int32(bytes->data + at + 16) != 1) {
            return broken(out, "OP_REPLY with a number of documents other than one");
        }
        at += REPLY_FIELDS_BYTES;
    } else {
        return broken(out, "its opcode or its length is no reply's");
    }
    size_t offset;
    if (!bson_init_static(&out->body, bytes->data + at, out->len - at) ||
        !bson_validate(&out->body, BSON_VALIDATE_NONE, &offset)) {
        return broken(out, "its body is no BSON document of the rest's length");
    }
    return FRAME_READ;
}
