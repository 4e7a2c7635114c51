/* Writing BSON into one growing buffer. The first failure (memory, the size limit) sticks: later
 * calls do nothing, and build_finish answers false. Documents nest by build_open and build_close.
 * Not thread-safe; one builder, one thread. */
#ifndef SLUICE_BSON_BUILD_H
#define SLUICE_BSON_BUILD_H

#include "base/bytes.h"

/* A number as the key of an array's element, without a NUL. Answers its length. */
enum { BUILD_KEY_BYTES = 10 };
size_t build_key(uint32_t index, char key[BUILD_KEY_BYTES]);

#define BUILD_DEPTH_MAX 1024

struct build {
    uint8_t *data; /* owned */
    size_t len;
    size_t room;
    size_t limit; /* the document may not become longer than this */
    bool failed;
    bool too_big; /* failed because of the limit */
    unsigned depth;
    uint32_t open[BUILD_DEPTH_MAX];  /* where each open document began */
    uint32_t index[BUILD_DEPTH_MAX]; /* the next index, where it is an array */
};

/* Begins a document. build_free is due whatever happens afterwards. */
void build_begin(struct build *b, size_t limit_bytes);
/* The same with `front` bytes before the document, for whoever frames it, in a block that has
 * `room` bytes to begin with. The limit counts them too. */
void build_begin_behind(struct build *b, size_t front, size_t room, size_t limit_bytes);
void build_free(struct build *b);

/* Closes the document; all nested ones must be closed. On true, *out are its bytes, owned by b. */
bool build_finish(struct build *b, struct bytes *out);

/* Names are NUL-terminated; NULL stands for the next index of the array that is open. */
void build_open_object(struct build *b, const char *name);
void build_open_array(struct build *b, const char *name);
void build_close(struct build *b);

void build_string(struct build *b, const char *name, const char *text, size_t len);
void build_text(struct build *b, const char *name, const char *text /* NUL-terminated */);
void build_int32(struct build *b, const char *name, int32_t value);
void build_int64(struct build *b, const char *name, int64_t value);
void build_bool(struct build *b, const char *name, bool value);
/* Elements of the array that is open, as they stand in another one: with their keys, which begin
 * where this one's go on (build_next_index). */
void build_elements(struct build *b, struct bytes elements, uint32_t count);
static inline uint32_t build_next_index(const struct build *b)
{
    return b->index[b->depth - 1];
}
/* A value of that kind as it stands in another document. */
void build_value(struct build *b, const char *name, uint8_t kind, struct bytes value);

#endif
