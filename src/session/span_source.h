/* The tracing of one worker; spans.h. */
#ifndef SLUICE_SESSION_SPAN_SOURCE_H
#define SLUICE_SESSION_SPAN_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct trail_queue;

struct span_source {
    bool on;
    bool all;                  /* sample_ratio is 1 */
    uint64_t threshold;        /* a request without a context is traced below it */
    uint64_t random;           /* state of the generator */
    struct trail_queue *queue; /* NULL: there is no exporter */
};

#endif
