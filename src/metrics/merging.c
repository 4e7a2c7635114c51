#include "metrics/merging.h"

const char *merging_flush_name(enum merging_flush reason)
{
#define MERGING_NAME(identifier, name) name,
    static const char *const names[] = {MERGING_FLUSH_LIST(MERGING_NAME)};
#undef MERGING_NAME
    return names[reason];
}

void merging_note_batch(struct merging_metrics *metrics, enum merging_flush reason,
                        uint64_t documents, uint64_t bytes)
{
    uint64_t flushes = atomic_load_explicit(&metrics->flushes[reason], memory_order_relaxed);
    atomic_store_explicit(&metrics->flushes[reason], flushes + 1, memory_order_relaxed);
    histogram_note(&metrics->batch_documents, documents);
    histogram_note(&metrics->batch_bytes, bytes);
}
