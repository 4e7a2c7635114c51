#include "bench/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>

#include "base/memory.h"
#include "bench/document.h"
#include "bson/scan.h"
#include "wire/header.h"
#include "wire/sections.h"

#define MAX_MESSAGE_BYTES  48000000
#define BODY_AT            (WIRE_HEADER_BYTES + 4 + 1)  /* flags, kind 0 */
#define SEQUENCE_OVERHEAD  (1 + 4 + sizeof "documents") /* kind 1, size, name */
#define BINARY_VALUE_START 5                            /* length, subtype */

static bool append_session(bson_t *body)
{
    static const uint8_t no_id[REQUEST_LSID_BYTES];
    bson_t lsid;
    return BSON_APPEND_DOCUMENT_BEGIN(body, "lsid", &lsid) &&
           BSON_APPEND_BINARY(&lsid, "id", BSON_SUBTYPE_UUID, no_id, sizeof no_id) &&
           bson_append_document_end(body, &lsid) && BSON_APPEND_INT64(body, "txnNumber", 0);
}

static bool append_offer(bson_t *body, const char *compressor)
{
    bson_t offered;
    return BSON_APPEND_ARRAY_BEGIN(body, "compression", &offered) &&
           BSON_APPEND_UTF8(&offered, "0", compressor) && bson_append_array_end(body, &offered);
}

static bool append_write_concern(bson_t *body, const char *w)
{
    bson_t concern;
    char *end = NULL;
    long members = strtol(w, &end, 10);
    return BSON_APPEND_DOCUMENT_BEGIN(body, "writeConcern", &concern) &&
           (end != w && *end == '\0' ? BSON_APPEND_INT32(&concern, "w", (int32_t)members)
                                     : BSON_APPEND_UTF8(&concern, "w", w)) &&
           bson_append_document_end(body, &concern);
}

static bool append_command(bson_t *body, const struct request_options *options)
{
    bson_t filter = BSON_INITIALIZER;
    switch (options->command) {
    case REQUEST_PING:
        return BSON_APPEND_INT32(body, "ping", 1) && BSON_APPEND_UTF8(body, "$db", "admin");
    case REQUEST_HELLO:
        return BSON_APPEND_INT32(body, "hello", 1) &&
               (options->compression == NULL || append_offer(body, options->compression)) &&
               BSON_APPEND_UTF8(body, "$db", "admin");
    case REQUEST_INSERT:
        return BSON_APPEND_UTF8(body, "insert", options->collection) &&
               BSON_APPEND_BOOL(body, "ordered", !options->unordered) &&
               (options->write_concern == NULL ||
                append_write_concern(body, options->write_concern)) &&
               (!options->retryable || append_session(body)) &&
               BSON_APPEND_UTF8(body, "$db", options->database);
    case REQUEST_FIND:
        return BSON_APPEND_UTF8(body, "find", options->collection) &&
               BSON_APPEND_DOCUMENT(body, "filter", &filter) &&
               BSON_APPEND_INT64(body, "limit", options->documents) &&
               BSON_APPEND_BOOL(body, "singleBatch", true) &&
               BSON_APPEND_UTF8(body, "$db", options->database);
    }
    return false;
}

/* The places of the values that each use sets. */
static void find_session(struct request *request, size_t body_len)
{
    struct bytes body = bytes_of(request->bytes + BODY_AT, body_len);
    struct scan_element lsid;
    struct scan_element id;
    struct scan_element number;
    if (!scan_find(body, "lsid", &lsid) || !scan_find(lsid.value, "id", &id) ||
        !scan_find(body, "txnNumber", &number))
        return;
    request->lsid_at = (size_t)(id.value.pos - request->bytes) + BINARY_VALUE_START;
    request->txn_number_at = (size_t)(number.value.pos - request->bytes);
}

static void write_sequence(struct request *request, size_t at, const uint8_t *document)
{
    size_t len = (size_t)request->documents * request->document_len;
    request->bytes[at] = 1;
    bytes_store_i32(request->bytes + at + 1, (int32_t)(SEQUENCE_OVERHEAD - 1 + len));
    memcpy(request->bytes + at + 5, "documents", sizeof "documents");
    request->documents_at = at + SEQUENCE_OVERHEAD;
    for (int32_t i = 0; i < request->documents; i++)
        memcpy(request->bytes + request->documents_at + (size_t)i * request->document_len, document,
               request->document_len);
}

