/* The tables. A row contains the field, its meaning, its BSON types, the code for other types, and
 * the code for a missing field. Required fields are first, then frequent ones. */
#include "enforce/grammar.h"

#define DOUBLE TYPE_BIT(BSON_KIND_DOUBLE)
#define STRING TYPE_BIT(BSON_KIND_STRING)
#define OBJECT TYPE_BIT(BSON_KIND_OBJECT)
#define ARRAY  TYPE_BIT(BSON_KIND_ARRAY)
#define BINARY TYPE_BIT(BSON_KIND_BINARY)
#define BOOL   TYPE_BIT(BSON_KIND_BOOL)
#define SYMBOL TYPE_BIT(BSON_KIND_SYMBOL)
#define INT    TYPE_BIT(BSON_KIND_INT32)
#define LONG   TYPE_BIT(BSON_KIND_INT64)
#define NUMBER TYPES_NUMBER
#define NONE   (TYPE_BIT(BSON_KIND_NULL) | TYPE_BIT(BSON_KIND_UNDEFINED))
#define ANY    TYPES_ALL

#define ROW(name, meaning, kinds, code, missing)                                                   \
    {                                                                                              \
        name, sizeof(name) - 1, FIELD_OTHER, MEANS_##meaning, kinds, code, missing                 \
    }
/* A field with a number (wire/field_names.h). */
#define NUMBERED(NAME, name, meaning, kinds, code, missing)                                        \
    {                                                                                              \
        name, sizeof(name) - 1, FIELD_##NAME, MEANS_##meaning, kinds, code, missing                \
    }
#define NO_ROW                                                                                     \
    {                                                                                              \
        NULL, 0, FIELD_OTHER, MEANS_NOTHING, 0, 0, 0                                               \
    }
#define ROWS(rows) rows, sizeof(rows) / sizeof(rows)[0]

/* Fields of every command. */
#define COMMON_ROWS                                                                                \
    NUMBERED(DB, "$db", DATABASE, STRING, 13111, 0),                                               \
        NUMBERED(LSID, "lsid", SESSION, OBJECT | NONE, 14, 0),                                     \
        NUMBERED(TXN_NUMBER, "txnNumber", TRANSACTION, LONG | NONE, 14, 0),                        \
        NUMBERED(CLUSTER_TIME, "$clusterTime", NOTHING, ANY, 14, 0),                               \
        NUMBERED(WRITE_CONCERN, "writeConcern", CONCERN, OBJECT, 14, 0),                           \
        NUMBERED(READ_PREFERENCE, "$readPreference", NOTHING, ANY, 14, 0),                         \
        NUMBERED(MAX_TIME_MS, "maxTimeMS", TIME, NUMBER, 2, 0),                                    \
        NUMBERED(COMMENT, "comment", NOTHING, ANY, 14, 0),                                         \
        NUMBERED(READ_CONCERN, "readConcern", NOTHING, ANY, 14, 0),                                \
        NUMBERED(AUTOCOMMIT, "autocommit", NOTHING, BOOL | NONE, 14, 0),                           \
        NUMBERED(START_TRANSACTION, "startTransaction", NOTHING, BOOL | NONE, 14, 0),              \
        NUMBERED(STMT_ID, "stmtId", NUMBER, INT | LONG | DOUBLE | NONE, 14, 0),                    \
        NUMBERED(API_VERSION, "apiVersion", NOTHING, ANY, 14, 0),                                  \
        NUMBERED(API_STRICT, "apiStrict", NOTHING, ANY, 14, 0),                                    \
        NUMBERED(API_DEPRECATION_ERRORS, "apiDeprecationErrors", NOTHING, ANY, 14, 0),             \
        ROW("maxTimeMSOpOnly", NOTHING, ANY, 14, 0), ROW("$audit", NOTHING, ANY, 14, 0),           \
        ROW("$client", NOTHING, ANY, 14, 0), ROW("$configServerState", NOTHING, ANY, 14, 0),       \
        ROW("$configTime", NOTHING, ANY, 14, 0), ROW("$topologyTime", NOTHING, ANY, 14, 0),        \
        ROW("$queryOptions", NOTHING, ANY, 14, 0), ROW("$replData", NOTHING, ANY, 14, 0),          \
        ROW("$oplogQueryData", NOTHING, ANY, 14, 0), ROW("$gleStats", NOTHING, ANY, 14, 0),        \
        ROW("$traceCtx", NOTHING, ANY, 14, 0), ROW("operationTime", NOTHING, ANY, 14, 0),          \
        ROW("clientOperationKey", NOTHING, ANY, 14, 0), ROW("coordinator", NOTHING, ANY, 14, 0),   \
        NUMBERED(SHARD_VERSION, "shardVersion", NOTHING, ANY, 14, 0),                              \
        NUMBERED(DATABASE_VERSION, "databaseVersion", NOTHING, ANY, 14, 0),                        \
        ROW("tracking_info", NOTHING, ANY, 14, 0),                                                 \
        ROW("serialization_context", NOTHING, ANY, 14, 0),                                         \
        ROW("mayBypassWriteBlocking", NOTHING, ANY, 14, 0),                                        \
        ROW("requestGossipRoutingCache", NOTHING, ANY, 14, 0),                                     \
        ROW("allowImplicitCollectionCreation", NOTHING, ANY, 14, 0)

