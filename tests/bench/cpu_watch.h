/* The CPU time of other processes on this machine, from the kernel's scheduler: of all their
 * threads, those that have ended too. */
#ifndef SLUICE_BENCH_CPU_WATCH_H
#define SLUICE_BENCH_CPU_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CPU_WATCH_MOST 16

/* Starts zeroed. */
struct cpu_watch {
    size_t count;
    pid_t pids[CPU_WATCH_MOST];
    clockid_t clocks[CPU_WATCH_MOST];
    uint64_t used_ns[CPU_WATCH_MOST]; /* between begin and end */
};

/* Reads `PID[,PID…]`. Returns false if that is not a list of running processes, or too long. */
bool cpu_watch_read(const char *text, struct cpu_watch *watch);
void cpu_watch_begin(struct cpu_watch *watch);
/* A process that has ended since the beginning has used 0. */
void cpu_watch_end(struct cpu_watch *watch);
/* Begins and ends at these times of the monotonic clock, and returns after the end. */
void cpu_watch_between(struct cpu_watch *watch, uint64_t begin_ns, uint64_t end_ns);
/* Prints `"cpu_seconds": {"PID": seconds, …}`. */
void cpu_watch_print(const struct cpu_watch *watch);

#endif
