/* Ended trails on their way from one worker to the exporter: a bounded ring with one writer and one
 * reader. Neither waits for the other. */
#ifndef SLUICE_OTLP_TRAIL_QUEUE_H
#define SLUICE_OTLP_TRAIL_QUEUE_H

#include <stdatomic.h>

#include "trace/trail.h"

struct trail_queue {
    _Atomic size_t first; /* written by the reader */
    _Atomic size_t end;   /* written by the writer */
    size_t room;
    _Atomic uint64_t dropped; /* trails that found it full */
    struct trail *trails[];
};

/* NULL without memory. */
struct trail_queue *trail_queue_new(size_t room);
/* Frees the trails in it too. NULL is allowed. */
void trail_queue_free(struct trail_queue *queue);

/* Writer: takes the trail over; frees and counts it if the queue is full. */
void trail_queue_put(struct trail_queue *queue, struct trail *trail);
/* Reader: the oldest one, or NULL. */
struct trail *trail_queue_take(struct trail_queue *queue);

#endif