/* Fields of newer servers' commands. The UUID must only be that of the collection. */
#define NEWER_ROWS                                                                                 \
    NUMBERED(ENCRYPTION_INFORMATION, "encryptionInformation", OPAQUE, OBJECT | NONE, 14, 0),       \
        ROW("rawData", OPAQUE, BOOL | NONE, 14, 0),                                                \
        ROW("isTimeseriesNamespace", OPAQUE, BOOL | NONE, 14, 0),                                  \
        ROW("collectionUUID", NOTHING, ANY, 14, 0),                                                \
        ROW("bypassEmptyTsReplacement", NOTHING, BOOL | NONE, 14, 0)

/* --- insert --- */

static const struct grammar_field insert_rows[] = {
    NUMBERED(DOCUMENTS, "documents", LIST, ARRAY | OBJECT, 10065, 40414),
    NUMBERED(ORDERED, "ordered", ORDERED, BOOL | NONE, 14, 0),
    COMMON_ROWS,
    NUMBERED(BYPASS_DOCUMENT_VALIDATION, "bypassDocumentValidation", BYPASS, BOOL | NUMBER | NONE,
             14, 0),
    NUMBERED(STMT_IDS, "stmtIds", NUMBERS, ARRAY | OBJECT, 10065, 0),
    NEWER_ROWS,
};
const struct grammar grammar_insert = {
    "insert", NUMBERED(INSERT, "insert", COLLECTION, STRING | SYMBOL, 2, 0), ROWS(insert_rows),
    40415, true};

/* --- update --- */

static const struct grammar_field update_rows[] = {
    NUMBERED(UPDATES, "updates", LIST, ARRAY | OBJECT, 10065, 40414),
    NUMBERED(ORDERED, "ordered", ORDERED, BOOL | NONE, 14, 0),
    COMMON_ROWS,
    NUMBERED(BYPASS_DOCUMENT_VALIDATION, "bypassDocumentValidation", BYPASS, BOOL | NUMBER | NONE,
             14, 0),
    NUMBERED(STMT_IDS, "stmtIds", NUMBERS, ARRAY | OBJECT, 10065, 0),
    NUMBERED(LET, "let", NOTHING, OBJECT | NONE, 14, 0),
    ROW("runtimeConstants", NOTHING, OBJECT | NONE, 14, 0),
    ROW("legacyRuntimeConstants", NOTHING, OBJECT | NONE, 14, 0),
    NEWER_ROWS,
};
const struct grammar grammar_update = {
    "update", NUMBERED(UPDATE, "update", COLLECTION, STRING | SYMBOL, 2, 0), ROWS(update_rows),
    40415, true};

static const struct grammar_field update_statement_rows[] = {
    ROW("q", QUERY, OBJECT | NONE, 14, 40414),
    ROW("u", CHANGE, OBJECT | ARRAY, 9, 40414),
    ROW("multi", NOTHING, BOOL | NONE, 14, 0),
    NUMBERED(UPSERT, "upsert", UPSERT, BOOL | NONE, 14, 0),
    ROW("collation", NOTHING, OBJECT | NONE, 14, 0),
    ROW("arrayFilters", NOTHING, ARRAY | OBJECT, 10065, 0),
    ROW("hint", NOTHING, STRING | OBJECT, 9, 0),
    ROW("c", CONSTANTS, OBJECT | NONE, 14, 0),
    ROW("sort", NOTHING, OBJECT | NONE, 14, 0),
    ROW("upsertSupplied", NOTHING, BOOL | NONE, 14, 0), /* only with a pipeline */
    ROW("sampleId", NOTHING, BINARY | NONE, 14, 0),
    ROW("allowShardKeyUpdatesWithoutFullShardKeyInQuery", NOTHING, BOOL | NONE, 14, 0),
};
const struct grammar grammar_update_statement = {"a statement of update", NO_ROW,
                                                 ROWS(update_statement_rows), 40415, false};

