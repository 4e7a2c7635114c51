#include "bson/validate.h"

#include "bson/scan.h"

static const uint8_t *check_string(const uint8_t *pos, const uint8_t *end,
                                   struct validate_fault *fault)
{
    if ((size_t)(end - pos) < 5)
        return validate_fail(fault, pos, "a string is longer than its document");
    int32_t len = bytes_load_i32(pos);
    if (len < 1 || (size_t)len > (size_t)(end - pos) - 4)
        return validate_fail(fault, pos, "a string's length field is out of bounds");
    const uint8_t *text = pos + 4;
    if (text[len - 1] != 0)
        return validate_fail(fault, text + len - 1, "a string does not end with a NUL");
    if (!utf8_is_ascii_string(text, (size_t)len - 1) && !utf8_check_slow(text, (size_t)len - 1))
        return validate_fail(fault, text, "a string is not UTF-8");
    return text + len;
}

const uint8_t *validate_name(const uint8_t *pos, const uint8_t *end, struct validate_fault *fault)
{
    const uint8_t *nul = pos < end ? memchr(pos, 0, (size_t)(end - pos)) : NULL;
    if (nul == NULL)
        return validate_fail(fault, pos, "a field name or a regular expression has no terminator");
    if (!utf8_check(pos, (size_t)(nul - pos)))
        return validate_fail(fault, pos, "a field name or a regular expression is not UTF-8");
    return nul + 1;
}

static const uint8_t *check_binary(const uint8_t *pos, const uint8_t *end,
                                   struct validate_fault *fault)
{
    if ((size_t)(end - pos) < 5)
        return validate_fail(fault, pos, "binary data is longer than its document");
    int32_t len = bytes_load_i32(pos);
    if (len < 0 || (size_t)len > (size_t)(end - pos) - 5)
        return validate_fail(fault, pos, "the length field of binary data is out of bounds");
    /* The old binary subtype repeats its length inside. */
    if (pos[4] == 2 && (len < 4 || bytes_load_i32(pos + 5) != len - 4))
        return validate_fail(fault, pos + 5, "the inner length of binary subtype 2 is wrong");
    return pos + 5 + len;
}

static const uint8_t *check_document(const uint8_t *pos, const uint8_t *end, unsigned depth,
                                     struct validate_fault *fault)
{
    const uint8_t *last = NULL;
    if (depth >= VALIDATE_DEPTH_MAX) {
        fault->too_deep = true;
        return validate_fail(fault, pos, "the document is nested too deeply");
    }
    pos = validate_open(pos, end, &last, fault);
    while (pos != NULL && pos < last) {
        uint8_t kind = *pos;
        pos = validate_skip_name(pos + 1, last, fault);
        if (pos != NULL)
            pos = validate_value(kind, pos, last, depth + 1, fault);
    }
    return pos == NULL ? NULL : last + 1;
}

static const uint8_t *check_code_with_scope(const uint8_t *pos, const uint8_t *end, unsigned depth,
                                            struct validate_fault *fault)
{
    if ((size_t)(end - pos) < 14)
        return validate_fail(fault, pos, "code with scope is longer than its document");
    int32_t len = bytes_load_i32(pos);
    if (len < 14 || (size_t)len > (size_t)(end - pos))
        return validate_fail(fault, pos, "the length field of code with scope is out of bounds");
    const uint8_t *stop = pos + len;
    const uint8_t *scope = check_string(pos + 4, stop, fault);
    if (scope == NULL)
        return NULL;
    const uint8_t *after = check_document(scope, stop, depth, fault);
    if (after != NULL && after != stop)
        return validate_fail(fault, pos, "the parts of code with scope do not fill its length");
    return after;
}

static const uint8_t *check_fixed(const uint8_t *pos, const uint8_t *end, size_t len,
                                  struct validate_fault *fault)
{
    if (len > (size_t)(end - pos))
        return validate_fail(fault, pos, "a value is longer than its document");
    return pos + len;
}

static const uint8_t *check_rare(uint8_t kind, const uint8_t *pos, const uint8_t *end,
                                 unsigned depth, struct validate_fault *fault)
{
    switch (kind) {
    case BSON_KIND_REGEX:
        pos = validate_name(pos, end, fault);
        return pos == NULL ? NULL : validate_name(pos, end, fault);
    case BSON_KIND_DB_POINTER:
        pos = check_string(pos, end, fault);
        return pos == NULL ? NULL : check_fixed(pos, end, 12, fault);
    case BSON_KIND_CODE_WITH_SCOPE:
        return check_code_with_scope(pos, end, depth, fault);
    default:
        return validate_fail(fault, pos, "a field has an unknown type");
    }
}

const uint8_t *validate_value(uint8_t kind, const uint8_t *pos, const uint8_t *end, unsigned depth,
                              struct validate_fault *fault)
{
    switch (kind) {
    case BSON_KIND_STRING:
    case BSON_KIND_CODE:
    case BSON_KIND_SYMBOL:
        return check_string(pos, end, fault);
    case BSON_KIND_OBJECT:
    case BSON_KIND_ARRAY:
        return check_document(pos, end, depth, fault);
    case BSON_KIND_INT32:
        return check_fixed(pos, end, 4, fault);
    case BSON_KIND_DOUBLE:
    case BSON_KIND_DATE:
    case BSON_KIND_TIMESTAMP:
    case BSON_KIND_INT64:
        return check_fixed(pos, end, 8, fault);
    case BSON_KIND_OBJECT_ID:
        return check_fixed(pos, end, 12, fault);
    case BSON_KIND_DECIMAL128:
        return check_fixed(pos, end, 16, fault);
    case BSON_KIND_UNDEFINED:
    case BSON_KIND_NULL:
    case BSON_KIND_MIN_KEY:
    case BSON_KIND_MAX_KEY:
        return pos;
    case BSON_KIND_BOOL:
        if (pos >= end || *pos > 1)
            return validate_fail(fault, pos, "a boolean is neither 0 nor 1");
        return pos + 1;
    case BSON_KIND_BINARY:
        return check_binary(pos, end, fault);
    default:
        return check_rare(kind, pos, end, depth, fault);
    }
}

bool validate_report(const struct validate_fault *fault, const uint8_t *start, struct error *err)
{
    size_t offset = (size_t)(fault->at - start);
    if (fault->too_deep)
        return error_set(err, ERROR_OVERFLOW,
                         "cannot insert document because it exceeds %d levels of nesting (at byte "
                         "%zu)",
                         VALIDATE_DEPTH_MAX, offset);
    return error_set(err, ERROR_INVALID_BSON, "Invalid BSON: %s at byte %zu of the document",
                     fault->what, offset);
}

bool validate_document(struct bytes document, struct error *err)
{
    struct validate_fault fault = {0};
    const uint8_t *after = check_document(document.pos, document.end, 0, &fault);
    if (after != NULL && after != document.end)
        after = validate_fail(&fault, after, "bytes follow the end of the document");
    return after != NULL || validate_report(&fault, document.pos, err);
}
