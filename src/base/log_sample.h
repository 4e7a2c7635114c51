/* Samples log lines that one client can cause repeatedly. In each period, the first few lines of a
 * kind are written, the others are counted, and one line reports their number. The counters stay
 * exact. Thread-safe.
 *
 *   LOG_SAMPLED(LOG_WARNING, LOG_SCHEMA, 3010, ns, "conn17", "A document breaks …", LOG_STR(…));
 *
 * A kind is the id of the line with a text that names the subject. If the table is full, all
 * further kinds of a period count as one kind for each id. */
#ifndef SLUICE_BASE_LOG_SAMPLE_H
#define SLUICE_BASE_LOG_SAMPLE_H

#include "base/log.h"

/* Writes the first `first` lines of a kind in a period; 0 means all. Options log.sample_first,
 * log.sample_period_ms. */
void log_sample_configure(int64_t first, int64_t period_ms);

/* True if the caller should write the line; otherwise counts it. `message` is a static string. */
bool log_sample_take(enum log_level level, int id, const char *kind, const char *message);

/* Reports the number of lines left out in finished periods, and with `all` in the current ones too.
 * Call it about once a second and at the end. */
void log_sample_flush(bool all);

/* The same functions with the caller's time, for tests. */
bool log_sample_take_at(int64_t now_ms, enum log_level level, int id, const char *kind,
                        const char *message);
void log_sample_flush_at(int64_t now_ms, bool all);

/* Evaluates the attributes only if the line is written. */
#define LOG_SAMPLED(level, component, id, kind, context, message, ...)                             \
    do {                                                                                           \
        if (log_enabled(level) && log_sample_take((level), (id), (kind), (message)))               \
            log_write(                                                                             \
                (level), (component), (id), (context), (message),                                  \
                (const struct log_attr[]){__VA_ARGS__ __VA_OPT__(, ){.type = LOG_ATTR_END}});      \
    } while (0)

#endif
