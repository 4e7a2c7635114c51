/* A comment, or a telemetry section, of any bytes: a context that is found is written and found
 * again, alone. Input: a byte for the comment's BSON type, then its value. */
#include "bson/validate.h"
#include "trace/trace_comment.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_same(const struct trace_found *found, const struct trace_found *again)
{
    require(again->alone && again->carrier == found->carrier);
    require(memcmp(&again->context, &found->context, sizeof found->context) == 0);
}

static void check(const struct trace_found *found)
{
    char text[TRACE_PARENT_CHARS + 1];
    struct trace_context context;
    require(!found->alone || found->carrier != TRACE_CARRIER_NONE);
    if (found->carrier == TRACE_CARRIER_NONE)
        return;
    trace_context_write(&found->context, text);
    require(trace_context_read(text, TRACE_PARENT_CHARS, &context));
    require(memcmp(&context, &found->context, sizeof context) == 0);
}

static void write_comment(const struct trace_found *found)
{
    struct build build;
    struct bytes document;
    struct scan_element comment;
    struct trace_found again;
    if (found->carrier == TRACE_CARRIER_NONE)
        return;
    build_begin(&build, SIZE_MAX);
    trace_comment_write(&build, found->carrier, &found->context);
    require(build_finish(&build, &document) && validate_document(document, NULL));
    require(scan_find(document, "comment", &comment));
    trace_comment_read(&comment, &again);
    require_same(found, &again);
    build_free(&build);
}

static void write_section(const struct trace_found *found)
{
    uint8_t section[TRACE_SECTION_BYTES];
    struct trace_found again;
    if (found->carrier == TRACE_CARRIER_NONE)
        return;
    trace_section_read(trace_section_write(&found->context, section), &again);
    require_same(found, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_found found;
    size_t len = 0;
    if (size < 1)
        return 0;
    struct scan_element comment = {
        .kind = data[0], .name = "comment", .name_len = 7, .value = bytes_of(data + 1, size - 1)};
    /* as a scan hands it out */
    if (scan_value_length(comment.kind, comment.value, &len)) {
        comment.value.end = comment.value.pos + len;
        trace_comment_read(&comment, &found);
        check(&found);
        write_comment(&found);
    }
    trace_section_read(bytes_of(data + 1, size - 1), &found);
    check(&found);
    write_section(&found);
    return 0;
}
