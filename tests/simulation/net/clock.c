/* The clock of the simulated process: that of the world. Within a turn it goes on with each look,
 * mostly by a microsecond, and now and then by so much that a turn is spent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "process.h"

enum { STARTED_S = 1000 };
enum { COARSE_US = 4000 };
enum { LOOKS_MOST = 1000 * 1000 };

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

int64_t process_clock_us(void)
{
    struct process *process = the_process;
    int64_t us = world_now_us(process->world) + process->turn_cost_us;
    if (us < process->stands_until_us)
        us = process->stands_at_us;
    else if (process->stands_until_us > 0) {
        process->lag_us +=
            process->catches_up ? 0 : process->stands_until_us - process->stands_at_us;
        process->stands_until_us = 0;
    }
    us -= process->lag_us;
    if (us > process->last_us)
        process->last_us = us;
    return process->last_us + STARTED_S * INT64_C(1000000);
}

static bool stands(void)
{
    (void)process_clock_us(); /* notes its end */
    return the_process->stands_until_us > 0;
}

void process_clock_stand(int64_t lasts_us, bool catches_up)
{
    struct process *process = the_process;
    if (stands())
        return;
    process->stands_at_us = world_now_us(process->world);
    process->stands_until_us = process->stands_at_us + lasts_us;
    process->catches_up = catches_up;
    loops_move_timers(catches_up ? 0 : lasts_us, process->stands_until_us);
}

void process_clock_leap(int64_t by_us)
{
    the_process->lag_us -= by_us;
    loops_move_timers(-by_us, the_process->stands_until_us);
}

int64_t process_clock_wait(int64_t us)
{
    struct process *process = the_process;
    if (!stands())
        return us;
    int64_t left_us = process->stands_until_us - world_now_us(process->world);
    int64_t stood_us = world_now_us(process->world) - process->stands_at_us;
    if (!process->catches_up)
        return us + left_us;
    return us - stood_us > left_us ? us - stood_us : left_us;
}

void process_clock_begin_turn(void)
{
    struct process *process = the_process;
    process->turn_cost_us = 0;
    process->looks = 0;
    process->call_cost_us =
        stream_chance(&process->timing, 25) ? 20 + (int64_t)stream_below(&process->timing, 200) : 1;
}

int64_t process_clock_end_turn(void)
{
    int64_t cost_us = the_process->turn_cost_us;
    the_process->turn_cost_us = 0;
    the_process->call_cost_us = 0;
    return cost_us;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (the_process == NULL)
        return __real_clock_gettime(clock, out);
    if (++the_process->looks > LOOKS_MOST) {
        (void)fputs("simulate: a turn waits for the clock, which stands still\n", stderr);
        abort();
    }
    int64_t us = process_clock_us();
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        us += world_wall_us(the_process->world) - world_now_us(the_process->world);
    else if (clock == CLOCK_MONOTONIC_COARSE)
        us -= us % COARSE_US;
    else
        the_process->turn_cost_us += the_process->call_cost_us;
    out->tv_sec = (time_t)(us / 1000000);
    out->tv_nsec = (long)(us % 1000000) * 1000;
    return 0;
}
