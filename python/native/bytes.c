#include "bytes.h"

#include "native.h"

// A length of four bytes and as many bytes, and `more`.
static bool skip_counted(struct bytes *bytes, size_t more)
{
    const unsigned char *length = bytes_take(bytes, 4);
    int64_t size = length == NULL ? -1 : (int32_t)(uint32_t)bytes_load(length, 4);
    return size >= 0 && bytes_take(bytes, (size_t)size) != NULL && bytes_take(bytes, more) != NULL;
}

static bool skip_texts(struct bytes *bytes, int count)
{
    bool whole = true;
    for (int i = 0; whole && i < count; i++)
        whole = bytes_take_text(bytes) != NULL;
    return whole;
}

bool bytes_skip_value(int type, struct bytes *bytes)
{
    struct bytes inside;
    switch (type) {
    case BSON_NULL:
    case BSON_UNDEFINED:
    case BSON_MINIMUM:
    case BSON_MAXIMUM:
        return true;
    case BSON_BOOL:
        return bytes_take(bytes, 1) != NULL;
    case BSON_INT32:
        return bytes_take(bytes, 4) != NULL;
    case BSON_DOUBLE:
    case BSON_DATE:
    case BSON_TIMESTAMP:
    case BSON_INT64:
        return bytes_take(bytes, 8) != NULL;
    case BSON_OBJECT_ID:
        return bytes_take(bytes, 12) != NULL;
    case BSON_DECIMAL128:
        return bytes_take(bytes, 16) != NULL;
    case BSON_STRING:
    case BSON_CODE:
    case BSON_SYMBOL:
        return skip_counted(bytes, 0);
    case BSON_BINARY: // its subtype
        return skip_counted(bytes, 1);
    case BSON_POINTER: // and the id that it points to
        return skip_counted(bytes, 12);
    case BSON_REGEX:
        return skip_texts(bytes, 2);
    case BSON_DOCUMENT:
    case BSON_ARRAY:
    case BSON_SCOPED_CODE: // its length counts itself, as a document's, and its scope ends it
        return bytes_open_document(bytes, &inside);
    default:
        return false;
    }
}
