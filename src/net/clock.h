/* Monotonic milliseconds for timeouts: coarse (some ms), and read without a system call. */
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

#endif
