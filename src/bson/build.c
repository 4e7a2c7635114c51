#include "bson/build.h"

#include "base/memory.h"
#include "bson/scan.h"

#include <stdio.h>

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

void build_begin(struct build *b, size_t limit_bytes)
{
    b->data = NULL;
    b->len = 0;
    b->room = 0;
    b->limit = limit_bytes < INT32_MAX ? limit_bytes : INT32_MAX;
    b->failed = false;
    b->too_big = false;
    b->depth = 0;
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
    *out = bytes_of(b->data, b->len);
    return true;
}

static void append_head(struct build *b, const char *name, uint8_t kind)
{
    char index[16];
    if (b->failed)
        return;
    if (name == NULL) {
        (void)snprintf(index, sizeof index, "%u", (unsigned)b->index[b->depth - 1]++);
        name = index;
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

void build_value(struct build *b, const char *name, uint8_t kind, struct bytes value)
{
    append_head(b, name, kind);
    append(b, value.pos, bytes_left(&value));
}
