#include "metrics/histogram.h"

uint64_t histogram_bound(size_t index)
{
    if (index >= HISTOGRAM_BUCKETS - 1)
        return UINT64_MAX;
    if (index < 4)
        return index + 1;
    return (uint64_t)(5 + index % 4) << (index / 4 - 1);
}

void histogram_add(const struct histogram *from, struct histogram_totals *into)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&from->buckets[i], memory_order_relaxed);
        into->buckets[i] += n;
        into->count += n;
    }
    into->sum += atomic_load_explicit(&from->sum, memory_order_relaxed);
}

void histogram_subtract(const struct histogram_totals *now, const struct histogram_totals *before,
                        struct histogram_totals *out)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        out->buckets[i] = now->buckets[i] - before->buckets[i];
    out->count = now->count - before->count;
    out->sum = now->sum - before->sum;
}

double histogram_quantile(const struct histogram_totals *totals, double q)
{
    double rank = q * (double)totals->count;
    double seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS && totals->count > 0; i++) {
        double here = (double)totals->buckets[i];
        double low = i == 0 ? 0 : (double)histogram_bound(i - 1);
        if (here > 0 && seen + here >= rank)
            return i == HISTOGRAM_BUCKETS - 1
                       ? low
                       : low + ((double)histogram_bound(i) - low) * (rank - seen) / here;
        seen += here;
    }
    return 0;
}
