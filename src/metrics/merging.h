/* Figures about merged writes: written by the worker that merges, read by any. */
#ifndef SLUICE_METRICS_MERGING_H
#define SLUICE_METRICS_MERGING_H

#include "metrics/histogram.h"

/* X(identifier, name as shown): why a batch went to the server. */
#define MERGING_FLUSH_LIST(X)                                                                      \
    X(IDLE, "idle")                                                                                \
    X(COUNT, "count")                                                                              \
    X(BYTES, "bytes")                                                                              \
    X(TIMER, "timer")                                                                              \
    X(DRAIN, "drain")

#define MERGING_IDENTIFIER(identifier, name) MERGING_FLUSH_##identifier,
enum merging_flush { MERGING_FLUSH_LIST(MERGING_IDENTIFIER) MERGING_FLUSHES };
#undef MERGING_IDENTIFIER

struct merging_metrics {
    _Atomic uint64_t flushes[MERGING_FLUSHES];
    struct histogram batch_documents;
    struct histogram batch_bytes;
    struct histogram linger_us;        /* how long documents waited in their batch */
    _Atomic uint64_t waiting;          /* gauge: writes that wait in a batch */
    _Atomic uint64_t retry_entries;    /* gauge: of the retry table */
    _Atomic uint64_t retries_answered; /* from the retry table */
};

/* The owner only: a batch goes to the server. */
void merging_note_batch(struct merging_metrics *metrics, enum merging_flush reason,
                        uint64_t documents, uint64_t bytes);

const char *merging_flush_name(enum merging_flush reason);

#endif
