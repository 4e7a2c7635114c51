#include "trace/trace_context.h"

#include <string.h>

/* The positions in a traceparent. */
enum { VERSION_AT = 0, TRACE_ID_AT = 3, SPAN_ID_AT = 36, FLAGS_AT = 53 };
enum { VERSION_NONE = 0xFF, FLAG_SAMPLED = 1 };

/* -1 for a character that is no digit. Trace Context allows lower case only. */
static int digit_of(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

bool trace_context_read(const char *text, size_t len, struct trace_context *out)
{
    uint8_t version = 0;
    uint8_t flags = 0;
    if (len < TRACE_PARENT_CHARS || text[TRACE_ID_AT - 1] != '-' || text[SPAN_ID_AT - 1] != '-' ||
        text[FLAGS_AT - 1] != '-' || !read_hex(text + VERSION_AT, &version, 1) ||
        !read_hex(text + TRACE_ID_AT, out->trace_id, TRACE_ID_BYTES) ||
        !read_hex(text + SPAN_ID_AT, out->span_id, TRACE_SPAN_ID_BYTES) ||
        !read_hex(text + FLAGS_AT, &flags, 1))
        return false;
    if (version == VERSION_NONE || is_zero(out->trace_id, TRACE_ID_BYTES) ||
        is_zero(out->span_id, TRACE_SPAN_ID_BYTES))
        return false;
    if (len > TRACE_PARENT_CHARS && (version == 0 || text[TRACE_PARENT_CHARS] != '-'))
        return false;
    out->sampled = (flags & FLAG_SAMPLED) != 0;
    return true;
}

void trace_write_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = 0;
}

void trace_context_write(const struct trace_context *context, char out[TRACE_PARENT_CHARS + 1])
{
    memcpy(out, "00-", TRACE_ID_AT);
    trace_write_hex(context->trace_id, TRACE_ID_BYTES, out + TRACE_ID_AT);
    out[SPAN_ID_AT - 1] = '-';
    trace_write_hex(context->span_id, TRACE_SPAN_ID_BYTES, out + SPAN_ID_AT);
    memcpy(out + FLAGS_AT - 1, context->sampled ? "-01" : "-00", 4);
}
