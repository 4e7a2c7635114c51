#include "net/budget.h"

/* The initial size of a buffer: enough for a hello. */
enum { BUDGET_SMALL_BYTES = 4096 };

/* This part of the limit is reserved for small requests. */
enum { BUDGET_RESERVE_PART = 64 };

static bool take(struct budget *budget, size_t bytes, size_t *missing)
{
    size_t limit = atomic_load_explicit(&budget->limit_bytes, memory_order_relaxed);
    if (bytes > BUDGET_SMALL_BYTES)
        limit -= limit / BUDGET_RESERVE_PART;
    size_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
    do {
        if (used > limit || bytes > limit - used) {
            *missing = bytes > limit ? 0 : used - (limit - bytes);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&budget->used_bytes, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool budget_take(struct budget *budget, size_t bytes)
{
    size_t missing = 0;
    while (!take(budget, bytes, &missing))
        if (budget->reclaim == NULL || missing == 0 ||
            budget->reclaim(budget->reclaim_arg, missing) == 0)
            return false;
    return true;
}

void budget_give_back(struct budget *budget, size_t bytes)
{
    atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

bool budget_is_short(const struct budget *budget)
{
    return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) >
           atomic_load_explicit(&budget->limit_bytes, memory_order_relaxed) / 2;
}