/* --- findAndModify --- */

static const struct grammar_field find_and_modify_rows[] = {
    NUMBERED(QUERY, "query", QUERY, OBJECT, 31160, 0),
    NUMBERED(UPDATE, "update", CHANGE, OBJECT | ARRAY, 9, 0),
    NUMBERED(UPSERT, "upsert", UPSERT, ANY, 14, 0),
    NUMBERED(NEW, "new", NEW, ANY, 14, 0),
    NUMBERED(REMOVE, "remove", REMOVE, ANY, 14, 0),
    ROW("sort", NOTHING, OBJECT, 31174, 0),
    ROW("fields", NOTHING, OBJECT, 31175, 0),
    COMMON_ROWS,
    NUMBERED(BYPASS_DOCUMENT_VALIDATION, "bypassDocumentValidation", BYPASS, ANY, 14, 0),
    ROW("arrayFilters", NOTHING, ARRAY, 14, 0),
    ROW("collation", NOTHING, OBJECT | NONE, 14, 0),
    ROW("hint", NOTHING, STRING | OBJECT, 51177, 0),
    NUMBERED(LET, "let", NOTHING, OBJECT | NONE, 14, 0),
    ROW("runtimeConstants", NOTHING, OBJECT | NONE, 14, 0),
    ROW("legacyRuntimeConstants", NOTHING, OBJECT | NONE, 14, 0),
    ROW("sampleId", NOTHING, BINARY | NONE, 14, 0),
    ROW("allowShardKeyUpdatesWithoutFullShardKeyInQuery", NOTHING, BOOL | NONE, 14, 0),
    NEWER_ROWS,
};
const struct grammar grammar_find_and_modify = {
    "findAndModify", ROW("findAndModify", COLLECTION, STRING | SYMBOL, 73, 0),
    ROWS(find_and_modify_rows), 51177, false};

/* --- bulkWrite: of server 8.0, not measured. Null shifts indexes on some servers: refused --- */

static const struct grammar_field bulk_write_rows[] = {
    NUMBERED(OPS, "ops", LIST, ARRAY, 14, 40414),
    NUMBERED(NS_INFO, "nsInfo", NAMESPACES, ARRAY, 14, 40414),
    NUMBERED(ORDERED, "ordered", ORDERED, BOOL | NONE, 14, 0),
    ROW("errorsOnly", NOTHING, BOOL | NONE, 14, 0),
    COMMON_ROWS,
    NUMBERED(BYPASS_DOCUMENT_VALIDATION, "bypassDocumentValidation", BYPASS, BOOL | NUMBER | NONE,
             14, 0),
    NUMBERED(LET, "let", NOTHING, OBJECT | NONE, 14, 0),
    NUMBERED(CURSOR, "cursor", NOTHING, OBJECT | NONE, 14, 0),
    NUMBERED(STMT_IDS, "stmtIds", NUMBERS, ARRAY, 14, 0),
    ROW("bypassEmptyTsReplacement", NOTHING, BOOL | NONE, 14, 0),
    ROW("rawData", OPAQUE, BOOL | NONE, 14, 0),
};
const struct grammar grammar_bulk_write = {"bulkWrite", ROW("bulkWrite", NOTHING, NUMBER, 14, 0),
                                           ROWS(bulk_write_rows), 40415, true};

static const struct grammar_field bulk_namespace_rows[] = {
    ROW("ns", NAMESPACE, STRING, 14, 40414),
    ROW("collectionUUID", NOTHING, ANY, 14, 0),
    NUMBERED(ENCRYPTION_INFORMATION, "encryptionInformation", OPAQUE, OBJECT | NONE, 14, 0),
    ROW("isTimeseriesNamespace", OPAQUE, BOOL | NONE, 14, 0),
    NUMBERED(SHARD_VERSION, "shardVersion", NOTHING, ANY, 14, 0),
    NUMBERED(DATABASE_VERSION, "databaseVersion", NOTHING, ANY, 14, 0),
};
const struct grammar grammar_bulk_namespace = {"a namespace of bulkWrite", NO_ROW,
                                               ROWS(bulk_namespace_rows), 40415, false};

static const struct grammar_field bulk_insert_rows[] = {
    ROW("document", DOCUMENT, OBJECT, 14, 40414),
};
const struct grammar grammar_bulk_insert = {
    "an insert of bulkWrite", NUMBERED(INSERT, "insert", PLACE, INT | LONG | DOUBLE, 14, 0),
    ROWS(bulk_insert_rows), 40415, false};

