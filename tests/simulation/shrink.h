/* Makes the plan of a failed history smaller: parts go as long as the history still fails the same
 * check. Each attempt runs in a process of its own, so an assertion, a sanitizer's report or an
 * endless loop is a failure like any other. */
#ifndef SIMULATION_SHRINK_H
#define SIMULATION_SHRINK_H

#include "plan.h"

enum { SHRINK_CHECK_BYTES = 96, SHRINK_ATTEMPT_S = 30 };

/* The checks of a history that ended by a signal (or a sanitizer), and of one that did not end. */
#define SHRINK_ABORTED "the process ends well"
#define SHRINK_ENDLESS "the history ends"

/* Runs one history in a process of its own. `check` becomes the failed check; "" if all held. */
void shrink_try(const struct plan *plan, char check[SHRINK_CHECK_BYTES]);

/* Returns the number of attempts, at most `most`. */
unsigned shrink_plan(struct plan *plan, const char *check, unsigned most);

#endif
