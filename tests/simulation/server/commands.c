/* The table of commands, and small commands. */
#include <stdio.h>
#include <string.h>

#include "server/operation.h"

enum step run_ping(struct operation *operation)
{
    (void)operation;
    return STEP_DONE;
}

enum step run_build_info(struct operation *operation)
{
    bool is_current = operation->cluster->plan->server == PLAN_SERVER_CURRENT;
    bson_t list;
    bson_append_utf8(&operation->reply, "version", -1, is_current ? "8.0.4" : "4.4.29", -1);
    bson_append_array_begin(&operation->reply, "versionArray", -1, &list);
    bson_append_int32(&list, "0", 1, is_current ? 8 : 4);
    bson_append_int32(&list, "1", 1, is_current ? 0 : 4);
    bson_append_int32(&list, "2", 1, is_current ? 4 : 29);
    bson_append_int32(&list, "3", 1, 0);
    bson_append_array_end(&operation->reply, &list);
    bson_append_int32(&operation->reply, "bits", -1, 64);
    bson_append_bool(&operation->reply, "debug", -1, false);
    bson_append_int32(&operation->reply, "maxBsonObjectSize", -1, SERVER_DOCUMENT_BYTES_MAX);
    return STEP_DONE;
}

/* --- sessions --- */

static void end_session(struct cluster *cluster, const uint8_t id[16], unsigned user)
{
    int session = session_of(cluster, id, user);
    for (unsigned i = 0; i < cluster->member_count; i++) {
        struct member *member = &cluster->members[i];
        struct session_state *state = member_session(member, session);
        if (state->open != NULL && !state->is_checked_out)
            transaction_abort(member, state->open);
        cursors_end_session(&member->front, id, user);
    }
    if (cluster->has_mongos)
        cursors_end_session(&cluster->mongos, id, user);
}

/* Ends transactions and cursors; the statements that ran are remembered. */
enum step run_end_sessions(struct operation *operation)
{
    bson_iter_t list;
    bson_iter_t each;
    if (!bson_iter_init(&list, &operation->body) || !bson_iter_next(&list) ||
        !BSON_ITER_HOLDS_ARRAY(&list) || !bson_iter_recurse(&list, &each))
        return operation_fail(operation, 14, "%s needs an array", operation->command->name);
    while (bson_iter_next(&each)) {
        bson_iter_t id;
        uint32_t len = 0;
        const uint8_t *data = NULL;
        if (!BSON_ITER_HOLDS_DOCUMENT(&each) || !bson_iter_recurse(&each, &id) ||
            !bson_iter_find(&id, "id") || !BSON_ITER_HOLDS_BINARY(&id))
            return operation_fail(operation, 14, "a session needs an id");
        bson_iter_binary(&id, NULL, &len, &data);
        if (len == 16 && strcmp(operation->command->name, "endSessions") == 0)
            end_session(operation->cluster, data, operation->user);
    }
    cluster_wake(operation->cluster);
    return STEP_DONE;
}

enum step run_start_session(struct operation *operation)
{
    uint8_t id[16];
    bson_t session;
    for (size_t i = 0; i < sizeof id; i++)
        id[i] = (uint8_t)stream_next(&operation->connection->stream);
    bson_append_document_begin(&operation->reply, "id", 2, &session);
    bson_append_binary(&session, "id", 2, BSON_SUBTYPE_UUID, id, sizeof id);
    bson_append_document_end(&operation->reply, &session);
    bson_append_int32(&operation->reply, "timeoutMinutes", -1, 30);
    return STEP_DONE;
}

/* --- collections --- */

static void append_validator(bson_t *options)
{
    static bson_t *schema;
    bson_t validator;
    if (schema == NULL)
        schema = bson_new_from_json((const uint8_t *)APPLICATION_SCHEMA_STRICT, -1, NULL);
    bson_append_document_begin(options, "validator", -1, &validator);
    bson_append_document(&validator, "$jsonSchema", -1, schema);
    bson_append_document_end(options, &validator);
    bson_append_utf8(options, "validationLevel", -1, "strict", -1);
    bson_append_utf8(options, "validationAction", -1, "error", -1);
}

static void build_collection(const struct collection *collection, const char *name, size_t number,
                             bson_t *out)
{
    uint8_t uuid[16] = {0};
    bson_t part;
    bson_t key;
    bson_append_utf8(out, "name", -1, name, -1);
    bson_append_utf8(out, "type", -1, "collection", -1);
    bson_append_document_begin(out, "options", -1, &part);
    if (collection->strict)
        append_validator(&part);
    bson_append_document_end(out, &part);
    uuid[15] = (uint8_t)number;
    bson_append_document_begin(out, "info", -1, &part);
    bson_append_bool(&part, "readOnly", -1, false);
    bson_append_binary(&part, "uuid", -1, BSON_SUBTYPE_UUID, uuid, sizeof uuid);
    bson_append_document_end(out, &part);
    bson_append_document_begin(out, "idIndex", -1, &part);
    bson_append_int32(&part, "v", 1, 2);
    bson_append_document_begin(&part, "key", 3, &key);
    bson_append_int32(&key, "_id", 3, 1);
    bson_append_document_end(&part, &key);
    bson_append_utf8(&part, "name", -1, "_id_", -1);
    bson_append_document_end(out, &part);
}

