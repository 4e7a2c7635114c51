/* A turn of a worker's loop serves each ready event once. Light work comes first. Heavy work that
 * finds the turn spent waits for the end of the turn. There a little of it is done, first come,
 * first served, so nobody waits for much of another's work, and nobody starves. */
#ifndef SLUICE_NET_TURN_H
#define SLUICE_NET_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "net/outbox.h"

/* A turn, or one callback in it, starts more work only within this time: two or three reads of 256
 * KiB. At 150 µs, clients with large messages paid a twentieth more CPU for waiting. If the turn is
 * spent, work in portions continues for TURN_SLICE_US, so that many clients that start such work at
 * once do not make the turn long. */
enum { TURN_HEAVY_US = 250, TURN_SLICE_US = 50 };

struct turn_waiter {
    struct turn_waiter *prev, *next; /* of the turn's list */
    void (*run)(void *arg);
    void *arg;
    bool waits;
};

/* Zeroed before use. */
struct turn {
    struct turn_waiter *waiters;          /* utlist */
    int64_t began_us;                     /* 0: no callback in it yet */
    int64_t now_us;                       /* the start of the running callback */
    struct outbox outbox;                 /* of the links; empty between two turns */
    void (*send_held)(struct turn *turn); /* empties it; set before the first entry */
};

/* Call it at the start of each callback. */
static inline void turn_note(struct turn *turn)
{
    turn->now_us = clock_now_us();
    if (turn->began_us == 0)
        turn->began_us = turn->now_us;
}

/* True if heavy work must wait. */
static inline bool turn_is_spent(const struct turn *turn)
{
    return turn->waiters != NULL || turn->now_us - turn->began_us >= TURN_HEAVY_US;
}

/* True if the running callback may start more work. */
static inline bool turn_has_time(const struct turn *turn)
{
    return clock_now_us() - turn->now_us < TURN_HEAVY_US;
}

/* True if work of the running callback may continue now; false if it must wait for its next
 * portion. */
static inline bool turn_may_go_on(const struct turn *turn)
{
    int64_t most = turn_is_spent(turn) ? TURN_SLICE_US : TURN_HEAVY_US;
    return clock_now_us() - turn->now_us < most;
}

/* Calls its `run` once, at the end of this turn or a later one. */
void turn_wait(struct turn *turn, struct turn_waiter *waiter);
void turn_forget(struct turn *turn, struct turn_waiter *waiter);

/* All ready events are served: sends what the links hold, and runs at least one waiter. If waiters
 * are left or wait again, they must not wait for an event: the next turn follows at once. Returns
 * the length of the turn, and 0 if nothing happened in it. */
int64_t turn_end(struct turn *turn);

#endif
