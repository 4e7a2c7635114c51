#include "application.h"
#include "check/check.h"
#include "operations.h"

/* Sends each document of the batch as an insert without an acknowledgement. False: it broke. */
static bool send_all(struct batch *batch, struct connection *connection)
{
    for (unsigned i = 0; i < batch->count; i++) {
        const bson_t *const documents[] = {batch->entries[i].document};
        batch->entries[i].written->begun_us = world_now_us(connection->client->world);
        bson_t body = BSON_INITIALIZER, concern;
        BSON_APPEND_UTF8(&body, "insert", batch->collection);
        BSON_APPEND_BOOL(&body, "ordered", true);
        BSON_APPEND_DOCUMENT_BEGIN(&body, "writeConcern", &concern);
        BSON_APPEND_INT32(&concern, "w", 0);
        bson_append_document_end(&body, &concern);
        struct command command = {.name = "insert (w:0)",
                                  .database = APPLICATION_DATABASE,
                                  .body = &body,
                                  .sequences = {{"documents", documents, 1}},
                                  .sequence_count = 1};
        bool sent = command_send(connection, &command);
        bson_destroy(&body);
        if (!sent) {
            return false;
        }
    }
    return true;
}

static bool is_refused(const struct operation *operation, const struct batch_entry *entry)
{
    const struct client *client = operation->client;
    return entry->breaks && client->plan->schemas &&
           !schema_may_accept(client->world, entry->written->begun_us);
}

/* A find of the last document, on the same connection: all writes before it have run. */
static enum call_result look_back(struct operation *operation, struct batch *batch,
                                  struct connection *connection, bson_t **reply)
{
    struct client *client = operation->client;
    int64_t token = batch->entries[batch->count - 1].written->token;
    struct session *session = connection->has_sessions ? session_check_out(client) : NULL;
    bson_t body = BSON_INITIALIZER, filter;
    BSON_APPEND_UTF8(&body, "find", batch->collection);
    BSON_APPEND_DOCUMENT_BEGIN(&body, "filter", &filter);
    BSON_APPEND_INT64(&filter, "_id", token);
    bson_append_document_end(&body, &filter);
    struct command command = {.name = "find", .database = APPLICATION_DATABASE, .body = &body};
    enum call_result result = command_call(connection, &command, session, 0, reply);
    session_check_in(client, session);
    bson_destroy(&body);
    return result;
}

static void take_find(struct operation *operation, struct batch *batch, const bson_t *reply)
{
    const struct client *client = operation->client;
    const struct batch_entry *last = &batch->entries[batch->count - 1];
    bson_iter_t iter;
    bson_t document;
    bool started = false;
    bool found = step_next_document(reply, "firstBatch", &iter, &started, &document);
    if (!reply_is_ok(reply)) {
        struct result result = {.code = reply_code(reply), .reply = (bson_t *)reply};
        check_refusal(client, "find", &result);
        return;
    }
    bool must = !is_refused(operation, last) && !plan_can_roll_back(client->plan) &&
                !plan_has_fault(client->plan, FAULT_USER) &&
                !plan_has_fault(client->plan, FAULT_DISK_FULL) &&
                !(client->what->backpressure && plan_has_fault(client->plan, FAULT_OVERLOAD));
    if (found && is_refused(operation, last)) {
        check_fails(client, "schema holds", "find", reply,
                    "an unacknowledged insert stored a document that breaks the schema");
    } else if (!found && must && !last->breaks) {
        check_fails(client, "unacknowledged in order", "find", reply,
                    "an unacknowledged insert on this connection has not run before the find");
    } else if (found) {
        check_document(client, batch->collection, &document, client->moment);
    }
    for (unsigned i = 0; i < batch->count; i++) {
        struct batch_entry *entry = &batch->entries[i];
        if (must && !entry->breaks) {
            entry->written->fate = FATE_STORED;
        } else if (is_refused(operation, entry)) {
            entry->written->fate = FATE_ABSENT;
        }
    }
}

static struct connection *get_connection(struct operation *operation)
{
    struct connection *connection = NULL;
    int code = 0;
    struct server *server = topology_select(operation->client);
    if (server == NULL) {
        return NULL;
    }
    struct result result = {0};
    switch (pool_check_out(server, &connection, &code)) {
    case CHECKOUT_DONE:
        return connection;
    case CHECKOUT_REFUSED:
        result.code = code;
        check_refusal(operation->client, "login", &result);
        return NULL;
    case CHECKOUT_CANCELLED:
        return NULL;
    default:
        check_loss(operation->client, "insert (w:0)");
        return NULL;
    }
}

void step_insert_unacknowledged(struct operation *operation)
{
    struct client *client = operation->client;
    struct connection *connection = get_connection(operation);
    if (connection == NULL) {
        return;
    }
    struct stream *stream = &operation->stream;
    struct batch batch = {.collection = documents_choose_collection(operation), .ordered = true};
    unsigned count = stream_below(stream, 3);
    for (unsigned i = 0; i <= count; i++) {
        bool breaks =
            batch.collection[0] == 'c' && client->plan->schemas && stream_chance(stream, 200);
        documents_add(operation, &batch, breaks);
    }
    bson_t *reply = NULL;
    enum call_result result = CALL_LOST;
    bool looks = stream_chance(stream, 750);
    if (send_all(&batch, connection) && looks) {
        result = look_back(operation, &batch, connection, &reply);
    }
    if (result == CALL_ANSWERED) {
        if (client->what->user == 0 && client->plan->users > 0) {
            check_refusal(client, "find", &(struct result){.code = reply_code(reply)});
        } else {
            take_find(operation, &batch, reply);
        }
    } else if (looks && client->alive) {
        check_loss(client, "find");
        topology_take_loss(connection->server, connection->generation, false);
    }
    for (unsigned i = 0; i < batch.count && client->what->user == 0 && client->plan->users > 0;
         i++) {
        batch.entries[i].written->fate = FATE_ABSENT;
    }
    bson_destroy(reply);
    documents_release(operation, &batch);
    if (result == CALL_ANSWERED || (!looks && client->alive)) {
        pool_check_in(connection);
    } else {
        pool_forget(connection, true);
    }
}
