/* The options of the null upstream. */
#ifndef SLUICE_BENCH_NULLOPTIONS_H
#define SLUICE_BENCH_NULLOPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/nullreply.h"

/* CPU time that an insert takes, in microseconds. */
enum null_cost {
    NULL_COST_COMMAND,   /* each command */
    NULL_COST_DOCUMENT,  /* each of its documents */
    NULL_COST_RETRYABLE, /* each command with a txnNumber */
    NULL_COST_STATEMENT, /* each document of such a command */
    NULL_COST_DURABLE,   /* each command that waits for the journal */
    NULL_COSTS
};

struct null_server_options {
    const char *host;
    uint16_t port;
    const char *certificate_file; /* with its key; NULL: no TLS */
    uint64_t delay_ns;
    uint64_t commit_least_ns; /* from the first write that waits to the journal's commit */
    uint64_t commit_most_ns;  /* 0: no journal */
    bool costs;
    double cpu_us[NULL_COSTS];
    struct null_options replies;
};

/* Says on stderr which option is wrong. Strings are those of argv. */
bool null_server_options_read(int argc, char **argv, struct null_server_options *options);

#endif
