/* The limit on message buffers of the whole process (option memory_max). Every buffer with a peer's
 * bytes asks here before it grows. Thread-safe. */
#ifndef SLUICE_NET_BUDGET_H
#define SLUICE_NET_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/spare.h"

struct budget {
    _Atomic size_t limit_bytes; /* may change at any time, also to less than the used bytes */
    _Atomic size_t used_bytes;  /* with the spare block */
    struct spare spare;         /* of the buffers; freed before the budget refuses */
    /* Asked for room before the budget refuses: frees some of its bytes, at most a little more than
     * `bytes`, and returns their number, or 0. Runs on any thread and takes nothing from the
     * budget. Set it before the second thread starts, or leave it NULL. */
    size_t (*reclaim)(void *arg, size_t bytes);
    void *reclaim_arg;
};

/* False, without any effect, if the limit would be exceeded. Large requests are refused a little
 * below the limit, so that large messages leave room for small ones. */
bool budget_take(struct budget *budget, size_t bytes);
void budget_give_back(struct budget *budget, size_t bytes);

/* The bytes in use, without the spare block. */
size_t budget_used(const struct budget *budget);

/* True if more than half of the limit is used: callers then release what they can make again. */
bool budget_is_short(const struct budget *budget);

/* Frees the spare block if it is old, or in any case. */
void budget_drop_old_spare(struct budget *budget, int64_t now_ms);
void budget_drop_spare(struct budget *budget);

#endif
