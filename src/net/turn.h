/* A turn of a worker's loop: each event that is ready is served once. Light work comes first;
 * heavy work that finds the turn spent waits for its end, where a little of it is done, first come
 * first served: so none is behind much of another's work, and none starves. */
#ifndef SLUICE_NET_TURN_H
#define SLUICE_NET_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/clock.h"

/* How long a turn, or one callback in it, may have taken for more work to be begun: two or three
 * reads of 256 KiB. At 150 those who send large messages paid a twentieth more CPU for waiting.
 * Work that goes on in portions goes on for TURN_SLICE_US where the turn is spent: many who begin
 * such work at once must not make the turn as long as they are many. */
enum { TURN_HEAVY_US = 250, TURN_SLICE_US = 50 };

struct turn_waiter {
    struct turn_waiter *prev, *next; /* of the turn's list */
    void (*run)(void *arg);
    void *arg;
    bool waits;
};

/* Zeroed before use. */
struct turn {
    struct turn_waiter *waiters; /* utlist */
    int64_t began_us;            /* 0: nothing was called back in it yet */
    int64_t now_us;              /* when the callback that runs began */
};

/* At the beginning of each callback. */
static inline void turn_note(struct turn *turn)
{
    turn->now_us = clock_now_us();
    if (turn->began_us == 0)
        turn->began_us = turn->now_us;
}

/* Whether heavy work has to wait. */
static inline bool turn_is_spent(const struct turn *turn)
{
    return turn->waiters != NULL || turn->now_us - turn->began_us >= TURN_HEAVY_US;
}

/* Whether the callback that runs may begin more work. */
static inline bool turn_has_time(const struct turn *turn)
{
    return clock_now_us() - turn->now_us < TURN_HEAVY_US;
}

/* Whether work of the callback that runs may go on now, or is to wait for its next portion. */
static inline bool turn_may_go_on(const struct turn *turn)
{
    int64_t most = turn_is_spent(turn) ? TURN_SLICE_US : TURN_HEAVY_US;
    return clock_now_us() - turn->now_us < most;
}

/* Its `run` is called at the end of this turn or a later one, once. */
void turn_wait(struct turn *turn, struct turn_waiter *waiter);
void turn_forget(struct turn *turn, struct turn_waiter *waiter);

/* All that was ready is served: at least one that waits is run. Those that are left, or that wait
 * again, must not wait for another event: the next turn follows at once. Answers how long the turn
 * took, 0 when nothing happened in it. */
int64_t turn_end(struct turn *turn);

#endif
