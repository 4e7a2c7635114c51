/* Writes BSON into one growing buffer. The first failure (no memory, size limit) is final: later
 * calls do nothing, and build_finish returns false. build_open and build_close nest documents. Not
 * thread-safe: one builder belongs to one thread. */
#ifndef SLUICE_BSON_BUILD_H
#define SLUICE_BSON_BUILD_H

#include "base/bytes.h"

/* Writes a number as the key of an array element, without a NUL. Returns its length. */
enum { BUILD_KEY_BYTES = 10 };
size_t build_key(uint32_t index, char key[BUILD_KEY_BYTES]);

#define BUILD_DEPTH_MAX 1024

struct build {
    uint8_t *data; /* owned */
    size_t len;
    size_t room;
    size_t limit; /* the maximal length of the document */
    bool failed;
    bool too_big; /* failed because of the limit */
    unsigned depth;
    uint32_t open[BUILD_DEPTH_MAX];  /* the start of each open document */
    uint32_t index[BUILD_DEPTH_MAX]; /* the next index, if it is an array */
};

/* Starts a document. The caller must call build_free in every case. */
void build_begin(struct build *b, size_t limit_bytes);
/* Does the same with `front` bytes before the document, for a caller that frames it, in a block of
 * `room` bytes. The limit includes these bytes. */
void build_begin_behind(struct build *b, size_t front, size_t room, size_t limit_bytes);
void build_free(struct build *b);

/* Closes the document; the caller has closed all nested ones. On true, *out holds its bytes, and b
 * owns them. */
bool build_finish(struct build *b, struct bytes *out);

/* Names are NUL-terminated; NULL means the next index of the open array. */
void build_open_object(struct build *b, const char *name);
void build_open_array(struct build *b, const char *name);
void build_close(struct build *b);

void build_string(struct build *b, const char *name, const char *text, size_t len);
void build_text(struct build *b, const char *name, const char *text /* NUL-terminated */);
void build_int32(struct build *b, const char *name, int32_t value);
void build_int64(struct build *b, const char *name, int64_t value);
void build_bool(struct build *b, const char *name, bool value);
/* Copies elements of another array, with their keys, into the open array. The keys must continue
 * the open array's keys (build_next_index). */
void build_elements(struct build *b, struct bytes elements, uint32_t count);
static inline uint32_t build_next_index(const struct build *b)
{
    return b->index[b->depth - 1];
}
/* Copies a value of this kind from another document. */
void build_value(struct build *b, const char *name, uint8_t kind, struct bytes value);

#endif
