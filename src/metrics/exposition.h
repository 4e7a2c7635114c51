/* Writes Prometheus text ("Exposition formats", text format 0.0.4). Pure. Start each family once
 * and add all its samples after that. exposition_to_openmetrics makes OpenMetrics 1.0 of it. */
#ifndef SLUICE_METRICS_EXPOSITION_H
#define SLUICE_METRICS_EXPOSITION_H

#include "base/text.h"
#include "metrics/exemplars.h"
#include "metrics/histogram.h"

#define EXPOSITION_CONTENT_TYPE     "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct exposition_label {
    const char *name; /* NULL: no label */
    const char *value;
};

/* `type` is "counter", "gauge" or "histogram". */
void exposition_family(struct text *out, const char *name, const char *type, const char *help);

void exposition_count(struct text *out, const char *name, struct exposition_label label,
                      uint64_t value);
void exposition_real(struct text *out, const char *name, struct exposition_label label,
                     double value);
/* Adds a sample with any number of labels. */
void exposition_labelled(struct text *out, const char *name, const struct exposition_label *labels,
                         size_t count, double value);

/* The shape of a histogram's samples: buckets at the powers of two from 2^from_log2 to 2^to_log2.
 * Each value and bound is multiplied by `scale` (1e-6 for microseconds as seconds). */
struct exposition_buckets {
    unsigned from_log2;
    unsigned to_log2;
    double scale;
    const struct exemplar *exemplars; /* EXEMPLAR_SLOTS of them, only in OpenMetrics; NULL: none */
};

/* Adds the buckets, the sum and the count. */
void exposition_histogram(struct text *out, const char *name, struct exposition_label label,
                          const struct histogram_totals *totals, struct exposition_buckets buckets);

/* Writes the same as OpenMetrics: without the suffix of counters in the names of families, and with
 * an end. */
void exposition_to_openmetrics(const struct text *from, struct text *out);

/* Adds a family with one sample and no labels. */
void exposition_single(struct text *out, const char *name, const char *type, const char *help,
                       double value);

#endif
