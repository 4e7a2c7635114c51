/* The command line of the load generator. */
#ifndef SLUICE_BENCH_LOAD_ARGUMENTS_H
#define SLUICE_BENCH_LOAD_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/cpu_watch.h"
#include "bench/request.h"

struct load_arguments {
    const char *host;
    const char *port;
    const char *socket; /* a path, instead of host and port; NULL: none */
    size_t connections;
    size_t active; /* 0: all */
    size_t threads;
    bool idle;
    bool json;
    bool tls;
    uint8_t compressor;
    double hold_seconds;
    double seconds;
    double warmup_seconds;
    uint64_t warmup_answers; /* for each active connection, on average */
    uint64_t answers;        /* the same */
    uint64_t operations;
    double rate;          /* total commands a second; 0: as fast as the replies come */
    struct cpu_watch cpu; /* the processes whose CPU time is asked for */
    struct request_options request;
};

/* Says on stderr which option is wrong. Strings are those of argv. */
bool load_arguments_read(int argc, char **argv, struct load_arguments *arguments);

#endif
