#include "metrics/exemplars.h"

#include <string.h>

static size_t slot_of(uint64_t value)
{
    size_t log2 = value <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(value - 1);
    return log2 < EXEMPLAR_SLOTS ? log2 : EXEMPLAR_SLOTS - 1;
}

void exemplars_note(struct exemplars *exemplars, const struct exemplar *exemplar)
{
    uint64_t words[EXEMPLAR_WORDS];
    struct exemplar_slot *slot = &exemplars->slots[slot_of(exemplar->value)];
    uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    memcpy(words, exemplar, sizeof words);
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
}

/* False while it is being written: it is then left out once. */
static bool read_slot(const struct exemplar_slot *slot, struct exemplar *out)
{
    uint64_t words[EXEMPLAR_WORDS];
    uint64_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
    for (size_t i = 0; i < EXEMPLAR_WORDS; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    memcpy(out, words, sizeof words);
    return before % 2 == 0 && before > 0 &&
           atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before;
}

void exemplars_merge(const struct exemplars *from, struct exemplar into[EXEMPLAR_SLOTS])
{
    struct exemplar exemplar;
    for (size_t i = 0; from != NULL && i < EXEMPLAR_SLOTS; i++)
        if (read_slot(&from->slots[i], &exemplar) && exemplar.wall_ms > into[i].wall_ms)
            into[i] = exemplar;
}
