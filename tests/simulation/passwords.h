/* The present passwords of the users, over the time of a history: a user that is created anew has
 * another one. The servers change them, the drivers log in with them. */
#ifndef SIMULATION_PASSWORDS_H
#define SIMULATION_PASSWORDS_H

#include "world.h"

enum { PASSWORDS_USERS_MAX = 16 };

/* The number of the user's present password, for APPLICATION_PASS_FORMAT. */
unsigned passwords_number(const struct world *world, unsigned user);

void passwords_drop(struct world *world, unsigned user);
/* The next number: APPLICATION_PASSWORDS of them, in turn. */
void passwords_create(struct world *world, unsigned user);
/* The user exists, and neither it nor its password changed at or after this time. */
bool passwords_were_settled(const struct world *world, unsigned user, int64_t since_us);

/* A login with the present password was accepted, or refused. */
void passwords_note_judged(struct world *world, unsigned user);
/* Whether one was before this time. */
bool passwords_was_judged(const struct world *world, unsigned user, int64_t before_us);

#endif
