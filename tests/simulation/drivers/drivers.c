#include "drivers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void make_client(struct drivers *drivers, unsigned index)
{
    struct client *client = &drivers->clients[index];
    const struct plan *plan = drivers->plan;
    client->drivers = drivers;
    client->world = drivers->world;
    client->plan = plan;
    client->what = &plan->clients[index];
    client->index = index;
    snprintf(client->host, sizeof client->host, "c%u", index + 1);
    snprintf(client->actor, sizeof client->actor, "client %u", index + 1);
    client->stream = stream_make(plan->seed, "client", index);
    client->speculates = stream_chance(&client->stream, 700);
    client->legacy_first = stream_chance(&client->stream, 300);
    client->exhausts = stream_chance(&client->stream, 600);
    /* Clients that write alike can be merged. */
    struct stream habit = stream_make(plan->seed, "habit", client->what->majority);
    client->absent_concern = client->what->majority == (plan->server == PLAN_SERVER_CURRENT) &&
                             stream_chance(&habit, 400);
    client->threads = calloc(client->what->connections, sizeof *client->threads);
    assert(client->threads != NULL);
    client_begin(client);
}

struct drivers *drivers_create(struct world *world, const struct plan *plan, const char *address)
{
    (void)address; /* plan.direct says the same: see topology_begin */
    struct drivers *drivers = calloc(1, sizeof *drivers);
    assert(drivers != NULL);
    drivers->world = world;
    drivers->plan = plan;
    for (unsigned i = 0; i < plan->client_count; i++) {
        if (!plan->clients[i].leaves_out) {
            drivers->clients_in_use++;
            make_client(drivers, i);
        }
    }
    return drivers;
}

/* The application ends: it closes its connections. */
static void on_client_end(void *arg)
{
    struct client *client = arg;
    client->revival = NULL;
    client_trace(client, "has run all operations, and closes its connections");
    client_vanish(client, false);
    client->drivers->ended_clients++;
}

void drivers_thread_ended(struct client *client)
{
    for (unsigned i = 0; i < client->what->connections; i++) {
        if (!client->threads[i].ended) {
            return;
        }
    }
    client->ended = true;
    /* A death that is announced does not come any more. */
    world_cancel(client->world, client->revival);
    client->revival = world_after(client->world, 0, on_client_end, client);
}

bool drivers_are_done(const struct drivers *drivers)
{
    return drivers->ended_clients == drivers->clients_in_use;
}

void drivers_destroy(struct drivers *drivers)
{
    for (unsigned i = 0; i < drivers->plan->client_count; i++) {
        struct client *client = &drivers->clients[i];
        if (client->drivers == NULL) {
            continue;
        }
        world_cancel(drivers->world, client->revival);
        client_vanish(client, false);
        record_release(&client->record);
        free(client->threads);
    }
    free(drivers);
}
