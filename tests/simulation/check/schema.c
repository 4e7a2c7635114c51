#include "application.h"
#include "check.h"
#include "in_force.h"

#include <stdio.h>

bool schema_may_accept(const struct world *world, int64_t since_us)
{
    return in_force_was_loose(world, since_us, world_now_us(world));
}

bool schema_may_refuse(const struct world *world, int64_t since_us)
{
    return in_force_was_strict(world, since_us, world_now_us(world));
}

void check_judging_schema(const struct client *client, const char *command, const bson_t *error,
                          int64_t since_us)
{
    unsigned number = 0;
    bson_iter_t iter, description;
    if (client->plan->direct) {
        return; /* the servers' own schema has no number */
    }
    if (!bson_iter_init(&iter, error) ||
        !bson_iter_find_descendant(&iter, "errInfo.details.description", &description) ||
        !BSON_ITER_HOLDS_UTF8(&description) ||
        sscanf(bson_iter_utf8(&description, NULL), APPLICATION_SCHEMA_NUMBER, &number) != 1) {
        check_fails(client, "schema holds", command, error, "the refusal does not name its schema");
    } else if (!in_force_was_number(client->world, number, since_us, world_now_us(client->world))) {
        check_fails(client, "schema holds", command, error,
                    "the refusal names a schema that was not in force since the write began");
    }
}
