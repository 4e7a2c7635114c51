/* The counters of a worker's merging. Only its thread writes them; every thread may read them. */
#ifndef SLUICE_MERGE_MERGE_COUNTERS_H
#define SLUICE_MERGE_MERGE_COUNTERS_H

#include <stdatomic.h>

#include "merge/grouping.h"
#include "metrics/histogram.h"

/* …_NOW and OLDEST_SINCE_US are gauges. */
enum merger_counter {
    MERGER_AT_ONCE, /* no insert of the key was in flight */
    MERGER_WAITED,
    MERGER_PASSED, /* not merged; the reasons are counted separately */
    MERGER_REJECTED,
    MERGER_OF_SCHEMA, /* a schema refused a document of it */
    MERGER_BATCHES,   /* of several inserts */
    MERGER_BATCH_INSERTS,
    MERGER_BATCH_DOCS,
    MERGER_BATCH_BYTES,
    MERGER_LONE, /* waited, and went unchanged */
    MERGER_FLUSH_IDLE,
    MERGER_FLUSH_COUNT,
    MERGER_FLUSH_BYTES,
    MERGER_FLUSH_TIMER,
    MERGER_FLUSH_DRAIN,
    MERGER_STALLED,    /* in flight for so long that others went on */
    MERGER_SENT_ALONE, /* after the server refused the batch as a whole */
    MERGER_BATCHES_RESENT,
    MERGER_BATCHES_LOST,
    MERGER_BATCHES_UNREADABLE, /* replies without a valid meaning */
    MERGER_BATCHES_UNCERTAIN,  /* failed in progress, without numbers for questions */
    MERGER_FOUND_OUT, /* inserts that the proxy asked for, because the batch's answer was not
                         certain */
    MERGER_RETRIES_WAITED,
    MERGER_RETRIES_REPLAYED,
    MERGER_RETRIES_RESENT, /* alone, under the batch's number */
    MERGER_RETRIES_TOO_OLD,
    MERGER_SESSIONS_MADE,
    MERGER_SESSIONS_RETIRED,
    MERGER_GROUPS_NOW,
    MERGER_WAITING_NOW,
    MERGER_HELD_BYTES_NOW,  /* of waiting commands, until they are answered */
    MERGER_OLDEST_SINCE_US, /* the arrival of the oldest waiting insert; 0: none */
    MERGER_COUNTER_COUNT
};

struct merger_counters {
    _Atomic uint64_t values[MERGER_COUNTER_COUNT];
    _Atomic uint64_t bars[GROUPING_BAR_COUNT]; /* of passed inserts */
    struct histogram docs;                     /* of a batch */
    struct histogram bytes;                    /* of a batch's documents */
    struct histogram waited_us;                /* by the oldest insert of each flush */
};

struct merger_sums {
    uint64_t values[MERGER_COUNTER_COUNT]; /* OLDEST_SINCE_US: the smallest value except 0 */
    uint64_t bars[GROUPING_BAR_COUNT];
    struct histogram_totals docs;
    struct histogram_totals bytes;
    struct histogram_totals waited_us;
};

/* Any thread: adds all values of `from` to the plain sums. */
void merger_counters_sum(const struct merger_counters *from, struct merger_sums *into);

/* For the owner's thread: a single writer needs no locked instruction. */
static inline void merger_bump(_Atomic uint64_t *value, uint64_t n)
{
    uint64_t now = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, now + n, memory_order_relaxed);
}

#endif
