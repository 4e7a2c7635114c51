#include "check.h"

/* An operation may need a time-out of its connection, an election, and another attempt. */
static const int64_t longest_operation_us = 90000000;

void check_patience(const struct connection *connection)
{
    const struct client *client = connection->client;
    if (connection->opened_us >= plan_calm_us(client->plan) &&
        !plan_has_fault(client->plan, FAULT_HALF_OPEN)) {
        world_fail(client->world, "no stall",
                   "%s: no answer to %s on connection #%u in time, and all faults are over",
                   client->actor, connection->command, connection->number);
    }
}

void check_duration(const struct client *client, const struct plan_step *step, int64_t begun_us)
{
    int64_t calm = plan_calm_us(client->plan);
    int64_t from = begun_us > calm ? begun_us : calm;
    int64_t took = world_now_us(client->world) - from;
    int64_t most = plan_has_fault(client->plan, FAULT_HALF_OPEN) ? 4 * longest_operation_us
                                                                 : longest_operation_us;
    if (took > most) {
        world_fail(client->world, "no stall", "%s: %s %u took %lld us without a fault",
                   client->actor, plan_operation_name(step->kind), step->number, (long long)took);
    }
}
