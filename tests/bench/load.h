/* One thread of the load generator: its connections, each of which sends a request, waits for the
 * whole reply and sends the next (a closed loop, as a driver's connection does). With a pace each
 * connection's requests are due at fixed times, and latencies count from those: so the latency
 * includes the wait before the request could be sent. */
#ifndef SLUICE_BENCH_LOAD_H
#define SLUICE_BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/cpu_watch.h"
#include "bench/histogram.h"
#include "bench/request.h"

#define LOAD_REASON_BYTES 256
#define LOAD_MORE_NS      (UINT64_C(3) * 1000000000)

struct load_options {
    struct sockaddr_storage address;
    socklen_t address_len;
    struct request_options request;
    size_t connections;
    size_t active;         /* the first ones; the others stay idle */
    uint64_t first_number; /* of its documents' _ids; loads must not overlap */
    uint64_t operations;   /* 0: until the time is over */
    /* Operations answered in the warm-up are not counted. The warm-up lasts so long, and until so
     * many operations are answered, but at most LOAD_MORE_NS longer; so does the counted time. */
    uint64_t warmup_ns;
    uint64_t warmup_answers;
    uint64_t run_ns;
    uint64_t run_answers;
    uint64_t pace_ns;   /* between the requests of one connection; 0: as fast as the replies come */
    uint8_t compressor; /* of requests; WIRE_COMPRESSOR_NOOP: none */
    bool tls;
    struct cpu_watch *cpu; /* begins and ends with the time that counts; borrowed; NULL: none */
};

struct load_result {
    struct histogram latencies; /* nanoseconds, of operations without an error */
    struct histogram waits;     /* nanoseconds: one connection's mean latency, for each of them */
    uint64_t sent;              /* commands, including those of the warm-up */
    uint64_t errors;
    uint64_t lost_connections;      /* that broke after their hello */
    uint64_t elapsed_ns;            /* of the counted ones */
    char reason[LOAD_REASON_BYTES]; /* of the first error or failure; "" if none */
};

struct load;

/* NULL without memory, or if the request cannot be made. */
struct load *load_make(const struct load_options *options, struct load_result *result);
/* Closes the connections. */
void load_free(struct load *load);

/* Opens the connections and sends hello on each. Returns the number of ready connections; the
 * result holds the reason if one is not ready. */
size_t load_connect(struct load *load);

/* Runs the load over the ready connections, and fills the result. */
void load_run(struct load *load);

/* Leaves the connections idle for that time. Returns how many are still open after it. */
size_t load_hold(struct load *load, uint64_t hold_ns);

#endif