enum step run_list_collections(struct operation *operation)
{
    const struct cluster *cluster = operation->cluster;
    size_t len = strlen(operation->database);
    char name[SERVER_NAMESPACE_BYTES];
    bson_t filter = BSON_INITIALIZER;
    bson_iter_t iter;
    struct batch batch;
    if (operation_field(operation, "filter", &iter) && BSON_ITER_HOLDS_DOCUMENT(&iter)) {
        uint32_t bytes = 0;
        const uint8_t *data = NULL;
        bson_iter_document(&iter, &bytes, &data);
        (void)bson_init_static(&filter, data, bytes);
    }
    answer_batch_begin(operation, &batch, true);
    for (size_t i = 0; i < cluster->collection_count; i++) {
        const struct collection *each = &cluster->collections[i];
        bson_t document = BSON_INITIALIZER;
        if (!each->exists || strncmp(each->name, operation->database, len) != 0 ||
            each->name[len] != '.')
            continue;
        build_collection(each, each->name + len + 1, i, &document);
        if (match_document(&filter, bson_get_data(&document), document.len))
            answer_batch_add(&batch, &document);
        bson_destroy(&document);
    }
    (void)snprintf(name, sizeof name, "%.35s.$cmd.listCollections", operation->database);
    answer_batch_end(operation, &batch, 0, name, NULL);
    return STEP_DONE;
}

enum step run_list_databases(struct operation *operation)
{
    bson_t list;
    bson_t one;
    bson_append_array_begin(&operation->reply, "databases", -1, &list);
    bson_append_document_begin(&list, "0", 1, &one);
    bson_append_utf8(&one, "name", -1, APPLICATION_DATABASE, -1);
    bson_append_document_end(&list, &one);
    bson_append_array_end(&operation->reply, &list);
    return STEP_DONE;
}

enum step run_create(struct operation *operation)
{
    char name[SERVER_NAMESPACE_BYTES];
    if (!operation_namespace(operation, name))
        return STEP_DONE;
    unsigned number = cluster_collection(operation->cluster, name);
    struct collection *collection = &operation->cluster->collections[number];
    if (collection->exists)
        return operation_fail(operation, 48, "Collection %s already exists.", name);
    collection->exists = true;
    return STEP_DONE;
}

#define LOGIN  COMMAND_NO_LOGIN
#define WRITES (COMMAND_WRITES | COMMAND_RETRYABLE)
#define IS                                                                                         \
    "helloOk client compression saslSupportedMechs speculativeAuthenticate topologyVersion "       \
    "maxAwaitTimeMS loadBalanced backpressure hostInfo internalClient forShell"

const struct command server_commands[] = {
    {"insert", WRITES, run_insert, "documents ordered bypassDocumentValidation stmtId stmtIds"},
    {"hello", LOGIN, run_hello, IS},
    {"isMaster", LOGIN, run_hello, IS},
    {"ismaster", LOGIN, run_hello, IS},
    {"find", COMMAND_READS, run_find,
     "filter sort projection limit batchSize singleBatch skip allowPartialResults hint"},
    {"update", WRITES, run_update, "updates ordered bypassDocumentValidation stmtId stmtIds let"},
    {"delete", WRITES, run_delete, "deletes ordered stmtId stmtIds let"},
    {"getMore", COMMAND_READS, run_get_more, "collection batchSize"},
    {"ping", LOGIN, run_ping, ""},
    {"bulkWrite", WRITES | COMMAND_ADMIN | COMMAND_CURRENT, run_bulk_write,
     "ops nsInfo ordered bypassDocumentValidation errorsOnly cursor stmtId stmtIds let"},
    {"commitTransaction", WRITES | COMMAND_ADMIN, run_commit, "recoveryToken"},
    {"abortTransaction", WRITES | COMMAND_ADMIN, run_abort, "recoveryToken"},
    {"aggregate", COMMAND_READS, run_aggregate, "pipeline cursor allowDiskUse hint let"},
    {"count", COMMAND_READS, run_count, "query limit skip hint"},
    {"killCursors", 0, run_kill_cursors, "cursors"},
    {"endSessions", 0, run_end_sessions, ""},
    {"refreshSessions", 0, run_end_sessions, ""},
    {"startSession", 0, run_start_session, ""},
    {"connectionStatus", LOGIN, run_connection_status, "showPrivileges"},
    {"saslStart", LOGIN, run_sasl_start, "mechanism payload options autoAuthorize"},
    {"saslContinue", LOGIN, run_sasl_continue, "conversationId payload"},
    {"logout", LOGIN, run_logout, ""},
    {"usersInfo", COMMAND_READS, run_users_info, "showCredentials showPrivileges"},
    {"buildInfo", LOGIN, run_build_info, ""},
    {"buildinfo", LOGIN, run_build_info, ""},
    {"listCollections", COMMAND_READS, run_list_collections,
     "filter nameOnly authorizedCollections cursor"},
    {"listDatabases", COMMAND_READS | COMMAND_ADMIN, run_list_databases, "filter nameOnly"},
    {"create", COMMAND_WRITES, run_create, NULL},
    {NULL, 0, NULL, NULL},
};
