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

/* Makes room that nobody misses. False: there is none. */
static bool reclaim(struct budget *budget, size_t missing)
{
    size_t spare = spare_drop(&budget->spare);
    budget_give_back(budget, spare);
    return spare > 0 || (budget->reclaim != NULL && missing > 0 &&
                         budget->reclaim(budget->reclaim_arg, missing) > 0);
}

bool budget_take(struct budget *budget, size_t bytes)
{
    size_t missing = 0;
    while (!take(budget, bytes, &missing))
        if (!reclaim(budget, missing))
            return false;
    return true;
}

void budget_give_back(struct budget *budget, size_t bytes)
{
    atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
}

size_t budget_used(const struct budget *budget)
{
    size_t spare = atomic_load_explicit(&budget->spare.bytes, memory_order_relaxed);
    size_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
    return used > spare ? used - spare : 0;
}

void budget_drop_old_spare(struct budget *budget, int64_t now_ms)
{
    budget_give_back(budget, spare_drop_old(&budget->spare, now_ms));
}

void budget_drop_spare(struct budget *budget)
{
    budget_give_back(budget, spare_drop(&budget->spare));
}

bool budget_is_short(const struct budget *budget)
{
    return budget_used(budget) >
           atomic_load_explicit(&budget->limit_bytes, memory_order_relaxed) / 2;
}
