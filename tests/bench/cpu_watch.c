#include "bench/cpu_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/clock.h"

static uint64_t used_ns(clockid_t clock)
{
    struct timespec used = {0};
    if (clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * CLOCK_NS_A_SECOND + (uint64_t)used.tv_nsec;
}

bool cpu_watch_read(const char *text, struct cpu_watch *watch)
{
    *watch = (struct cpu_watch){0};
    for (;;) {
        char *end = NULL;
        long pid = strtol(text, &end, 10);
        bool listed = end != text && pid > 0 && (*end == ',' || *end == '\0');
        if (!listed || watch->count == CPU_WATCH_MOST ||
            clock_getcpuclockid((pid_t)pid, &watch->clocks[watch->count]) != 0)
            return false;
        watch->pids[watch->count++] = (pid_t)pid;
        if (*end == '\0')
            return true;
        text = end + 1;
    }
}

void cpu_watch_begin(struct cpu_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        watch->used_ns[i] = used_ns(watch->clocks[i]);
}

void cpu_watch_end(struct cpu_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        uint64_t now = used_ns(watch->clocks[i]);
        watch->used_ns[i] = now > watch->used_ns[i] ? now - watch->used_ns[i] : 0;
    }
}

void cpu_watch_between(struct cpu_watch *watch, uint64_t begin_ns, uint64_t end_ns)
{
    clock_sleep_until(begin_ns);
    cpu_watch_begin(watch);
    clock_sleep_until(end_ns);
    cpu_watch_end(watch);
}

void cpu_watch_print(const struct cpu_watch *watch)
{
    fputs("\"cpu_seconds\": {", stdout);
    for (size_t i = 0; i < watch->count; i++)
        printf("%s\"%ld\": %.6f", i > 0 ? ", " : "", (long)watch->pids[i],
               (double)watch->used_ns[i] / (double)CLOCK_NS_A_SECOND);
    putchar('}');
}
