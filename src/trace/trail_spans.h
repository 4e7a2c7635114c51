/* Encodes trails as an ExportTraceServiceRequest of OTLP. Pure. Sources: opentelemetry-proto 1.x
 * (trace.proto, common.proto); the semantic conventions for databases and MongoDB.
 *
 * A request becomes
 *   "insert orders"   SERVER, child of the client's span
 *     "wait for …"    INTERNAL: for the resume of a pause, for the pool, for the batch
 *     "insert orders" CLIENT: the upstream command; for a merged insert INTERNAL, "batch", with a
 *                     link to the batch's span
 * A batch becomes one CLIENT span in a trace of its own, with links to the spans of its requests.
 */
#ifndef SLUICE_TRACE_TRAIL_SPANS_H
#define SLUICE_TRACE_TRAIL_SPANS_H

#include "base/text.h"
#include "trace/trail.h"

/* The sender of the spans; all strings are borrowed. */
struct trail_resource {
    const char *service_name;
    const char *service_version;
    const char *instance;   /* service.instance.id */
    const char *attributes; /* "name=value,…"; values may be percent-encoded */
    int64_t wall_offset_us; /* wall-clock time minus monotonic time */
};

/* The message that all spans of the text stand in, around the spans: call trails_open, then
 * trail_add_spans for each trail, then trails_close. */
struct trails_message {
    size_t resource_spans;
    size_t scope_spans;
};
void trails_open(struct text *out, const struct trail_resource *resource,
                 struct trails_message *message);
/* Returns the number of spans. */
unsigned trail_add_spans(struct text *out, const struct trail_resource *resource,
                         const struct trail *trail);
void trails_close(struct text *out, const struct trails_message *message);

/* The number of spans that the collector rejected, by its ExportTraceServiceResponse. */
uint64_t trails_rejected(struct bytes response);

#endif
