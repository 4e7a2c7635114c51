/* Monotonic time: milliseconds for timeouts, coarse (some ms), and microseconds for measuring. Both
 * are read without a system call, in about 3 ns and 20 ns; from the same origin. */
#ifndef SLUICE_NET_CLOCK_H
#define SLUICE_NET_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t clock_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
