/* upstream/topology.h, told by the simulated cluster: what libmongoc's monitoring finds, some time
 * after it has become true. */
#include "upstream/topology.h"

#include <stdio.h>
#include <string.h>

#include "../net/process.h"
#include "base/memory.h"
#include "parts.h"

struct topology {
    struct cluster *cluster;
    struct cluster_view seen;
    struct timer *look;
    struct stream stream;
    void (*changed)(void *arg);
    void *arg;
    bool has_seen;
};

/* The cluster of the next topology_start. */
static struct cluster *the_cluster;
static const struct plan *the_plan;

void topology_set_cluster(struct cluster *cluster, const struct plan *plan)
{
    the_cluster = cluster;
    the_plan = plan;
}

static void look(void *arg)
{
    struct topology *topology = arg;
    topology->look = NULL;
    topology->has_seen = true;
    cluster_view(topology->cluster, &topology->seen);
    topology->changed(topology->arg);
}

/* The awaitable hello of the monitoring: mostly quick, but a server that is gone is noticed late.
 */
static void look_later(void *arg)
{
    struct topology *topology = arg;
    if (topology->look == NULL)
        topology->look = world_after(
            the_process->world, stream_skewed(&topology->stream, 100, 2000000), look, topology);
}

struct topology *topology_start(const struct uri *uri, void (*changed)(void *arg), void *arg,
                                struct error *err)
{
    (void)uri;
    struct topology *topology = memory_zalloc(sizeof *topology);
    if (topology == NULL) {
        (void)error_no_memory(err, "the monitoring of the upstream");
        return NULL;
    }
    topology->cluster = the_cluster;
    topology->changed = changed;
    topology->arg = arg;
    topology->stream = stream_make(world_seed(the_process->world), "topology", the_process->number);
    cluster_follow(the_cluster, look_later, topology);
    cluster_view(the_cluster, &topology->seen); /* the names, before any answer */
    topology->look = world_after(the_process->world, stream_skewed(&topology->stream, 100, 200000),
                                 look, topology);
    return topology;
}

void topology_stop(struct topology *topology)
{
    if (topology == NULL)
        return;
    cluster_follow(topology->cluster, NULL, NULL);
    world_cancel(the_process->world, topology->look);
    memory_free(topology);
}

static enum topology_server_type type_of(const struct topology *topology, unsigned member)
{
    if (!topology->has_seen || !topology->seen.members[member].up)
        return TOPOLOGY_SERVER_UNKNOWN;
    if (the_plan->topology == PLAN_STANDALONE)
        return TOPOLOGY_SERVER_STANDALONE;
    if (the_plan->topology == PLAN_MONGOS)
        return TOPOLOGY_SERVER_MONGOS;
    return topology->seen.members[member].primary ? TOPOLOGY_SERVER_RS_PRIMARY
                                                  : TOPOLOGY_SERVER_RS_SECONDARY;
}

static void describe(const struct topology *topology, unsigned member, struct topology_server *out)
{
    const char *address = topology->seen.members[member].address;
    *out = (struct topology_server){.port = 27017, .type = type_of(topology, member)};
    (void)snprintf(out->address, sizeof out->address, "%s", address);
    (void)snprintf(out->host, sizeof out->host, "%.*s", (int)strcspn(address, ":"), address);
    if (the_plan->topology == PLAN_REPLICA_SET)
        (void)snprintf(out->set_name, sizeof out->set_name, "rs");
    if (topology->has_seen && out->type == TOPOLOGY_SERVER_UNKNOWN)
        (void)snprintf(out->last_error, sizeof out->last_error, "connection refused");
}

bool topology_read(struct topology *topology, struct topology_snapshot *out, struct error *err)
{
    static const enum topology_kind kinds[] = {[PLAN_STANDALONE] = TOPOLOGY_SINGLE,
                                               [PLAN_REPLICA_SET] = TOPOLOGY_REPLICA_SET,
                                               [PLAN_MONGOS] = TOPOLOGY_SHARDED};
    bool known = false;
    *out = (struct topology_snapshot){.kind = TOPOLOGY_UNKNOWN};
    out->servers = memory_array(topology->seen.count, sizeof *out->servers);
    if (out->servers == NULL)
        return error_no_memory(err, "the topology");
    out->server_count = topology->seen.count;
    for (unsigned i = 0; i < topology->seen.count; i++) {
        describe(topology, i, &out->servers[i]);
        known = known || out->servers[i].type != TOPOLOGY_SERVER_UNKNOWN;
    }
    if (topology->has_seen)
        out->kind = kinds[the_plan->topology];
    if (topology->has_seen && the_plan->topology == PLAN_REPLICA_SET)
        (void)snprintf(out->set_name, sizeof out->set_name, "rs");
    if (!known)
        (void)snprintf(out->cause, sizeof out->cause, "%s",
                       topology->has_seen ? "connection refused" : TOPOLOGY_NO_ANSWER_YET);
    return true;
}
