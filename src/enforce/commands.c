#include "enforce/commands.h"

#define ROW(name, check, concerns)                                                                 \
    {                                                                                              \
        name, sizeof(name) - 1, check, concerns                                                    \
    }

/* Commands of which nothing is looked at: where a schema is in force that asks for proofs, in their
 * database or in any, they are unproved. */
static bool check_opaque(struct check *check);
static bool concerns_opaque(const struct concern *concern);
static bool concerns_opaque_anywhere(const struct concern *concern);

#define OPAQUE(name)          ROW(name, check_opaque, concerns_opaque)
#define OPAQUE_ANYWHERE(name) ROW(name, check_opaque, concerns_opaque_anywhere)

/* Those that can create or replace documents. */
static const struct command_row rows[] = {
    ROW("insert", check_insert, concerns_collection),
    ROW("update", check_update, concerns_collection),
    ROW("aggregate", check_aggregate, concerns_aggregate),
    ROW("findAndModify", check_find_and_modify, concerns_collection),
    ROW("findandmodify", check_find_and_modify, concerns_collection),
    ROW("bulkWrite", check_bulk_write, concerns_bulk_write),
    ROW("create", check_view, concerns_view),
    ROW("collMod", check_view, concerns_view),
    ROW("mapReduce", check_map_reduce, concerns_map_reduce),
    ROW("mapreduce", check_map_reduce, concerns_map_reduce),
    ROW("renameCollection", check_rename, concerns_rename),
    ROW("internalRenameIfOptionsAndIndexesMatch", check_rename, concerns_rename),
    ROW("cloneCollectionAsCapped", check_clone_as_capped, concerns_clone_as_capped),
    ROW("applyOps", check_operations, concerns_operations),
    ROW("doTxn", check_operations, concerns_operations),
    /* of old servers: whole databases or collections from another server, JavaScript */
    OPAQUE("clone"),
    OPAQUE("cloneCollection"),
    OPAQUE_ANYWHERE("copydb"),
    OPAQUE("eval"),
    OPAQUE("$eval"),
    /* what servers of a cluster say to each other, and what only tests may */
    OPAQUE("clusterInsert"),
    OPAQUE("clusterUpdate"),
    OPAQUE("clusterFindAndModify"),
    OPAQUE("clusterAggregate"),
    OPAQUE("godinsert"),
    OPAQUE_ANYWHERE("clusterBulkWrite"),
    OPAQUE_ANYWHERE("_clusterWriteWithoutShardKey"),
    OPAQUE_ANYWHERE("_shardsvrCoordinateMultiUpdate"),
    OPAQUE_ANYWHERE("_shardsvrRenameCollection"),
    OPAQUE_ANYWHERE("_shardsvrRenameCollectionParticipant"),
    OPAQUE_ANYWHERE("_recvChunkStart"),
    OPAQUE_ANYWHERE("_shardsvrCloneCatalogData"),
    OPAQUE_ANYWHERE("_cloneCatalogData"),
    OPAQUE_ANYWHERE("importCollection"),
    OPAQUE_ANYWHERE("testInternalTransactions"),
};

const struct command_row *command_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].len == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static bool concerns_opaque(const struct concern *concern)
{
    return concern->guarded &&
           registry_strictest(concern->registry, concern->command->database) != NULL;
}

static bool concerns_opaque_anywhere(const struct concern *concern)
{
    return registry_strictest(concern->registry, (struct bytes){0}) != NULL;
}

static bool check_opaque(struct check *check)
{
    static const struct judge_reason why = {.text = "what this command writes is not looked at"};
    const struct registry *registry = check->concern.registry;
    struct judge_target target = {registry_strictest(registry, check->command->database), false};
    if (target.entry == NULL)
        target.entry = registry_strictest(registry, (struct bytes){0});
    return check_unproved(check, target, &why);
}

/* The others, sorted. Each reads, or is about collections, indexes, users, servers or connections,
 * or only removes documents (delete, drop), or leaves them as they are where they are
 * (convertToCapped, moveChunk, reshardCollection). explain runs nothing that writes. */
