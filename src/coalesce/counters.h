/* What a worker's merging did: written by its thread only, read by any. */
#ifndef SLUICE_COALESCE_COUNTERS_H
#define SLUICE_COALESCE_COUNTERS_H

#include <stdatomic.h>

#include "coalesce/grouping.h"
#include "metrics/histogram.h"

/* X(identifier, name as shown). "…Now" are gauges. */
#define COALESCE_COUNTERS(X)                                                                       \
    X(AT_ONCE, "insertsAtOnce") /* nothing of the key was in flight */                             \
    X(GATHERED, "insertsGathered")                                                                 \
    X(PASSED, "insertsPassed") /* not merged; the reasons are counted apart */                     \
    X(REJECTED, "insertsRejected")                                                                 \
    X(BATCHES, "batches") /* of several inserts */                                                 \
    X(BATCH_INSERTS, "batchInserts")                                                               \
    X(BATCH_DOCS, "batchDocs")                                                                     \
    X(BATCH_BYTES, "batchBytes")                                                                   \
    X(LONE, "batchesOfOne") /* gathered, and went as they came */                                  \
    X(FLUSH_IDLE, "flushesIdle")                                                                   \
    X(FLUSH_COUNT, "flushesCount")                                                                 \
    X(FLUSH_BYTES, "flushesBytes")                                                                 \
    X(FLUSH_TIMER, "flushesTimer")                                                                 \
    X(FLUSH_DRAIN, "flushesDrain")                                                                 \
    X(STALLED, "stalled")             /* in flight for so long that the others went on */          \
    X(SENT_ALONE, "insertsSentAlone") /* after the batch was refused as a whole */                 \
    X(BATCHES_RESENT, "batchesResent")                                                             \
    X(BATCHES_LOST, "batchesLost")                                                                 \
    X(BATCHES_UNREADABLE, "batchesUnreadable") /* replies that no sense could be made of */        \
    X(RETRIES_ATTACHED, "retriesAttached")                                                         \
    X(RETRIES_REPLAYED, "retriesReplayed")                                                         \
    X(RETRIES_RESENT, "retriesResent") /* alone, under the batch's number */                       \
    X(RETRIES_TOO_OLD, "retriesTooOld")                                                            \
    X(SESSIONS_MADE, "sessionsMade")                                                               \
    X(SESSIONS_RETIRED, "sessionsRetired")                                                         \
    X(GROUPS_NOW, "groupsNow")                                                                     \
    X(WAITING_NOW, "waitingNow")                                                                   \
    X(HELD_BYTES_NOW, "heldBytesNow")      /* of gathered commands, until they are answered */     \
    X(OLDEST_SINCE_US, "oldestSinceUsNow") /* when the oldest waiting insert came; 0: none */

#define COALESCE_IDENTIFIER(identifier, name) COALESCE_##identifier,
enum coalesce_counter { COALESCE_COUNTERS(COALESCE_IDENTIFIER) COALESCE_COUNTER_COUNT };
#undef COALESCE_IDENTIFIER

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

const char *coalesce_counter_name(enum coalesce_counter which);
/* Any thread: adds all of `from` to the plain sums. */
void coalesce_counters_sum(const struct coalesce_counters *from, struct coalesce_sums *into);

/* The owner only: no locked instruction is needed for one writer. */
static inline void coalesce_bump(_Atomic uint64_t *value, uint64_t n)
{
    uint64_t now = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, now + n, memory_order_relaxed);
}

#endif
