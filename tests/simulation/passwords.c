#include "passwords.h"

#include <assert.h>

#include "application.h"
#include "world_internal.h"

unsigned passwords_number(const struct world *world, unsigned user)
{
    assert(user <= PASSWORDS_USERS_MAX);
    return world->passwords[user].number;
}

void passwords_drop(struct world *world, unsigned user)
{
    assert(user <= PASSWORDS_USERS_MAX);
    world->passwords[user].gone = true;
}

void passwords_create(struct world *world, unsigned user)
{
    struct password *password = &world->passwords[user];
    *password = (struct password){.number = (password->number + 1) % APPLICATION_PASSWORDS,
                                  .changed = true,
                                  .changed_us = world->now_us};
}

bool passwords_were_settled(const struct world *world, unsigned user, int64_t since_us)
{
    const struct password *password = &world->passwords[user];
    return !password->gone && (!password->changed || password->changed_us < since_us);
}

void passwords_note_judged(struct world *world, unsigned user)
{
    struct password *password = &world->passwords[user];
    if (!password->judged)
        password->judged_us = world->now_us;
    password->judged = true;
}

bool passwords_was_judged(const struct world *world, unsigned user, int64_t before_us)
{
    const struct password *password = &world->passwords[user];
    return password->judged && password->judged_us < before_us;
}
