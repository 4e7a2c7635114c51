/* What a worker's merging did: written by its thread only, read by any. */
#ifndef SLUICE_COALESCE_MERGE_COUNTERS_H
#define SLUICE_COALESCE_MERGE_COUNTERS_H

#include <stdatomic.h>

#include "coalesce/grouping.h"
#include "metrics/histogram.h"

/* …_NOW are gauges, and OLDEST_SINCE_US. */
enum coalesce_counter {
    COALESCE_AT_ONCE, /* nothing of the key was in flight */
    COALESCE_GATHERED,
    COALESCE_PASSED, /* not merged; the reasons are counted apart */
    COALESCE_REJECTED,
    COALESCE_BATCHES, /* of several inserts */
    COALESCE_BATCH_INSERTS,
    COALESCE_BATCH_DOCS,
    COALESCE_BATCH_BYTES,
    COALESCE_LONE, /* gathered, and went as they came */
    COALESCE_FLUSH_IDLE,
    COALESCE_FLUSH_COUNT,
    COALESCE_FLUSH_BYTES,
    COALESCE_FLUSH_TIMER,
    COALESCE_FLUSH_DRAIN,
    COALESCE_STALLED,    /* in flight for so long that the others went on */
    COALESCE_SENT_ALONE, /* after the batch was refused as a whole */
    COALESCE_BATCHES_RESENT,
    COALESCE_BATCHES_LOST,
    COALESCE_BATCHES_UNREADABLE, /* replies that no sense could be made of */
    COALESCE_BATCHES_UNCERTAIN,  /* failed on the way, without numbers to find out by */
    COALESCE_FOUND_OUT, /* inserts of which the batch's answer said nothing certain: asked for */
    COALESCE_RETRIES_ATTACHED,
    COALESCE_RETRIES_REPLAYED,
    COALESCE_RETRIES_RESENT, /* alone, under the batch's number */
    COALESCE_RETRIES_TOO_OLD,
    COALESCE_SESSIONS_MADE,
    COALESCE_SESSIONS_RETIRED,
    COALESCE_GROUPS_NOW,
    COALESCE_WAITING_NOW,
    COALESCE_HELD_BYTES_NOW,  /* of gathered commands, until they are answered */
    COALESCE_OLDEST_SINCE_US, /* when the oldest waiting insert came; 0: none */
    COALESCE_COUNTER_COUNT
};

struct coalesce_counters {
    _Atomic uint64_t values[COALESCE_COUNTER_COUNT];
    _Atomic uint64_t bars[GROUPING_BAR_COUNT]; /* of those passed */
    struct histogram docs;                     /* of a batch */
    struct histogram bytes;                    /* of a batch's documents */
    struct histogram waited_us;                /* the oldest insert of each flush */
};

struct coalesce_sums {
    uint64_t values[COALESCE_COUNTER_COUNT]; /* OLDEST_SINCE_US: the least that is not 0 */
    uint64_t bars[GROUPING_BAR_COUNT];
    struct histogram_totals docs;
    struct histogram_totals bytes;
    struct histogram_totals waited_us;
};

/* Any thread: adds all of `from` to the plain sums. */
void coalesce_counters_sum(const struct coalesce_counters *from, struct coalesce_sums *into);

/* The owner only: no locked instruction is needed for one writer. */
static inline void coalesce_bump(_Atomic uint64_t *value, uint64_t n)
{
    uint64_t now = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, now + n, memory_order_relaxed);
}

#endif
