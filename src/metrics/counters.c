#include "metrics/counters.h"

const char *counters_name(enum counter which)
{
#define COUNTERS_NAME(identifier, name) name,
    static const char *const names[] = {COUNTERS_LIST(COUNTERS_NAME)};
#undef COUNTERS_NAME
    return names[which];
}

void counters_sum(const struct counters *from, uint64_t into[COUNTER_COUNT])
{
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        into[i] += atomic_load_explicit(&from->values[i], memory_order_relaxed);
}
