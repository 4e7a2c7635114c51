/* The counters of all workers as one log line. */
#ifndef SLUICE_METRICS_STATISTICS_H
#define SLUICE_METRICS_STATISTICS_H

#include "metrics/counters.h"

/* buffer_bytes: what all buffers take now. */
void statistics_log(const char *message, const struct counters *const *workers, size_t count,
                    size_t buffer_bytes);

#endif
