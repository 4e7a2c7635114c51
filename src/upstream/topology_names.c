/* The parts of topology.h that need no monitoring. */
#include "base/memory.h"
#include "upstream/topology.h"

static const char *const type_names[TOPOLOGY_SERVER_TYPES] = {
    [TOPOLOGY_SERVER_UNKNOWN] = "Unknown",
    [TOPOLOGY_SERVER_STANDALONE] = "Standalone",
    [TOPOLOGY_SERVER_MONGOS] = "Mongos",
    [TOPOLOGY_SERVER_POSSIBLE_PRIMARY] = "PossiblePrimary",
    [TOPOLOGY_SERVER_RS_PRIMARY] = "RSPrimary",
    [TOPOLOGY_SERVER_RS_SECONDARY] = "RSSecondary",
    [TOPOLOGY_SERVER_RS_ARBITER] = "RSArbiter",
    [TOPOLOGY_SERVER_RS_OTHER] = "RSOther",
    [TOPOLOGY_SERVER_RS_GHOST] = "RSGhost",
    [TOPOLOGY_SERVER_LOAD_BALANCER] = "LoadBalancer",
};

const char *topology_server_type_name(enum topology_server_type type)
{
    return type_names[type];
}

void topology_snapshot_free(struct topology_snapshot *snapshot)
{
    memory_free(snapshot->servers);
    *snapshot = (struct topology_snapshot){.kind = TOPOLOGY_UNKNOWN};
}

const char *topology_kind_name(enum topology_kind kind)
{
    static const char *const names[] = {"unknown", "single", "replica set", "sharded",
                                        "load balanced"};
    return names[kind];
}
