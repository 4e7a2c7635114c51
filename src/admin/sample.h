/* The figures of the last minutes: one sample per second, from the counters of all workers. Pure:
 * readings in, rates out. The dashboard, `top` and `status` show these samples. */
#ifndef SLUICE_ADMIN_SAMPLE_H
#define SLUICE_ADMIN_SAMPLE_H

#include "base/json.h"
#include "metrics/counters.h"
#include "metrics/histogram.h"

enum { SAMPLES_KEPT = 300 };

/* Sums over all workers and schemas since the start. */
struct metrics_reading {
    int64_t at_us; /* monotonic */
    uint64_t counters[COUNTER_COUNT];
    uint64_t passed;  /* documents */
    uint64_t refused; /* documents */
    uint64_t warned;
    struct histogram_totals upstream_us;
    struct histogram_totals batch_documents;
    /* now */
    uint32_t running;
    uint32_t waiting; /* connecting, for a pool, or held by a pause */
};

/* The events of about one second, as rates per second. */
struct sample {
    int64_t at_ms; /* since 1970 */
    double requests;
    double replies;
    double request_bytes;
    double reply_bytes;
    double errors; /* refused requests and connections that an error ended */
    double passed;
    double refused;
    double warned;
    double latency_p50_ms;
    double latency_p95_ms;
    double latency_p99_ms;
    double batches;
    double batch_documents; /* on average; 0 without a batch */
    uint64_t clients;
    uint64_t running;
    uint64_t waiting;
};

struct samples {
    struct metrics_reading last; /* at_us 0: none yet */
    size_t count;                /* taken since the start */
    struct sample kept[SAMPLES_KEPT];
};

/* Makes a sample of the time since the last reading; the first call only keeps the reading. */
void samples_take(struct samples *samples, const struct metrics_reading *reading, int64_t unix_ms);
/* The newest sample; NULL before the first one. */
const struct sample *samples_newest(const struct samples *samples);

/* Writes {"columns":[…],"rows":[[…],…]} with the samples after this time, oldest first. */
void samples_write(const struct samples *samples, int64_t after_ms, const char *name,
                   struct json *json);
/* Writes the same fields as an object; null for no sample. */
void sample_write(const struct sample *sample, const char *name, struct json *json);

#endif
