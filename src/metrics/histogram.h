/* Histograms of a worker. Only its thread writes them; every thread may read them. They have four
 * buckets for each power of two, so a quantile is exact to an eighth. They have no unit.
 *
 * Bounds are inclusive: bucket i holds the values above histogram_bound(i - 1) up to
 * histogram_bound(i). The last bucket holds all larger values. */
#ifndef SLUICE_METRICS_HISTOGRAM_H
#define SLUICE_METRICS_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Up to 2^27: two minutes in microseconds, 134 MB in bytes. */
enum { HISTOGRAM_BOUND_LOG2 = 27, HISTOGRAM_BUCKETS = 4 * (HISTOGRAM_BOUND_LOG2 - 1) + 1 };

struct histogram {
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum;
};

/* Of one or several histograms, at one time or between two times. */
struct histogram_totals {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t sum;
};

static inline size_t histogram_index(uint64_t value)
{
    uint64_t below = value == 0 ? 0 : value - 1;
    if (below < 4)
        return (size_t)below;
    unsigned log2 = 63U - (unsigned)__builtin_clzll(below);
    size_t index = (size_t)(log2 - 1) * 4 + ((below >> (log2 - 2)) & 3);
    return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

/* For the owner's thread. */
static inline void histogram_note(struct histogram *histogram, uint64_t value)
{
    _Atomic uint64_t *bucket = &histogram->buckets[histogram_index(value)];
    uint64_t count = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    atomic_store_explicit(bucket, count + 1, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum, sum + value, memory_order_relaxed);
}

/* The largest value of a bucket; UINT64_MAX for the last bucket, which has no bound. */
uint64_t histogram_bound(size_t index);

/* For any thread: adds the present values of `from`. */
void histogram_add(const struct histogram *from, struct histogram_totals *into);

/* The difference between two readings of the same histograms. */
void histogram_subtract(const struct histogram_totals *now, const struct histogram_totals *before,
                        struct histogram_totals *out);

/* The value below which the fraction `q` (0 to 1) of all values lies, interpolated within a bucket;
 * 0 if there are none. */
double histogram_quantile(const struct histogram_totals *totals, double q);

#endif
