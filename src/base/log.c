#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* The maximal bytes of each part of a line, so that one long part leaves room for the others. The
 * head (context and message) is far shorter than ATTRS_END. */
enum {
    CONTEXT_MAX = 128,
    MESSAGE_MAX = 1024,
    NAME_MAX_BYTES = 64,
    STRING_MAX = 1024,
    TRUNCATED_SIZE = 320,
    ATTRS_END = LOG_LINE_MAX - TRUNCATED_SIZE - 32
};

/* The time that a stuck reader may cost once. After that, lines are dropped at once until it reads
 * again. */
enum { STUCK_WAIT_MS = 20 };

static struct {
    pthread_mutex_t lock; /* guards all fields that are not atomic, and the order of lines */
    int fd;
    bool owned;   /* this file opened fd */
    bool regular; /* a file: always writable */
    bool stuck;   /* the reader did not accept the last line */
    bool torn;    /* the last line was written without its end */
    atomic_int format;
    atomic_int level;
    atomic_uint_fast64_t dropped;
} out = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .fd = STDOUT_FILENO,
    .format = LOG_FORMAT_JSON,
    .level = LOG_INFO,
};

static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

static void configure(int fd, bool owned, enum log_format format, enum log_level level)
{
    struct stat status;
    ignore_sigpipe();
    (void)pthread_mutex_lock(&out.lock);
    int old = out.owned && out.fd != fd ? out.fd : -1;
    out.fd = fd;
    out.owned = owned;
    out.regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    out.stuck = false;
    out.torn = false;
    atomic_store(&out.format, (int)format);
    atomic_store(&out.level, (int)level);
    (void)pthread_mutex_unlock(&out.lock);
    if (old >= 0)
        (void)close(old);
}

void log_configure(int fd, enum log_format format, enum log_level level)
{
    configure(fd, false, format, level);
}

