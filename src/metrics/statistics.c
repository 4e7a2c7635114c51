#include "metrics/statistics.h"

#include "base/log.h"

void statistics_log(const char *message, const struct counters *const *workers, size_t count,
                    size_t buffer_bytes)
{
    uint64_t sums[COUNTER_COUNT] = {0};
    struct log_attr attrs[COUNTER_COUNT + 3] = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        counters_sum(workers[i], sums);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        attrs[n++] = LOG_INT(counters_name((enum counter)i), (int64_t)sums[i]);
    attrs[n++] = LOG_INT("bufferBytesNow", (int64_t)buffer_bytes);
    attrs[n++] = LOG_INT("logLinesDropped", (int64_t)log_dropped_count());
    attrs[n] = (struct log_attr){.type = LOG_ATTR_END};
    if (log_enabled(LOG_INFO))
        log_write(LOG_INFO, LOG_CONTROL, 1040, "control", message, attrs);
}
