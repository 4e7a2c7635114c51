/* Trace contexts inside commands. Pure. Three carriers exist:
 *
 *   comment: {traceparent: "00-…", tracestate: "…"}    OpenTelemetry's semantic conventions for
 *                                                       MongoDB, in development (issue 3926)
 *   comment: "dddbs='shop',…,traceparent='00-…'"       Datadog's Database Monitoring: pairs in the
 *                                                       form of SQLCommenter
 *   a telemetry section, {otel: {traceparent: "00-…"}}  drivers, to servers with maxWireVersion 29
 *                                                       (driver specification "OpenTelemetry") */
#ifndef SLUICE_TRACE_TRACE_COMMENT_H
#define SLUICE_TRACE_TRACE_COMMENT_H

#include "bson/build.h"
#include "bson/scan.h"
#include "trace/trace_context.h"

/* The proxy does not look into longer comments. */
enum { TRACE_COMMENT_BYTES_MAX = 4096 };

enum trace_carrier {
    TRACE_CARRIER_NONE,
    TRACE_CARRIER_DOCUMENT,
    TRACE_CARRIER_STRING,
    TRACE_CARRIER_SECTION
};

struct trace_found {
    enum trace_carrier carrier; /* NONE: there is no context */
    bool alone;                 /* the comment holds nothing else: nobody but a tracer reads it */
    struct trace_context context;
};

/* Reads the value of a field `comment`. A malformed context is no context. */
void trace_comment_read(const struct scan_element *comment, struct trace_found *out);

/* Reads the document of a telemetry section. */
void trace_section_read(struct bytes document, struct trace_found *out);

/* Writes the document of a telemetry section; returns it. */
enum { TRACE_SECTION_BYTES = 96 };
struct bytes trace_section_write(const struct trace_context *context,
                                 uint8_t out[TRACE_SECTION_BYTES]);

/* Writes the field `comment` for this carrier, DOCUMENT or STRING. */
void trace_comment_write(struct build *body, enum trace_carrier carrier,
                         const struct trace_context *context);

#endif