bool log_open_file(const char *path, enum log_format format, enum log_level level,
                   struct error *err)
{
    if (*path == '\0') {
        configure(STDOUT_FILENO, false, format, level);
        return true;
    }
    /* Non-blocking: a FIFO without a reader must not block the start. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return error_set(err, ERROR_BAD_VALUE, "log.file: cannot open %s for writing: %s", path,
                         strerror(errno));
    configure(fd, true, format, level);
    return true;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&out.level, memory_order_relaxed);
}

uint64_t log_dropped_count(void)
{
    return atomic_load_explicit(&out.dropped, memory_order_relaxed);
}

/* -- writing -------------------------------------------------------------------------------- */

static bool is_writable(void)
{
    struct pollfd poller = {.fd = out.fd, .events = POLLOUT};
    return out.regular || poll(&poller, 1, out.stuck ? 0 : STUCK_WAIT_MS) > 0;
}

/* `line` begins with a newline. It is written only if it must end a torn line. */
static void emit(const char *line, size_t len)
{
    (void)pthread_mutex_lock(&out.lock);
    size_t skip = out.torn ? 0 : 1;
    ssize_t written = -1;
    if (is_writable()) {
        do {
            written = write(out.fd, line + skip, len - skip);
        } while (written < 0 && errno == EINTR);
    }
    bool whole = written == (ssize_t)(len - skip);
    if (written > 0)
        out.torn = !whole;
    out.stuck = !whole;
    if (!whole)
        atomic_fetch_add_explicit(&out.dropped, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&out.lock);
}

/* -- forming ------------------------------------------------------------------------------- */

/* Adds a string between two `quote`s, which may be empty; its escaped form takes at most `max`
 * bytes. Returns the number of consumed bytes. These are whole characters, and all of them unless
 * the string is cut. */
static size_t add_bounded(struct text *line, const char *quote, const char *string, size_t max)
{
    size_t around = 2 * strlen(quote);
    size_t room = line->size - line->len;
    if (line->cut || room <= around) {
        line->cut = true;
        return 0;
    }
    room -= around;
    text_add(line, quote);
    struct text part = text_over(line->data + line->len, room < max + 1 ? room : max + 1);
    size_t taken = text_add_escaped(&part, string, strlen(string));
    line->len += part.len;
    text_add(line, quote);
    return taken;
}

static size_t add_quoted(struct text *line, const char *string, size_t max)
{
    return add_bounded(line, "\"", string, max);
}

/* False if the value was cut (a string) or left out (any other value). */
static bool add_value(struct text *line, const struct log_attr *attr)
{
    if (attr->type == LOG_ATTR_INT) {
        text_format(line, "%" PRId64, attr->integer);
    } else if (attr->type == LOG_ATTR_BOOL) {
        text_add(line, attr->integer != 0 ? "true" : "false");
    } else if (attr->type == LOG_ATTR_DOUBLE && isfinite(attr->real)) {
        text_format(line, "%.15g", attr->real);
    } else if (attr->type == LOG_ATTR_DOUBLE || attr->string == NULL) {
        text_add(line, "null"); /* JSON has no infinity and no NaN */
    } else {
        size_t start = line->len;
        if (attr->type == LOG_ATTR_RAW_JSON && strpbrk(attr->string, "\r\n") == NULL) {
            text_add(line, attr->string);
            if (!line->cut)
                return true;
            text_rewind(line, start); /* a part of JSON is not valid JSON: write it as a string */
        }
        return add_quoted(line, attr->string, STRING_MAX) == strlen(attr->string);
    }
    return !line->cut;
}

/* Adds {name:value,...}. Adds each cut or omitted attribute to `truncated` as "name":bytes after a
 * comma. */
static void add_attrs(struct text *line, struct text *truncated, const struct log_attr *attrs)
{
    const char *separator = "{";
    for (; attrs->type != LOG_ATTR_END; attrs++) {
        size_t start = line->len;
        text_add(line, separator);
        (void)add_quoted(line, attrs->name, NAME_MAX_BYTES);
        text_add(line, ":");
        if (!add_value(line, attrs)) {
            size_t mark = truncated->len;
            text_add(truncated, ",");
            (void)add_quoted(truncated, attrs->name, NAME_MAX_BYTES);
            text_format(truncated, ":%zu", attrs->string == NULL ? 0 : strlen(attrs->string));
            if (truncated->cut)
                text_rewind(truncated, mark);
        }
        if (line->cut)
            text_rewind(line, start);
        else
            separator = ",";
    }
    line->size = LOG_LINE_MAX; /* the room that was reserved for the end of the line */
    text_add(line, *separator == '{' ? "{}" : "}");
}

static void add_time(struct text *line)
{
    struct tm utc;
    char seconds[32];
    int64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    (void)gmtime_r(&now, &utc);
    (void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    text_format(line, "%s.%03d+00:00", seconds, (int)(now_ms % 1000));
}

static const char *const severities[] = {"F", "E", "W", "I", "D1"};
static const char *const components[] = {"CONTROL",  "NETWORK", "ACCESS", "COMMAND",
                                         "TOPOLOGY", "SCHEMA",  "MERGE"};

/* Pads like MongoDB, so that severities, components and ids form columns. */
static void add_json_head(struct text *line, enum log_level level, enum log_component component,
                          int id, const char *context, const char *message)
{
    text_add(line, "{\"t\":{\"$date\":\"");
    add_time(line);
    text_format(line,
                "\"},\"s\":\"%s\",%*s\"c\":\"%s\",%*s\"id\":%d,%*s\"ctx\":", severities[level],
                (int)(3 - strlen(severities[level])), "", components[component],
                (int)(9 - strlen(components[component])), "", id, id < 10000 ? 4 : 3, "");
    (void)add_quoted(line, context, CONTEXT_MAX);
    text_add(line, ",\"msg\":");
    (void)add_quoted(line, message, MESSAGE_MAX);
}

static void add_text_head(struct text *line, enum log_level level, enum log_component component,
                          int id, const char *context, const char *message)
{
    add_time(line);
    text_format(line, " %-2s %-8s %d [", severities[level], components[component], id);
    (void)add_bounded(line, "", context, CONTEXT_MAX);
    text_add(line, "] ");
    (void)add_bounded(line, "", message, MESSAGE_MAX);
}

void log_write(enum log_level level, enum log_component component, int id, const char *context,
               const char *message, const struct log_attr *attrs)
{
    char buffer[1 + LOG_LINE_MAX + 1]; /* a newline that may end a torn line, the line, the NUL */
    char cut[TRUNCATED_SIZE];
    struct text line = text_over(buffer + 1, ATTRS_END);
    struct text truncated = text_over(cut, sizeof cut);
    bool json = atomic_load_explicit(&out.format, memory_order_relaxed) == LOG_FORMAT_JSON;
    if (json)
        add_json_head(&line, level, component, id, context, message);
    else
        add_text_head(&line, level, component, id, context, message);
    if (attrs->type != LOG_ATTR_END) {
        text_add(&line, json ? ",\"attr\":" : " ");
        add_attrs(&line, &truncated, attrs);
    }
    if (truncated.len > 0) {
        text_add(&line, json ? ",\"truncated\":{" : " truncated {");
        text_add(&line, truncated.data + 1);
        text_add(&line, "}");
    }
    text_add(&line, json ? "}\n" : "\n");
    buffer[0] = '\n';
    emit(buffer, line.len + 1);
}
