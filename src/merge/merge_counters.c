#include "merge/merge_counters.h"

static void sum(const _Atomic uint64_t *from, uint64_t *into, size_t count)
{
    for (size_t i = 0; i < count; i++)
        into[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
}

void merger_counters_sum(const struct merger_counters *from, struct merger_sums *into)
{
    uint64_t before = into->values[MERGER_OLDEST_SINCE_US];
    uint64_t oldest =
        atomic_load_explicit(&from->values[MERGER_OLDEST_SINCE_US], memory_order_relaxed);
    sum(from->values, into->values, MERGER_COUNTER_COUNT);
    sum(from->bars, into->bars, GROUPING_BAR_COUNT);
    histogram_add(&from->docs, &into->docs);
    histogram_add(&from->bytes, &into->bytes);
    histogram_add(&from->waited_us, &into->waited_us);
    if (before == 0 || (oldest != 0 && oldest < before))
        before = oldest;
    into->values[MERGER_OLDEST_SINCE_US] = before;
}
