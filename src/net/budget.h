/* The cap on message buffers of the whole process (option memory_max). Every buffer that holds a
 * peer's bytes asks here before it grows. Thread-safe. */
#ifndef SLUICE_NET_BUDGET_H
#define SLUICE_NET_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    _Atomic size_t limit_bytes; /* may be changed at any time, also to less than is used */
    _Atomic size_t used_bytes;
    /* What to ask for room before anything is refused: frees some of what it took here, at most a
     * little more than that, and returns how many bytes; 0: none. Any thread; it does not take from
     * the budget. Set before the first other thread, or NULL. */
    size_t (*reclaim)(void *arg, size_t bytes);
    void *reclaim_arg;
};

/* False, and nothing taken, when the limit would be passed. What is large is refused a little
 * before it, so that large messages do not keep others' small ones from coming through. */
bool budget_take(struct budget *budget, size_t bytes);
void budget_give_back(struct budget *budget, size_t bytes);

#endif