static const struct grammar_field bulk_update_rows[] = {
    ROW("filter", QUERY, OBJECT, 14, 40414),
    ROW("updateMods", CHANGE, OBJECT | ARRAY, 9, 40414),
    ROW("multi", NOTHING, BOOL | NONE, 14, 0),
    NUMBERED(UPSERT, "upsert", UPSERT, BOOL | NONE, 14, 0),
    ROW("hint", NOTHING, STRING | OBJECT, 9, 0),
    ROW("sort", NOTHING, OBJECT | NONE, 14, 0),
    ROW("collation", NOTHING, OBJECT | NONE, 14, 0),
    ROW("arrayFilters", NOTHING, ARRAY | NONE, 14, 0),
    ROW("constants", CONSTANTS, OBJECT | NONE, 14, 0),
    ROW("upsertSupplied", NOTHING, BOOL | NONE, 14, 0),
    ROW("sampleId", NOTHING, BINARY | NONE, 14, 0),
    ROW("allowShardKeyUpdatesWithoutFullShardKeyInQuery", NOTHING, BOOL | NONE, 14, 0),
};
const struct grammar grammar_bulk_update = {
    "an update of bulkWrite", NUMBERED(UPDATE, "update", PLACE, INT | LONG | DOUBLE, 14, 0),
    ROWS(bulk_update_rows), 40415, false};

static const struct grammar_field bulk_delete_rows[] = {
    ROW("filter", QUERY, OBJECT, 14, 40414),        ROW("multi", NOTHING, BOOL | NONE, 14, 0),
    ROW("hint", NOTHING, STRING | OBJECT, 9, 0),    ROW("collation", NOTHING, OBJECT | NONE, 14, 0),
    ROW("sampleId", NOTHING, BINARY | NONE, 14, 0),
};
const struct grammar grammar_bulk_delete = {"a delete of bulkWrite",
                                            ROW("delete", PLACE, INT | LONG | DOUBLE, 14, 0),
                                            ROWS(bulk_delete_rows), 40415, false};

/* --- aggregate --- */

static const struct grammar_field aggregate_rows[] = {
    NUMBERED(PIPELINE, "pipeline", PIPELINE, ARRAY, 14, 14),
    NUMBERED(CURSOR, "cursor", NOTHING, ANY, 14, 0),
    COMMON_ROWS,
    ROW("explain", EXPLAIN, BOOL, 14, 0),
    ROW("allowDiskUse", NOTHING, ANY, 14, 0),
    NUMBERED(BYPASS_DOCUMENT_VALIDATION, "bypassDocumentValidation", BYPASS, ANY, 14, 0),
    ROW("collation", NOTHING, ANY, 14, 0),
    ROW("hint", NOTHING, ANY, 14, 0),
    NUMBERED(LET, "let", NOTHING, ANY, 14, 0),
    ROW("fromMongos", NOTHING, ANY, 14, 0),
    ROW("fromRouter", NOTHING, ANY, 14, 0),
    ROW("needsMerge", NOTHING, ANY, 14, 0),
    ROW("needsSortedMerge", NOTHING, ANY, 14, 0),
    ROW("exchange", NOTHING, ANY, 14, 0),
    ROW("use44SortKeys", NOTHING, ANY, 14, 0),
    ROW("useNewUpsert", NOTHING, ANY, 14, 0),
    ROW("runtimeConstants", NOTHING, ANY, 14, 0),
    ROW("legacyRuntimeConstants", NOTHING, ANY, 14, 0),
    ROW("isMapReduceCommand", NOTHING, ANY, 14, 0),
    ROW("collectionUUID", NOTHING, ANY, 14, 0),
    ROW("passthroughToShard", NOTHING, ANY, 14, 0),
    NUMBERED(ENCRYPTION_INFORMATION, "encryptionInformation", NOTHING, ANY, 14, 0),
    ROW("includeQueryStatsMetrics", NOTHING, ANY, 14, 0),
    ROW("rawData", OPAQUE, ANY, 14, 0),
};
const struct grammar grammar_aggregate = {"aggregate",
                                          ROW("aggregate", COLLECTION, STRING | NUMBER, 14, 0),
                                          ROWS(aggregate_rows), 40415, false};

/* $out and $merge as objects; as strings they name the collection */
static const struct grammar_field out_rows[] = {
    ROW("coll", COLLECTION, STRING, 14, 14),
    ROW("db", DATABASE, STRING, 14, 0),
    ROW("timeseries", NOTHING, ANY, 14, 0),
};
const struct grammar grammar_out = {"$out", NO_ROW, ROWS(out_rows), 14, false};