static bool write_message(struct request *request, const bson_t *body, const uint8_t *document)
{
    size_t len = BODY_AT + body->len;
    size_t sequence_at = len;
    if (document != NULL)
        len += SEQUENCE_OVERHEAD + (size_t)request->documents * request->document_len;
    if (len > MAX_MESSAGE_BYTES)
        return false;
    request->bytes = memory_zalloc(len);
    if (request->bytes == NULL)
        return false;
    request->len = len;
    struct wire_header header = {.length = (int32_t)len, .opcode = WIRE_OP_MSG};
    wire_header_write(request->bytes, &header);
    memcpy(request->bytes + BODY_AT, bson_get_data(body), body->len);
    find_session(request, body->len);
    if (document != NULL)
        write_sequence(request, sequence_at, document);
    return true;
}

bool request_make(const struct request_options *options, struct request *request)
{
    *request = (struct request){0};
    uint8_t *document = NULL;
    if (options->command == REQUEST_INSERT) {
        document = document_make(options->document_bytes, &request->document_len);
        request->documents = options->documents;
        if (document == NULL)
            return false;
    }
    bson_t body = BSON_INITIALIZER;
    bool made = append_command(&body, options) && write_message(request, &body, document);
    bson_destroy(&body);
    memory_free(document);
    return made;
}

void request_free(struct request *request)
{
    memory_free(request->bytes);
    *request = (struct request){0};
}

void request_set(struct request *request, const struct request_stamp *stamp)
{
    bytes_store_i32(request->bytes + 4, stamp->request_id);
    uint8_t *document = request->bytes + request->documents_at;
    for (int32_t i = 0; i < request->documents; i++, document += request->document_len)
        document_set_id(document, stamp->first_document + (uint64_t)i);
    if (request->lsid_at == 0)
        return;
    memcpy(request->bytes + request->lsid_at, stamp->lsid, REQUEST_LSID_BYTES);
    uint64_t number = (uint64_t)stamp->txn_number;
    bytes_store_i32(request->bytes + request->txn_number_at, (int32_t)(uint32_t)number);
    bytes_store_i32(request->bytes + request->txn_number_at + 4, (int32_t)(uint32_t)(number >> 32));
}

/* "<code> <errmsg>" of an error document, or of its equivalent. */
static void write_reason(struct bytes document, const char *what, char *reason, size_t reason_bytes)
{
    struct scan_element element;
    const char *text = "no errmsg";
    size_t len = strlen(text);
    int64_t code = 0;
    if (scan_find(document, "code", &element))
        (void)scan_as_int64(&element, &code);
    if (scan_find(document, "errmsg", &element))
        (void)scan_as_string(&element, &text, &len);
    if (len > reason_bytes)
        len = reason_bytes;
    snprintf(reason, reason_bytes, "%s: code %lld: %.*s", what, (long long)code, (int)len, text);
}

static enum reply_verdict check_body(struct bytes body, int32_t documents, char *reason,
                                     size_t reason_bytes)
{
    struct scan scan;
    struct scan_element element;
    bool ok = false;
    int64_t count = 0;
    if (!scan_open(&scan, body)) {
        snprintf(reason, reason_bytes, "the reply's document is malformed");
        return REPLY_BROKEN;
    }
    while (scan_next(&scan, &element)) {
        struct scan_element first;
        struct scan array;
        if (scan_name_is(&element, "ok")) {
            ok = scan_is_true(&element);
        } else if (scan_name_is(&element, "n")) {
            (void)scan_as_int64(&element, &count);
        } else if (scan_name_is(&element, "writeConcernError")) {
            write_reason(element.value, "writeConcernError", reason, reason_bytes);
            return REPLY_ERROR;
        } else if (scan_name_is(&element, "writeErrors") && scan_open(&array, element.value) &&
                   scan_next(&array, &first)) {
            write_reason(first.value, "writeErrors[0]", reason, reason_bytes);
            return REPLY_ERROR;
        }
    }
    if (!ok) {
        write_reason(body, "ok: 0", reason, reason_bytes);
        return REPLY_ERROR;
    }
    if (documents == 0 || count == documents)
        return REPLY_OK;
    snprintf(reason, reason_bytes, "n is %lld, but %d documents were sent", (long long)count,
             documents);
    return REPLY_ERROR;
}

enum reply_verdict reply_check(struct bytes message, int32_t request_id, int32_t documents,
                               char *reason, size_t reason_bytes)
{
    struct wire_header header = wire_header_read(message.pos);
    struct error err = {0};
    struct bytes body;
    uint32_t flags = 0;
    if (header.opcode != WIRE_OP_MSG || header.response_to != request_id) {
        snprintf(reason, reason_bytes,
                 "a reply of opcode %d to request %d came, expected was opcode %d to request %d",
                 header.opcode, header.response_to, WIRE_OP_MSG, request_id);
        return REPLY_BROKEN;
    }
    message.pos += WIRE_HEADER_BYTES;
    if (!wire_sections_find_body(message, &body, &flags, &err)) {
        snprintf(reason, reason_bytes, "%s", err.message);
        return REPLY_BROKEN;
    }
    return check_body(body, documents, reason, reason_bytes);
}
