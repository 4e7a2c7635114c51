#include "bench/document.h"

#include <string.h>
#include <time.h>

#include <bson/bson.h>

#include "base/memory.h"

#define PADDING_FIELD_BYTES (1 + sizeof "padding" + 4 + 1) /* type, name, length, NUL */

static void append_fields(bson_t *document)
{
    static const bson_oid_t zero_id;
    BSON_APPEND_OID(document, "_id", &zero_id);
    BSON_APPEND_UTF8(document, "name", "Ada Lovelace");
    BSON_APPEND_UTF8(document, "email", "ada.lovelace@example.org");
    BSON_APPEND_INT32(document, "age", 36);
    BSON_APPEND_UTF8(document, "city", "London");
    BSON_APPEND_DOUBLE(document, "score", 0.975);
    BSON_APPEND_DATE_TIME(document, "created_at", INT64_C(1700000000000));
}

static bool append_padding(bson_t *document, size_t bytes)
{
    if (document->len + PADDING_FIELD_BYTES > bytes)
        return true;
    size_t len = bytes - document->len - PADDING_FIELD_BYTES;
    char *text = memory_alloc(len + 1);
    if (text == NULL)
        return false;
    memset(text, 'x', len);
    text[len] = '\0';
    bool done = bson_append_utf8(document, "padding", -1, text, (int)len);
    memory_free(text);
    return done;
}

uint8_t *document_make(size_t bytes, size_t *len)
{
    bson_t document = BSON_INITIALIZER;
    append_fields(&document);
    uint8_t *copy = NULL;
    if (append_padding(&document, bytes))
        copy = memory_alloc(document.len);
    if (copy != NULL) {
        *len = document.len;
        memcpy(copy, bson_get_data(&document), document.len);
        document_set_id(copy, 0);
    }
    bson_destroy(&document);
    return copy;
}

/* ObjectId: 4 bytes of seconds, then 3 random bytes of the process and 5 of the number. */
void document_set_id(uint8_t *document, uint64_t number)
{
    static uint8_t prefix[7];
    if (prefix[0] == 0) {
        bson_oid_t fresh;
        bson_oid_init(&fresh, NULL);
        memcpy(prefix, fresh.bytes, sizeof prefix);
    }
    uint8_t *id = document + DOCUMENT_ID_OFFSET;
    memcpy(id, prefix, sizeof prefix);
    for (size_t i = DOCUMENT_ID_BYTES; i > sizeof prefix; i--) {
        id[i - 1] = (uint8_t)number;
        number >>= 8;
    }
}
