/* The three carriers of a trace context in a command. */
#include "../json_document.h"

#include <stdio.h>

#include "bson/validate.h"
#include "trace/trace_comment.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define DATADOG                                                                                    \
    "dddb='shop',dddbs='mongo',dde='prod',ddh='db%2Elocal',ddps='web',ddpv='1.0',ddprs='m'"

static const struct {
    const char *comment; /* JSON */
    enum trace_carrier carrier;
    bool alone;
} comments[] = {
    {"{\"traceparent\":\"" PARENT "\"}", TRACE_CARRIER_DOCUMENT, true},
    {"{\"traceparent\":\"" PARENT "\",\"tracestate\":\"a=1\"}", TRACE_CARRIER_DOCUMENT, true},
    {"{\"tracestate\":\"a=1\",\"traceparent\":\"" PARENT "\"}", TRACE_CARRIER_DOCUMENT, true},
    /* an application reads the rest */
    {"{\"traceparent\":\"" PARENT "\",\"text\":\"job\"}", TRACE_CARRIER_DOCUMENT, false},
    {"{\"text\":\"job\",\"traceparent\":\"" PARENT "\"}", TRACE_CARRIER_DOCUMENT, false},
    {"{\"traceparent\":\"" PARENT "\",\"baggage\":\"a=1\"}", TRACE_CARRIER_DOCUMENT, false},
    {"{\"traceparent\":\"" PARENT "\",\"tracestate\":1}", TRACE_CARRIER_DOCUMENT, false},
    {"{\"traceparent\":\"" PARENT "\",\"tracestate\":\"\",\"tracestate\":\"\"}",
     TRACE_CARRIER_DOCUMENT, false},
    {"{\"traceparent\":\"" PARENT "\",\"traceparent\":\"" PARENT "\"}", TRACE_CARRIER_DOCUMENT,
     false},
    /* no context */
    {"{\"traceparent\":\"00-1-2-01\"}", TRACE_CARRIER_NONE, false},
    {"{\"traceparent\":1}", TRACE_CARRIER_NONE, false},
    {"{\"tracestate\":\"a=1\"}", TRACE_CARRIER_NONE, false},
    {"{}", TRACE_CARRIER_NONE, false},
    {"[\"traceparent\"]", TRACE_CARRIER_NONE, false},
    {"5", TRACE_CARRIER_NONE, false},
    {"null", TRACE_CARRIER_NONE, false},
    {"\"\"", TRACE_CARRIER_NONE, false},
    {"\"traceparent\"", TRACE_CARRIER_NONE, false},
    {"\"" PARENT "\"", TRACE_CARRIER_NONE, false},
    {"\"" DATADOG "\"", TRACE_CARRIER_NONE, false}, /* the mode `service` */
    /* Datadog */
    {"\"" DATADOG ",traceparent='" PARENT "'\"", TRACE_CARRIER_STRING, true},
    {"\"traceparent='" PARENT "'\"", TRACE_CARRIER_STRING, true},
    {"\"traceparent='" PARENT "'," DATADOG "\"", TRACE_CARRIER_STRING, true},
    {"\"job 5," DATADOG ",traceparent='" PARENT "'\"", TRACE_CARRIER_STRING, false},
    {"\"traceparent='" PARENT "',user='x'\"", TRACE_CARRIER_STRING, false},
    {"\"traceparent='" PARENT "';\"", TRACE_CARRIER_STRING, false},
    {"\"traceparent='" PARENT "',\"", TRACE_CARRIER_STRING, false},
    {"\"traceparent='" PARENT "',traceparent='" PARENT "'\"", TRACE_CARRIER_STRING, false},
    {"\"traceparent='" PARENT "\"", TRACE_CARRIER_NONE, false},
    {"\"traceparent='00-1-2-01'\"", TRACE_CARRIER_NONE, false},
    {"\"traceparent=" PARENT "\"", TRACE_CARRIER_NONE, false},
    {"\"traceparent='\"", TRACE_CARRIER_NONE, false},
    {"\"dde='\"", TRACE_CARRIER_NONE, false},
};

static void find(bson_t *command, struct trace_found *found)
{
    struct scan_element comment;
    assert_true(scan_find(support_bytes(command), "comment", &comment));
    trace_comment_read(&comment, found);
}

static void comments_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof comments / sizeof comments[0]; i++) {
        char json[600];
        struct trace_found found;
        (void)snprintf(json, sizeof json, "{\"comment\":%s}", comments[i].comment);
        bson_t *command = support_json(json);
        find(command, &found);
        if (found.carrier != comments[i].carrier || found.alone != comments[i].alone)
            fail_msg("%s: carrier %d, alone %d", json, (int)found.carrier, found.alone);
        if (found.carrier != TRACE_CARRIER_NONE)
            assert_true(found.context.sampled && found.context.trace_id[0] == 0x4b);
        bson_destroy(command);
    }
}

static void a_long_comment_is_not_read(void **state)
{
    (void)state;
    struct trace_found found;
    static char filler[TRACE_COMMENT_BYTES_MAX];
    memset(filler, 'x', sizeof filler - 1);
    bson_t *command = bson_new();
    bson_t comment;
    BSON_APPEND_DOCUMENT_BEGIN(command, "comment", &comment);
    BSON_APPEND_UTF8(&comment, "traceparent", PARENT);
    BSON_APPEND_UTF8(&comment, "tracestate", filler);
    bson_append_document_end(command, &comment);
    find(command, &found);
    assert_int_equal(found.carrier, TRACE_CARRIER_NONE);
    bson_destroy(command);
}

static void sections_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool good;
    } sections[] = {
        {"{\"otel\":{\"traceparent\":\"" PARENT "\"}}", true},
        {"{\"other\":1,\"otel\":{\"x\":1,\"traceparent\":\"" PARENT "\"}}", true},
        {"{\"otel\":{\"traceparent\":\"x\"}}", false},
        {"{\"otel\":{}}", false},
        {"{\"otel\":1}", false},
        {"{}", false},
    };
    struct trace_found found;
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        bson_t *document = support_json(sections[i].json);
        trace_section_read(support_bytes(document), &found);
        assert_int_equal(found.carrier,
                         sections[i].good ? TRACE_CARRIER_SECTION : TRACE_CARRIER_NONE);
        bson_destroy(document);
    }
    trace_section_read((struct bytes){0}, &found); /* there is none */
    assert_int_equal(found.carrier, TRACE_CARRIER_NONE);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct trace_context context;
    struct trace_found found;
    struct bytes document;
    struct scan_element comment;
    uint8_t section[TRACE_SECTION_BYTES];
    assert_true(trace_context_read(PARENT, TRACE_PARENT_CHARS, &context));
    for (int carrier = TRACE_CARRIER_DOCUMENT; carrier <= TRACE_CARRIER_STRING; carrier++) {
        struct build build;
        build_begin(&build, SIZE_MAX);
        trace_comment_write(&build, (enum trace_carrier)carrier, &context);
        assert_true(build_finish(&build, &document));
        assert_true(scan_find(document, "comment", &comment));
        trace_comment_read(&comment, &found);
        assert_int_equal(found.carrier, carrier);
        assert_true(found.alone);
        assert_memory_equal(&found.context, &context, sizeof context);
        build_free(&build);
    }
    document = trace_section_write(&context, section);
    assert_true(validate_document(document, NULL));
    trace_section_read(document, &found);
    assert_int_equal(found.carrier, TRACE_CARRIER_SECTION);
    assert_memory_equal(&found.context, &context, sizeof context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_are_read),
        cmocka_unit_test(a_long_comment_is_not_read),
        cmocka_unit_test(sections_are_read),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