const char *const commands_harmless[] = {
    "_isSelf",
    "abortReshardCollection",
    "abortTransaction",
    "addShard",
    "addShardToZone",
    "analyze",
    "analyzeShardKey",
    "appendOplogNote",
    "authenticate",
    "autoCompact",
    "autoSplitVector",
    "availableQueryOptions",
    "balancerCollectionStatus",
    "balancerStart",
    "balancerStatus",
    "balancerStop",
    "buildInfo",
    "buildinfo",
    "checkMetadataConsistency",
    "checkShardingIndex",
    "cleanupOrphaned",
    "cleanupReshardCollection",
    "cleanupStructuredEncryptionData",
    "clearJumboFlag",
    "clearLog",
    "collStats",
    "collstats",
    "commitReshardCollection",
    "commitTransaction",
    "compact",
    "compactStructuredEncryptionData",
    "configureCollectionBalancing",
    "configureFailPoint",
    "configureQueryAnalyzer",
    "connPoolStats",
    "connPoolSync",
    "connectionStatus",
    "convertToCapped",
    "coordinateCommitTransaction",
    "count",
    "createIndexes",
    "createRole",
    "createSearchIndexes",
    "createUser",
    "currentOp",
    "cursorInfo",
    "dataSize",
    "datasize",
    "dbCheck",
    "dbHash",
    "dbStats",
    "dbhash",
    "dbstats",
    "delete",
    "deleteIndexes",
    "distinct",
    "driverOIDTest",
    "drop",
    "dropAllRolesFromDatabase",
    "dropAllUsersFromDatabase",
    "dropConnections",
    "dropDatabase",
    "dropIndexes",
    "dropRole",
    "dropSearchIndex",
    "dropUser",
    "enableSharding",
    "endSessions",
    "explain",
    "features",
    "filemd5",
    "find",
    "flushRouterConfig",
    "forceerror",
    "fsync",
    "fsyncUnlock",
    "geoNear",
    "geoSearch",
    "getAuditConfig",
    "getChangeStreamState",
    "getClusterParameter",
    "getCmdLineOpts",
    "getDatabaseVersion",
    "getDefaultRWConcern",
    "getDiagnosticData",
    "getLastError",
    "getLog",
    "getMore",
    "getParameter",
    "getPrevError",
    "getQueryableEncryptionCountInfo",
    "getShardMap",
    "getShardVersion",
    "getlasterror",
    "getnonce",
    "getpreverror",
    "getreplicationinfo",
    "grantPrivilegesToRole",
    "grantRolesToRole",
    "grantRolesToUser",
    "group",
    "hello",
    "hostInfo",
    "invalidateUserCache",
    "isMaster",
    "isdbgrid",
    "ismaster",
    "killAllSessions",
    "killAllSessionsByPattern",
    "killCursors",
    "killOp",
    "killSessions",
    "listCollections",
    "listCommands",
    "listDatabases",
    "listDatabasesForAllTenants",
    "listIndexes",
    "listSearchIndexes",
    "listShards",
    "lockInfo",
    "logApplicationMessage",
    "logMessage",
    "logRotate",
    "logout",
    "mergeAllChunksOnShard",
    "mergeChunks",
    "mongosluice",
    "moveChunk",
    "moveCollection",
    "movePrimary",
    "moveRange",
    "netstat",
    "parallelCollectionScan",
    "ping",
    "planCacheClear",
    "planCacheClearFilters",
    "planCacheListFilters",
    "planCacheListPlans",
    "planCacheListQueryShapes",
    "planCacheSetFilter",
    "profile",
    "reIndex",
    "refineCollectionShardKey",
    "refreshSessions",
    "removeQuerySettings",
    "removeShard",
    "removeShardFromZone",
    "repairCursor",
    "repairDatabase",
    "repairShardedCollectionChunksHistory",
    "replSetFreeze",
    "replSetGetConfig",
    "replSetGetStatus",
    "replSetInitiate",
    "replSetMaintenance",
    "replSetReconfig",
    "replSetResizeOplog",
    "replSetStepDown",
    "replSetStepUp",
    "replSetSyncFrom",
    "resetError",
    "reseterror",
    "reshardCollection",
    "resync",
    "revokePrivilegesFromRole",
    "revokeRolesFromRole",
    "revokeRolesFromUser",
    "rolesInfo",
    "rotateCertificates",
    "saslContinue",
    "saslStart",
    "serverStatus",
    "setAllowMigrations",
    "setAuditConfig",
    "setChangeStreamState",
    "setClusterParameter",
    "setDefaultRWConcern",
    "setFeatureCompatibilityVersion",
    "setFreeMonitoring",
    "setIndexCommitQuorum",
    "setParameter",
    "setProfilingFilterGlobally",
    "setQuerySettings",
    "setShardVersion",
    "setUserWriteBlockMode",
    "shardCollection",
    "shardConnPoolStats",
    "shardingState",
    "shutdown",
    "split",
    "splitChunk",
    "splitVector",
    "startRecordingTraffic",
    "startSession",
    "startTrafficRecording",
    "stopRecordingTraffic",
    "stopTrafficRecording",
    "top",
    "touch",
    "transitionFromDedicatedConfigServer",
    "transitionToDedicatedConfigServer",
    "unshardCollection",
    "untrackUnshardedCollection",
    "updateRole",
    "updateSearchIndex",
    "updateUser",
    "updateZoneKeyRange",
    "usersInfo",
    "validate",
    "validateDBMetadata",
    "voteCommitIndexBuild",
    "waitForFailPoint",
    "whatsmysni",
    "whatsmyuri",
};
const size_t commands_harmless_count = sizeof commands_harmless / sizeof commands_harmless[0];

bool command_is_harmless(const char *name, size_t len)
{
    size_t low = 0;
    size_t high = commands_harmless_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *row = commands_harmless[middle];
        size_t row_len = strlen(row);
        int order = memcmp(name, row, len < row_len ? len : row_len);
        if (order == 0 && len == row_len)
            return true;
        if (order < 0 || (order == 0 && len < row_len))
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
