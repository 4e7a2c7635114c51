/* Structured log: one JSON object per line, in MongoDB's log format
 *   {"t":{"$date":…},"s":"I","c":"NETWORK","id":1001,"ctx":"conn17","msg":"…","attr":{…}}
 * or the same as text. One write(2) writes all lines of a call, so threads do not mix lines. Never
 * pass a credential as an attribute. Thread-safe.
 *
 *   LOG_I(LOG_NETWORK, 1001, "conn17", "Connection accepted", LOG_STR("remote", addr),
 *         LOG_INT("connectionCount", n));
 *
 * Ids are stable: each id stands at one place in the source (scripts/check-log-ids.py), and
 * docs/operations.md may refer to it. */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum log_level { LOG_FATAL, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
enum log_component {
    LOG_CONTROL,
    LOG_NETWORK,
    LOG_ACCESS,
    LOG_COMMAND,
    LOG_TOPOLOGY,
    LOG_SCHEMA,
    LOG_MERGE
};

enum log_attr_type {
    LOG_ATTR_END,
    LOG_ATTR_STRING,
    LOG_ATTR_INT,
    LOG_ATTR_DOUBLE,
    LOG_ATTR_BOOL,
    LOG_ATTR_RAW_JSON
};

struct log_attr {
    const char *name;
    enum log_attr_type type;
    const char *string; /* borrowed during the call; NULL is written as null */
    int64_t integer;
    double real;
};

#define LOG_STR(n, v)  ((struct log_attr){.name = (n), .type = LOG_ATTR_STRING, .string = (v)})
#define LOG_INT(n, v)  ((struct log_attr){.name = (n), .type = LOG_ATTR_INT, .integer = (v)})
#define LOG_REAL(n, v) ((struct log_attr){.name = (n), .type = LOG_ATTR_DOUBLE, .real = (v)})
#define LOG_BOOL(n, v) ((struct log_attr){.name = (n), .type = LOG_ATTR_BOOL, .integer = (v)})
/* The value is already JSON (errInfo as extended JSON). */
#define LOG_JSON(n, v) ((struct log_attr){.name = (n), .type = LOG_ATTR_RAW_JSON, .string = (v)})

/* The maximal length of a line with its newline. A pipe accepts this length (PIPE_BUF) in one
 * piece. So lines of several processes do not mix, and a write to a writable pipe never blocks.
 * Longer lines are cut; "truncated":{name:bytes} after the attributes names the cut ones with their
 * lengths. */
enum { LOG_LINE_MAX = 4096 };

/* Sets the descriptor for the lines, their form, and the highest level. The descriptor (initially
 * 1) must stay open until log_open_file replaces it. Threads may log during the call. The call also
 * makes the process ignore SIGPIPE unless it has a handler, because a closed reader must not end
 * the proxy. */
void log_configure(int fd, enum log_format format, enum log_level level);

/* Does the same, and appends the lines to the file `path`, created with mode 0640; "" means
 * standard output. Reopens the file even if it is in use, so that a rotated file is released. On
 * error the old file stays in use. */
bool log_open_file(const char *path, enum log_format format, enum log_level level,
                   struct error *err);

bool log_enabled(enum log_level level);

/* Never waits long: if the reader does not accept a line (full disk, closed or full pipe), drops
 * and counts it. */
void log_write(enum log_level level, enum log_component component, int id, const char *context,
               const char *message, const struct log_attr *attrs /* ends with LOG_ATTR_END */);

/* The number of dropped lines since the process started, with lines that were written in part. */
uint64_t log_dropped_count(void);

#define LOG_AT(level, component, id, context, message, ...)                                        \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write(                                                                             \
                (level), (component), (id), (context), (message),                                  \
                (const struct log_attr[]){__VA_ARGS__ __VA_OPT__(, ){.type = LOG_ATTR_END}});      \
    } while (0)
#define LOG_F(component, id, context, message, ...)                                                \
    LOG_AT(LOG_FATAL, component, id, context, message, __VA_ARGS__)
#define LOG_E(component, id, context, message, ...)                                                \
    LOG_AT(LOG_ERROR, component, id, context, message, __VA_ARGS__)
#define LOG_W(component, id, context, message, ...)                                                \
    LOG_AT(LOG_WARNING, component, id, context, message, __VA_ARGS__)
#define LOG_I(component, id, context, message, ...)                                                \
    LOG_AT(LOG_INFO, component, id, context, message, __VA_ARGS__)
#define LOG_D(component, id, context, message, ...)                                                \
    LOG_AT(LOG_DEBUG, component, id, context, message, __VA_ARGS__)

#endif
