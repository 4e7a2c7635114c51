/* Threads of a model driver: each runs on a stack of its own, and only one at a time. A fiber waits
 * by giving the stack back to the world, so the code of a driver reads like an application's. */
#ifndef SIMULATION_FIBER_H
#define SIMULATION_FIBER_H

#include <stdbool.h>
#include <stdint.h>

struct fiber;
struct world;

/* Runs run(arg) from the next event on. The fiber frees itself when run returns. */
struct fiber *fiber_start(struct world *world, void (*run)(void *arg), void *arg);
/* The running fiber; NULL: none. */
struct fiber *fiber_self(void);
/* Waits for `delay_us`, or with a negative one only for fiber_wake. False: the fiber was cancelled,
 * and must return without waiting again. */
bool fiber_wait(int64_t delay_us);
/* Ends the wait at the next event. Nothing happens if the fiber does not wait. */
void fiber_wake(struct fiber *fiber);
/* Each wait of the fiber fails from now on. Not from a fiber. The fiber has ended after the call.
 */
void fiber_cancel(struct fiber *fiber);

#endif
