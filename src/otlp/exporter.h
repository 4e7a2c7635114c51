/* Sends trails as spans to an OpenTelemetry collector: OTLP over HTTP, protobuf. It has a thread of
 * its own; workers only put trails into their queues. Source: OTLP specification 1.x, "OTLP/HTTP".
 */
#ifndef SLUICE_OTLP_EXPORTER_H
#define SLUICE_OTLP_EXPORTER_H

#include "base/error.h"
#include "otlp/exporter_options.h"
#include "otlp/trail_queue.h"

struct exporter;

/* One queue for each worker, with room for `room` trails. NULL without memory. */
struct exporter *exporter_create(unsigned queues, size_t room);
struct trail_queue *exporter_queue(struct exporter *exporter, unsigned index);

/* Starts exporting, or goes on with other options. On false, the options before stay in force. One
 * thread calls it. */
bool exporter_configure(struct exporter *exporter, const struct exporter_options *options,
                        struct error *err);

/* Sends the trails that wait, for at most two seconds, then ends. No worker uses a queue any more.
 * NULL is allowed. */
void exporter_stop(struct exporter *exporter);

struct exporter_figures {
    uint64_t exported;       /* spans that the collector accepted */
    uint64_t rejected;       /* spans that it did not accept */
    uint64_t lost;           /* spans that it could not be told */
    uint64_t dropped_traces; /* requests and batches that found a full queue */
    uint64_t failures;       /* requests to the collector without success */
};
/* Any thread. */
void exporter_read_figures(const struct exporter *exporter, struct exporter_figures *out);

#endif
