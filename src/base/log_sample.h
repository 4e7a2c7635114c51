/* Log lines that one client's input can cause again and again: the first few of a kind in a period
 * are written, the rest are counted, and one line says how many they were. What is exact are the
 * counters; a log that is filled at will tells nobody anything. Thread-safe.
 *
 *   LOG_SAMPLED(LOG_WARNING, LOG_SCHEMA, 3010, ns, "conn17", "A document breaks …", LOG_STR(…));
 *
 * A kind is the line's id with a text: of whom or what it is. Kinds beyond those that the table has
 * room for in one period count as one kind for each id. */
#ifndef SLUICE_BASE_LOG_SAMPLE_H
#define SLUICE_BASE_LOG_SAMPLE_H

#include "base/log.h"

/* `first` lines of a kind in a period; 0: all. Options log.sample_first, log.sample_period_ms. */
void log_sample_configure(int64_t first, int64_t period_ms);

/* Whether the line is to be written. Counts it otherwise. `message`: a static string. */
bool log_sample_take(enum log_level level, int id, const char *kind, const char *message);

/* Says how many lines were left out in the periods that are over; `all`: in those that are not,
 * too. To be called about once a second, and at the end. */
void log_sample_flush(bool all);

/* What log_sample_take and log_sample_flush do at a time of the caller's, for tests. */
bool log_sample_take_at(int64_t now_ms, enum log_level level, int id, const char *kind,
                        const char *message);
void log_sample_flush_at(int64_t now_ms, bool all);

/* The attributes are evaluated only where the line is written. */
#define LOG_SAMPLED(level, component, id, kind, context, message, ...)                             \
    do {                                                                                           \
        if (log_enabled(level) && log_sample_take((level), (id), (kind), (message)))               \
            log_write(                                                                             \
                (level), (component), (id), (context), (message),                                  \
                (const struct log_attr[]){__VA_ARGS__ __VA_OPT__(, ){.type = LOG_ATTR_END}});      \
    } while (0)

#endif
