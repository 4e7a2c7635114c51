/* Replies of the proxy: each is a whole message of the announced form, whatever the request and the
 * error's text. Input: a byte of flags (1: the request is OP_QUERY, 2..8: labels, 16: failure of a
 * query), four of a code, then the error's text; the same bytes are framed as a document. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "bson/validate.h"
#include "wire/query.h"
#include "wire/reply.h"
#include "wire/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUEST_ID = 77, OWN_ID = 5 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* The document of a whole message. */
static struct bytes open_reply(const uint8_t *message, size_t len, bool legacy)
{
    struct error err;
    struct bytes body = {0};
    uint32_t flags = 0;
    struct wire_header header = wire_header_read(message);
    struct bytes payload = bytes_of(message + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES);
    require(header.length == (int32_t)len && header.response_to == REQUEST_ID);
    require(wire_header_check(&header, len, &err));
    if (!legacy) {
        require(header.opcode == WIRE_OP_MSG);
        require(wire_sections_find_body(payload, &body, &flags, &err));
        return body;
    }
    require(header.opcode == WIRE_OP_REPLY && wire_reply_read(payload, &body, &err));
    return body;
}

static void frame(struct bytes document, bool legacy)
{
    struct wire_reply_to to = {REQUEST_ID, legacy};
    uint8_t *out = NULL;
    size_t len = 0;
    require(wire_reply_frame(to, OWN_ID, 0, document, &out, &len));
    struct bytes body = open_reply(out, len, legacy);
    require(bytes_left(&body) == bytes_left(&document) &&
            memcmp(body.pos, document.pos, bytes_left(&body)) == 0);
    memory_free(out);
    /* the same without a copy, by the room in front */
    size_t size = WIRE_REPLY_FRONT_BYTES + bytes_left(&document);
    uint8_t *message = malloc(size);
    require(message != NULL);
    memcpy(message + WIRE_REPLY_FRONT_BYTES, document.pos, bytes_left(&document));
    wire_reply_write_front((struct wire_reply_to){REQUEST_ID, false}, OWN_ID, 0,
                           message + WIRE_REPLY_FRONT_BYTES, bytes_left(&document));
    body = open_reply(message, size, false);
    require(body.pos == message + WIRE_REPLY_FRONT_BYTES);
    free(message);
}

static void check_error(struct bytes body, const struct error *error, uint32_t labels)
{
    struct scan_element element;
    int64_t code = 0;
    require(scan_find(body, "code", &element) && scan_as_int64(&element, &code));
    require(code == error->code);
    require(scan_find(body, "errorLabels", &element) == (labels != 0));
    require(scan_find(body, "baseBackoffMS", &element) == ((labels & WIRE_LABEL_OVERLOADED) != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    uint8_t *out = NULL;
    size_t len = 0;
    if (size < 5)
        return 0;
    struct bytes rest = bytes_of(data + 5, size - 5);
    bool legacy = (data[0] & 1) != 0;
    uint32_t labels = data[0] >> 1 & 7;
    size_t text_len = strnlen((const char *)rest.pos, bytes_left(&rest));
    (void)error_set(&error, bytes_load_i32(data + 1), "%.*s", (int)text_len,
                    (const char *)rest.pos);
    if (validate_document(rest, NULL))
        frame(rest, legacy);
    if ((data[0] & 16) != 0) {
        require(wire_reply_query_failure(REQUEST_ID, &error, &out, &len));
        struct scan_element text;
        require(scan_find(open_reply(out, len, true), "$err", &text));
    } else {
        require(wire_reply_error((struct wire_reply_to){REQUEST_ID, legacy}, &error, labels, &out,
                                 &len));
        check_error(open_reply(out, len, legacy), &error, labels);
    }
    memory_free(out);
    (void)wire_reply_hint(data);
    return 0;
}