static const struct grammar_field merge_rows[] = {
    ROW("into", TARGET, STRING | OBJECT, 51178, 40414),
    ROW("on", NOTHING, ANY, 14, 0),
    NUMBERED(LET, "let", NOTHING, ANY, 14, 0),
    ROW("whenMatched", NOTHING, ANY, 14, 0),
    ROW("whenNotMatched", NOTHING, ANY, 14, 0),
    ROW("targetCollectionVersion", NOTHING, ANY, 14, 0),
    ROW("allowMergeOnNullishValues", NOTHING, ANY, 14, 0),
};
const struct grammar grammar_merge = {"$merge", NO_ROW, ROWS(merge_rows), 40415, false};

static const struct grammar_field merge_into_rows[] = {
    ROW("coll", COLLECTION, STRING, 14, 73),
    ROW("db", DATABASE, STRING, 14, 0),
};
const struct grammar grammar_merge_into = {"$merge.into", NO_ROW, ROWS(merge_into_rows), 40415,
                                           false};

/* --- others --- */

static const struct grammar_field map_reduce_rows[] = {
    ROW("out", TARGET, STRING | OBJECT, 13606, 13606),
    COMMON_ROWS,
    ROW("map", NOTHING, ANY, 14, 0),
    ROW("reduce", NOTHING, ANY, 14, 0),
    ROW("finalize", NOTHING, ANY, 14, 0),
    NUMBERED(QUERY, "query", NOTHING, ANY, 14, 0),
    ROW("sort", NOTHING, ANY, 14, 0),
    ROW("limit", NOTHING, ANY, 14, 0),
    ROW("scope", NOTHING, ANY, 14, 0),
    ROW("jsMode", NOTHING, ANY, 14, 0),
    ROW("verbose", NOTHING, ANY, 14, 0),
    NUMBERED(BYPASS_DOCUMENT_VALIDATION, "bypassDocumentValidation", BYPASS, ANY, 14, 0),
    ROW("collation", NOTHING, ANY, 14, 0),
    ROW("shardedFirstPass", NOTHING, ANY, 14, 0),
    ROW("inputDB", NOTHING, ANY, 14, 0),
    ROW("splitInfo", NOTHING, ANY, 14, 0),
};
const struct grammar grammar_map_reduce = {"mapReduce", ROW("mapReduce", NOTHING, ANY, 14, 0),
                                           ROWS(map_reduce_rows), 40415, false};

static const struct grammar_field map_reduce_out_rows[] = {
    ROW("replace", COLLECTION, STRING, 13606, 0), ROW("merge", COLLECTION, STRING, 13606, 0),
    ROW("reduce", COLLECTION, STRING, 13606, 0),  ROW("inline", INLINE, ANY, 14, 0),
    ROW("db", DATABASE, STRING, 13606, 0),        ROW("sharded", NOTHING, ANY, 14, 0),
    ROW("nonAtomic", NOTHING, ANY, 14, 0),
};
const struct grammar grammar_map_reduce_out = {"mapReduce.out", NO_ROW, ROWS(map_reduce_out_rows),
                                               40415, false};

static const struct grammar_field rename_collection_rows[] = {
    ROW("to", NAMESPACE, STRING, 14, 40414),    COMMON_ROWS,
    ROW("dropTarget", NOTHING, ANY, 14, 0),     ROW("stayTemp", NOTHING, ANY, 14, 0),
    ROW("collectionUUID", NOTHING, ANY, 14, 0), ROW("from", NOTHING, ANY, 14, 0),
    ROW("indexes", NOTHING, ANY, 14, 0),        ROW("collectionOptions", NOTHING, ANY, 14, 0),
};
const struct grammar grammar_rename_collection = {"renameCollection",
                                                  ROW("renameCollection", NOTHING, ANY, 14, 0),
                                                  ROWS(rename_collection_rows), 40415, false};

static const struct grammar_field clone_as_capped_rows[] = {
    ROW("toCollection", COLLECTION, STRING, 73, 73),
    COMMON_ROWS,
    ROW("size", NOTHING, ANY, 14, 0),
    ROW("temp", NOTHING, ANY, 14, 0),
};
const struct grammar grammar_clone_as_capped = {"cloneCollectionAsCapped",
                                                ROW("cloneCollectionAsCapped", NOTHING, ANY, 14, 0),
                                                ROWS(clone_as_capped_rows), 40415, false};
