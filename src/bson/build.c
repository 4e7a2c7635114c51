#include "bson/build.h"

#include "base/memory.h"
#include "bson/scan.h"

static uint8_t *reserve(struct build *b, size_t more)
{
    if (b->failed)
        return NULL;
    if (more > b->limit - b->len) {
        b->failed = true;
        b->too_big = true;
        return NULL;
    }
    if (more > b->room - b->len) {
        size_t room = b->room < 512 ? 512 : b->room;
        while (room - b->len < more)
            room *= 2;
        uint8_t *data = memory_resize(b->data, room);
        if (data == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->room = room;
    }
    uint8_t *at = b->data + b->len;
    b->len += more;
    return at;
}

static void append(struct build *b, const void *data, size_t len)
{
    uint8_t *at = reserve(b, len);
    if (at != NULL && len > 0)
        memcpy(at, data, len);
}

static void append_i32(struct build *b, int32_t value)
{
    uint8_t *at = reserve(b, 4);
    if (at != NULL)
        bytes_store_i32(at, value);
}

static void open_document(struct build *b)
{
    if (b->depth == BUILD_DEPTH_MAX) {
        b->failed = true;
        b->too_big = true;
    }
    if (b->failed)
        return;
    b->open[b->depth] = (uint32_t)b->len;
    b->index[b->depth] = 0;
    b->depth++;
    append_i32(b, 0);
}

static void begin(struct build *b, size_t limit_bytes)
{
    b->data = NULL;
    b->len = 0;
    b->room = 0;
    b->limit = limit_bytes < INT32_MAX ? limit_bytes : INT32_MAX;
    b->failed = false;
    b->too_big = false;
    b->depth = 0;
}

void build_begin(struct build *b, size_t limit_bytes)
{
    begin(b, limit_bytes);
    open_document(b);
}

void build_begin_behind(struct build *b, size_t front, size_t room, size_t limit_bytes)
{
    begin(b, limit_bytes);
    b->data = memory_alloc(room);
    b->failed = b->data == NULL;
    b->room = b->failed ? 0 : room;
    uint8_t *at = reserve(b, front);
    if (at != NULL)
        memset(at, 0, front);
    open_document(b);
}

void build_free(struct build *b)
{
    memory_free(b->data);
    b->data = NULL;
}

void build_close(struct build *b)
{
    static const uint8_t nul = 0;
    append(b, &nul, 1);
    if (b->failed)
        return;
    b->depth--;
    bytes_store_i32(b->data + b->open[b->depth], (int32_t)(b->len - b->open[b->depth]));
}

bool build_finish(struct build *b, struct bytes *out)
{
    build_close(b);
    if (b->failed)
        return false;
    *out = bytes_of(b->data + b->open[0], b->len - b->open[0]);
    return true;
}

size_t build_key(uint32_t index, char key[BUILD_KEY_BYTES])
{
    char digits[BUILD_KEY_BYTES];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    for (size_t i = 0; i < len; i++)
        key[i] = digits[len - 1 - i];
    return len;
}

static void append_head(struct build *b, const char *name, uint8_t kind)
{
    char key[BUILD_KEY_BYTES + 1];
    if (b->failed)
        return;
    if (name == NULL) {
        key[build_key(b->index[b->depth - 1]++, key)] = 0;
        name = key;
    }
    append(b, &kind, 1);
    append(b, name, strlen(name) + 1);
}

void build_open_object(struct build *b, const char *name)
{
    append_head(b, name, BSON_KIND_OBJECT);
    open_document(b);
}

void build_open_array(struct build *b, const char *name)
{
    append_head(b, name, BSON_KIND_ARRAY);
    open_document(b);
}

void build_string(struct build *b, const char *name, const char *text, size_t len)
{
    static const uint8_t nul = 0;
    append_head(b, name, BSON_KIND_STRING);
    if (len > b->limit) {
        b->failed = true;
        b->too_big = true;
        return;
    }
    append_i32(b, (int32_t)(len + 1));
    append(b, text, len);
    append(b, &nul, 1);
}

void build_text(struct build *b, const char *name, const char *text)
{
    build_string(b, name, text, strlen(text));
}

void build_int32(struct build *b, const char *name, int32_t value)
{
    append_head(b, name, BSON_KIND_INT32);
    append_i32(b, value);
}

void build_int64(struct build *b, const char *name, int64_t value)
{
    append_head(b, name, BSON_KIND_INT64);
    append_i32(b, (int32_t)(uint32_t)((uint64_t)value & 0xFFFFFFFFU));
    append_i32(b, (int32_t)(uint32_t)((uint64_t)value >> 32));
}

void build_bool(struct build *b, const char *name, bool value)
{
    uint8_t byte = value;
    append_head(b, name, BSON_KIND_BOOL);
    append(b, &byte, 1);
}

void build_elements(struct build *b, struct bytes elements, uint32_t count)
{
    append(b, elements.pos, bytes_left(&elements));
    if (!b->failed)
        b->index[b->depth - 1] += count;
}

void build_value(struct build *b, const char *name, uint8_t kind, struct bytes value)
{
    append_head(b, name, kind);
    append(b, value.pos, bytes_left(&value));
}
