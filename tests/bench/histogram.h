/* Latencies as a log-linear histogram: every power of two is cut into HISTOGRAM_STEPS equal steps,
 * so the error of a value is below 1 % at any size, in a fixed amount of memory. Units are the
 * caller's (nanoseconds here). Not thread-safe: one histogram for each thread, merged at the end.
 */
#ifndef SLUICE_BENCH_HISTOGRAM_H
#define SLUICE_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEP_BITS 7
#define HISTOGRAM_STEPS     (1U << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_MAX_BITS  42 /* 2^42 ns are 73 minutes; larger values count as that */
#define HISTOGRAM_BUCKETS   ((size_t)(HISTOGRAM_MAX_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t min; /* exact; 0 while empty */
    uint64_t max; /* exact */
    uint64_t sum;
};

void histogram_reset(struct histogram *histogram);
void histogram_record(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* Returns the smallest recorded value that at least `percent` of all values do not exceed, rounded
 * up to the histogram's precision; never above the maximum. 0 while empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);
double histogram_mean(const struct histogram *histogram);

#endif
