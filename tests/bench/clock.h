/* Clocks, in nanoseconds: the monotonic one, and those of CPU time. */
#ifndef SLUICE_BENCH_CLOCK_H
#define SLUICE_BENCH_CLOCK_H

#include <errno.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NS_A_SECOND UINT64_C(1000000000)

static inline uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_A_SECOND + (uint64_t)now.tv_nsec;
}

static inline void clock_sleep_until(uint64_t ns)
{
    const struct timespec until = {.tv_sec = (time_t)(ns / CLOCK_NS_A_SECOND),
                                   .tv_nsec = (long)(ns % CLOCK_NS_A_SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* The CPU time that this thread has used. */
static inline uint64_t clock_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * CLOCK_NS_A_SECOND + (uint64_t)now.tv_nsec;
}

#endif
