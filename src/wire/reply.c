#include "wire/reply.h"

#include <bson/bson.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "wire/sections.h"

enum { REPLY_BODY_OFFSET = 36 };

void wire_reply_write_front(struct wire_reply_to to, int32_t request_id, uint32_t flags,
                            uint8_t *document, size_t document_bytes)
{
    uint8_t *front = document - WIRE_REPLY_FRONT_BYTES;
    struct wire_header header = {.length = (int32_t)(WIRE_REPLY_FRONT_BYTES + document_bytes),
                                 .request_id = request_id,
                                 .response_to = to.request_id,
                                 .opcode = WIRE_OP_MSG};
    wire_header_write(front, &header);
    bytes_store_i32(front + WIRE_HEADER_BYTES, (int32_t)flags);
    front[WIRE_HEADER_BYTES + 4] = 0; /* the kind of the section */
}

/* responseFlags of OP_REPLY */
enum { REPLY_QUERY_FAILURE = 2, REPLY_AWAIT_CAPABLE = 8 };

bool wire_reply_frame(struct wire_reply_to to, int32_t request_id, uint32_t flags,
                      struct bytes document, uint8_t **out, size_t *len)
{
    size_t front = to.legacy ? (size_t)REPLY_BODY_OFFSET : (size_t)WIRE_REPLY_FRONT_BYTES;
    *len = front + bytes_left(&document);
    *out = memory_alloc(*len);
    if (*out == NULL)
        return false;
    if (to.legacy) {
        struct wire_header header = {.length = (int32_t)*len,
                                     .request_id = request_id,
                                     .response_to = to.request_id,
                                     .opcode = WIRE_OP_REPLY};
        memset(*out, 0, front);
        wire_header_write(*out, &header);
        bytes_store_i32(*out + 16, REPLY_AWAIT_CAPABLE);
        bytes_store_i32(*out + 32, 1); /* numberReturned */
    } else {
        wire_reply_write_front(to, request_id, flags, *out + front, bytes_left(&document));
    }
    memcpy(*out + front, document.pos, bytes_left(&document));
    return true;
}

static void append_labels(bson_t *reply, uint32_t labels)
{
    static const struct {
        uint32_t bit;
        const char *text;
    } names[] = {
        {WIRE_LABEL_RETRYABLE_WRITE, "RetryableWriteError"},
        {WIRE_LABEL_TRANSIENT_TRANSACTION, "TransientTransactionError"},
        {WIRE_LABEL_OVERLOADED, "SystemOverloadedError"},
        {WIRE_LABEL_OVERLOADED, "RetryableError"},
    };
    bson_t array;
    uint32_t count = 0;
    char key[12];
    if (labels == 0)
        return;
    BSON_APPEND_ARRAY_BEGIN(reply, "errorLabels", &array);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((labels & names[i].bit) == 0)
            continue;
        (void)snprintf(key, sizeof key, "%u", count++);
        BSON_APPEND_UTF8(&array, key, names[i].text);
    }
    bson_append_array_end(reply, &array);
}

/* Messages quote bytes of the peer and are cut to fit. Invalid UTF-8 must not reach a driver, and
 * must not hide the rest of the message. */
static void append_message(bson_t *reply, const char *name, const char *message)
{
    char text[sizeof(((struct error *)0)->message)];
    size_t len = strlen(message);
    size_t i = 0;
    memcpy(text, message, len + 1);
    while (i < len) {
        size_t n = utf8_length((const uint8_t *)text + i, len - i);
        if (n == 0)
            text[i] = '?';
        i += n == 0 ? 1 : n;
    }
    BSON_APPEND_UTF8(reply, name, text);
}

bool wire_reply_error(struct wire_reply_to to, const struct error *error, uint32_t labels,
                      uint8_t **out, size_t *len)
{
    char scratch[32];
    bson_t reply = BSON_INITIALIZER;
    BSON_APPEND_DOUBLE(&reply, "ok", 0.0);
    append_message(&reply, "errmsg", error->message);
    BSON_APPEND_INT32(&reply, "code", error->code);
    BSON_APPEND_UTF8(&reply, "codeName", error_code_name(error->code, scratch));
    append_labels(&reply, labels);
    if ((labels & WIRE_LABEL_OVERLOADED) != 0)
        BSON_APPEND_INT32(&reply, "baseBackoffMS", WIRE_BASE_BACKOFF_MS);
    bool ok = wire_reply_frame(to, 0, 0, bytes_of(bson_get_data(&reply), reply.len), out, len);
    bson_destroy(&reply);
    return ok;
}

bool wire_reply_query_failure(int32_t request_id, const struct error *error, uint8_t **out,
                              size_t *len)
{
    struct wire_reply_to to = {.request_id = request_id, .legacy = true};
    bson_t reply = BSON_INITIALIZER;
    append_message(&reply, "$err", error->message);
    BSON_APPEND_INT32(&reply, "code", error->code);
    bool ok = wire_reply_frame(to, 0, 0, bytes_of(bson_get_data(&reply), reply.len), out, len);
    bson_destroy(&reply);
    if (ok)
        bytes_store_i32(*out + WIRE_HEADER_BYTES, REPLY_QUERY_FAILURE);
    return ok;
}
