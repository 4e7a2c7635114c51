#include "in_force.h"

#include "world_internal.h"

static const struct in_force first = {.at_us = INT64_MIN, .strict = true};

unsigned in_force_number(struct world *world)
{
    return ++world->schema_number;
}

void in_force_begin(struct world *world, unsigned number, bool strict)
{
    if (world->in_force_count == world->in_force_capacity) {
        world->in_force_capacity = world->in_force_capacity * 2 + 8;
        world->in_force =
            simulation_resize(world->in_force, world->in_force_capacity * sizeof *world->in_force);
    }
    world->in_force[world->in_force_count++] =
        (struct in_force){.at_us = world->now_us, .number = number, .strict = strict};
    world_trace(world, "proxy", "from now on schema %u is in force, %s", number,
                number == 0 ? "which is none"
                : strict    ? "the strict one"
                            : "the loose one");
}

static const struct in_force *nth(const struct world *world, size_t n)
{
    return n == 0 ? &first : &world->in_force[n - 1];
}

/* The n-th schema was in force at some moment of this time. */
static bool overlaps(const struct world *world, size_t n, int64_t since_us, int64_t until_us)
{
    bool ended = n < world->in_force_count && nth(world, n + 1)->at_us < since_us;
    return nth(world, n)->at_us <= until_us && !ended;
}

bool in_force_was_strict(const struct world *world, int64_t since_us, int64_t until_us)
{
    for (size_t n = 0; n <= world->in_force_count; n++)
        if (nth(world, n)->strict && overlaps(world, n, since_us, until_us))
            return true;
    return false;
}

bool in_force_was_loose(const struct world *world, int64_t since_us, int64_t until_us)
{
    for (size_t n = 0; n <= world->in_force_count; n++)
        if (!nth(world, n)->strict && overlaps(world, n, since_us, until_us))
            return true;
    return false;
}

bool in_force_was_number(const struct world *world, unsigned number, int64_t since_us,
                         int64_t until_us)
{
    for (size_t n = 0; n <= world->in_force_count; n++)
        if (nth(world, n)->number == number && overlaps(world, n, since_us, until_us))
            return true;
    return false;
}
