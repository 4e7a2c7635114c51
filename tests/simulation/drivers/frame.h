/* Messages of the wire protocol, written and read without the product's code. */
#ifndef SIMULATION_FRAME_H
#define SIMULATION_FRAME_H

#include <bson/bson.h>

enum { FRAME_MORE_TO_COME = 1 << 1, FRAME_EXHAUST_ALLOWED = 1 << 16 };

struct frame_bytes {
    uint8_t *data;
    size_t len, cap;
};

void frame_append(struct frame_bytes *bytes, const void *data, size_t len);
void frame_consume(struct frame_bytes *bytes, size_t len);
void frame_release(struct frame_bytes *bytes);

/* A document sequence; `documents` is an array of `count` borrowed documents. */
struct frame_sequence {
    const char *name;
    const bson_t *const *documents;
    unsigned count;
};

/* Appends an OP_MSG. */
void frame_write_msg(struct frame_bytes *out, int32_t id, uint32_t flags, const bson_t *body,
                     const struct frame_sequence *sequences, unsigned sequence_count);
/* Appends an OP_QUERY on admin.$cmd. */
void frame_write_query(struct frame_bytes *out, int32_t id, const bson_t *body);

enum frame_step { FRAME_MORE, FRAME_READ, FRAME_BROKEN };

struct frame_reply {
    size_t len;
    int32_t id, response_to;
    bool is_msg; /* false: OP_REPLY */
    bool more_to_come;
    bson_t body;         /* borrows the bytes; nothing to destroy */
    const char *problem; /* with FRAME_BROKEN */
};

/* Reads the first message of `bytes` as a driver does that takes nothing unusual. */
enum frame_step frame_read(const struct frame_bytes *bytes, struct frame_reply *out);

#endif
