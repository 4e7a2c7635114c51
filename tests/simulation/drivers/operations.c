#include "operations.h"

#include "application.h"
#include "check/check.h"

struct result step_command(struct operation *operation, const char *name, const char *database,
                           bson_t *body)
{
    struct command command = {.name = name, .database = database, .body = body, .retryable = true};
    struct result result = command_run(operation->client, &command);
    if (result.kind != RESULT_DONE) {
        step_check_failure(operation, name, &result);
    }
    return result;
}

void step_check_failure(const struct operation *operation, const char *name,
                        const struct result *result)
{
    if (result->kind == RESULT_REFUSED) {
        check_refusal(operation->client, name, result);
    } else if (result->kind != RESULT_DIED) {
        check_loss(operation->client, name);
    }
}

struct written *step_take_stored(struct operation *operation)
{
    struct written *written = step_choose_stored(operation);
    if (written == NULL) {
        struct batch batch = {.collection = documents_choose_collection(operation),
                              .ordered = true};
        documents_add(operation, &batch, false);
        documents_insert(operation, &batch);
        written = batch.entries[0].written;
        documents_release(operation, &batch);
        written = written->fate == FATE_STORED ? written : NULL;
    }
    if (written != NULL) {
        written_begin(written);
    }
    return written;
}

static void run_ping(struct operation *operation)
{
    bson_t body = BSON_INITIALIZER;
    BSON_APPEND_INT32(&body, "ping", 1);
    struct result result = step_command(operation, "ping", "admin", &body);
    result_release(&result);
    bson_destroy(&body);
}

/* The server names the client's own user, and no other. */
static void check_identity(const struct operation *operation, const struct result *result)
{
    const struct client *client = operation->client;
    char expected[32] = "";
    const char *told = "";
    bson_iter_t iter, user;
    if (client->what->user > 0) {
        bson_snprintf(expected, sizeof expected, APPLICATION_USER_FORMAT, client->what->user);
    }
    if (bson_iter_init(&iter, result->reply) &&
        bson_iter_find_descendant(&iter, "authInfo.authenticatedUsers.0.user", &user) &&
        BSON_ITER_HOLDS_UTF8(&user)) {
        told = bson_iter_utf8(&user, NULL);
    }
    bool dropped = told[0] == '\0' && plan_has_fault(client->plan, FAULT_USER);
    if (strcmp(told, expected) != 0 && !dropped) {
        check_fails(client, "identity", "connectionStatus", result->reply,
                    "the user of the connection is not the client's");
    }
}

static void run_whoami(struct operation *operation)
{
    bson_t body = BSON_INITIALIZER;
    BSON_APPEND_INT32(&body, "connectionStatus", 1);
    struct result result = step_command(operation, "connectionStatus", "admin", &body);
    if (result.kind == RESULT_DONE) {
        check_identity(operation, &result);
    }
    result_release(&result);
    bson_destroy(&body);
}

static void run_end_sessions(struct operation *operation)
{
    bson_t body = BSON_INITIALIZER;
    if (session_end_all(operation->client, &body) > 0) {
        struct result result = step_command(operation, "endSessions", "admin", &body);
        result_release(&result);
    }
    bson_destroy(&body);
}

static void run_insert(struct operation *operation)
{
    struct batch batch = {.collection = documents_choose_collection(operation), .ordered = true};
    documents_add(operation, &batch, false);
    documents_insert(operation, &batch);
    documents_release(operation, &batch);
}

/* Several documents; with PLAN_INSERT_REFUSED some break the schema, with PLAN_INSERT_DUPLICATE one
 * is stored already. */
static void run_insert_many(struct operation *operation)
{
    struct stream *stream = &operation->stream;
    enum plan_operation kind = operation->step->kind;
    bool alone = kind != PLAN_INSERT_MANY && stream_chance(stream, 500);
    unsigned count = alone ? 1 : (unsigned)stream_skewed(stream, 2, BATCH_MAX - 1);
    struct written *again = NULL;
    struct batch batch = {.collection = documents_choose_collection(operation),
                          .ordered = stream_chance(stream, 500)};
    if (kind == PLAN_INSERT_REFUSED) {
        batch.collection = APPLICATION_CHECKED;
    } else if (kind == PLAN_INSERT_DUPLICATE) {
        again = step_choose_stored(operation);
        batch.collection = again == NULL ? batch.collection : again->collection;
    }
    unsigned chosen = stream_below(stream, count);
    for (unsigned i = 0; i < count; i++) {
        if (i == chosen && again != NULL) {
            documents_add_again(operation, &batch, again);
        } else {
            bool breaks =
                kind == PLAN_INSERT_REFUSED && (i == chosen || stream_chance(stream, 200));
            documents_add(operation, &batch, breaks);
        }
    }
    documents_insert(operation, &batch);
    documents_release(operation, &batch);
}

static void run_die(struct operation *operation)
{
    client_die_soon(operation->client);
}

void step_run(struct operation *operation)
{
    static void (*const runs[PLAN_OPERATION_KINDS])(struct operation * operation) = {
        [PLAN_PING] = run_ping,
        [PLAN_INSERT] = run_insert,
        [PLAN_INSERT_MANY] = run_insert_many,
        [PLAN_INSERT_REFUSED] = run_insert_many,
        [PLAN_INSERT_DUPLICATE] = run_insert_many,
        [PLAN_INSERT_UNACKNOWLEDGED] = step_insert_unacknowledged,
        [PLAN_INCREMENT] = step_increment,
        [PLAN_DELETE] = step_delete,
        [PLAN_FIND] = step_find,
        [PLAN_CURSOR] = step_cursor,
        [PLAN_BULK] = step_bulk,
        [PLAN_TRANSACTION] = step_transaction,
        [PLAN_WHOAMI] = run_whoami,
        [PLAN_CHANGE_STREAM] = step_change_stream,
        [PLAN_END_SESSIONS] = run_end_sessions,
        [PLAN_DIE] = run_die,
    };
    int64_t begun_us = world_now_us(operation->client->world);
    runs[operation->step->kind](operation);
    check_duration(operation->client, operation->step, begun_us);
}
