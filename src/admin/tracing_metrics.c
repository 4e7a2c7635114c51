#include "admin/tracing_metrics.h"

#include "metrics/exposition.h"
#include "otlp/exporter.h"

void tracing_metrics_write(const struct admin *admin, struct text *out)
{
    struct exporter_figures figures;
    exporter_read_figures(admin->parts.shared->exporter, &figures);
    exposition_single(out, "mongosluice_trace_spans_exported_total", "counter",
                      "Spans that the collector accepted.", (double)figures.exported);
    exposition_family(
        out, "mongosluice_trace_spans_dropped_total", "counter",
        "Spans that the collector did not accept, and spans that could not reach it.");
    exposition_count(out, "mongosluice_trace_spans_dropped_total",
                     (struct exposition_label){"reason", "rejected"}, figures.rejected);
    exposition_count(out, "mongosluice_trace_spans_dropped_total",
                     (struct exposition_label){"reason", "unreachable"}, figures.lost);
    exposition_single(out, "mongosluice_traces_dropped_total", "counter",
                      "Traced requests that found the queue full (option tracing.queue_max).",
                      (double)figures.dropped_traces);
    exposition_single(out, "mongosluice_trace_export_failures_total", "counter",
                      "Requests to the collector without success.", (double)figures.failures);
}
