/* Exemplars of a histogram: for each power of two, the last traced value below it. Only the owner's
 * thread writes them; every thread may read them (a sequence lock for each). */
#ifndef SLUICE_METRICS_EXEMPLARS_H
#define SLUICE_METRICS_EXEMPLARS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/histogram.h"

/* Values up to 2^0, 2^1, … 2^HISTOGRAM_BOUND_LOG2, and larger ones. */
enum { EXEMPLAR_SLOTS = HISTOGRAM_BOUND_LOG2 + 2 };
enum { EXEMPLAR_TRACE_WORDS = 2 };

struct exemplar {
    uint64_t trace_id[EXEMPLAR_TRACE_WORDS]; /* bytes in memory order */
    uint64_t span_id;
    uint64_t value;
    int64_t wall_ms; /* 0: none */
};

enum { EXEMPLAR_WORDS = sizeof(struct exemplar) / sizeof(uint64_t) };

struct exemplars {
    struct exemplar_slot {
        _Atomic uint64_t sequence; /* odd while it is written */
        _Atomic uint64_t words[EXEMPLAR_WORDS];
    } slots[EXEMPLAR_SLOTS];
};

/* For the owner's thread. */
void exemplars_note(struct exemplars *exemplars, const struct exemplar *exemplar);

/* For any thread: replaces those of `into` that are older. NULL has none. */
void exemplars_merge(const struct exemplars *from, struct exemplar into[EXEMPLAR_SLOTS]);

#endif
