/* What a worker's merging did: written by its thread only, read by any. */
#ifndef SLUICE_MERGE_MERGE_COUNTERS_H
#define SLUICE_MERGE_MERGE_COUNTERS_H

#include <stdatomic.h>

#include "merge/grouping.h"
#include "metrics/histogram.h"

/* …_NOW are gauges, and OLDEST_SINCE_US. */
enum merger_counter {
    MERGER_AT_ONCE, /* nothing of the key was in flight */
    MERGER_WAITED,
    MERGER_PASSED, /* not merged; the reasons are counted apart */
    MERGER_REJECTED,
    MERGER_BATCHES, /* of several inserts */
    MERGER_BATCH_INSERTS,
    MERGER_BATCH_DOCS,
    MERGER_BATCH_BYTES,
    MERGER_LONE, /* waited, and went as they came */
    MERGER_FLUSH_IDLE,
    MERGER_FLUSH_COUNT,
    MERGER_FLUSH_BYTES,
    MERGER_FLUSH_TIMER,
    MERGER_FLUSH_DRAIN,
    MERGER_STALLED,    /* in flight for so long that the others went on */
    MERGER_SENT_ALONE, /* after the batch was refused as a whole */
    MERGER_BATCHES_RESENT,
    MERGER_BATCHES_LOST,
    MERGER_BATCHES_UNREADABLE, /* replies that no sense could be made of */
    MERGER_BATCHES_UNCERTAIN,  /* failed on the way, without numbers to find out by */
    MERGER_FOUND_OUT, /* inserts of which the batch's answer said nothing certain: asked for */
    MERGER_RETRIES_WAITED,
    MERGER_RETRIES_REPLAYED,
    MERGER_RETRIES_RESENT, /* alone, under the batch's number */
    MERGER_RETRIES_TOO_OLD,
    MERGER_SESSIONS_MADE,
    MERGER_SESSIONS_RETIRED,
    MERGER_GROUPS_NOW,
    MERGER_WAITING_NOW,
    MERGER_HELD_BYTES_NOW,  /* of waiting commands, until they are answered */
    MERGER_OLDEST_SINCE_US, /* when the oldest waiting insert came; 0: none */
    MERGER_COUNTER_COUNT
};

struct merger_counters {
    _Atomic uint64_t values[MERGER_COUNTER_COUNT];
    _Atomic uint64_t bars[GROUPING_BAR_COUNT]; /* of those passed */
    struct histogram docs;                     /* of a batch */
    struct histogram bytes;                    /* of a batch's documents */
    struct histogram waited_us;                /* the oldest insert of each flush */
};

struct merger_sums {
    uint64_t values[MERGER_COUNTER_COUNT]; /* OLDEST_SINCE_US: the least that is not 0 */
    uint64_t bars[GROUPING_BAR_COUNT];
    struct histogram_totals docs;
    struct histogram_totals bytes;
    struct histogram_totals waited_us;
};

/* Any thread: adds all of `from` to the plain sums. */
void merger_counters_sum(const struct merger_counters *from, struct merger_sums *into);

/* The owner only: no locked instruction is needed for one writer. */
static inline void merger_bump(_Atomic uint64_t *value, uint64_t n)
{
    uint64_t now = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, now + n, memory_order_relaxed);
}

#endif
