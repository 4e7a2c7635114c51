/* base/log.h: the proxy's lines go into the trace of the history, if there is one. */
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "process.h"

static enum log_level level_now = LOG_INFO;

void log_configure(int fd, enum log_format format, enum log_level level)
{
    (void)fd;
    (void)format;
    level_now = level;
}

bool log_open_file(const char *path, enum log_format format, enum log_level level,
                   struct error *err)
{
    (void)path;
    (void)err;
    log_configure(1, format, level);
    return true;
}

bool log_enabled(enum log_level level)
{
    return the_process != NULL && world_traces(the_process->world) && level <= level_now;
}

uint64_t log_dropped_count(void)
{
    return 0;
}

static void add(char *line, size_t cap, const struct log_attr *attr)
{
    size_t len = strlen(line);
    if (attr->type == LOG_ATTR_INT || attr->type == LOG_ATTR_BOOL)
        (void)snprintf(line + len, cap - len, " %s=%" PRId64, attr->name, attr->integer);
    else if (attr->type == LOG_ATTR_DOUBLE)
        (void)snprintf(line + len, cap - len, " %s=%g", attr->name, attr->real);
    else
        (void)snprintf(line + len, cap - len, " %s=%s", attr->name,
                       attr->string != NULL ? attr->string : "null");
}

void log_write(enum log_level level, enum log_component component, int id, const char *context,
               const char *message, const struct log_attr *attrs)
{
    char line[1024] = "";
    (void)component;
    for (; attrs->type != LOG_ATTR_END; attrs++)
        add(line, sizeof line, attrs);
    world_trace(the_process->world, "proxy", "%c %d [%s] %s%s", "FEWID"[level], id, context,
                message, line);
}
