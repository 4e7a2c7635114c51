/* All model drivers of a history. */
#ifndef SIMULATION_DRIVERS_H
#define SIMULATION_DRIVERS_H

#include "client.h"

struct drivers {
    struct world *world;
    const struct plan *plan;
    struct client clients[PLAN_CLIENTS_MAX];
    unsigned ended_clients, clients_in_use;
    uint64_t acknowledged_documents;
};

/* (client.c) Starts monitors and threads. */
void client_begin(struct client *client);
/* (client.c) Breaks off everything. Not from a fiber. */
void client_vanish(struct client *client, bool reset);
/* One thread of the client has run all of its steps. */
void drivers_thread_ended(struct client *client);

#endif
