/* hello and isMaster, also awaited (maxAwaitTimeMS) and streamed (exhaustAllowed). Source: the
 * driver specification "Server Discovery and Monitoring". */
#include <string.h>

#include "server/operation.h"

static bool is_legacy(const struct operation *operation)
{
    return strcmp(operation->command->name, "hello") != 0;
}

static void append_set(const struct member *member, bool legacy, bson_t *out)
{
    const struct cluster *cluster = member->cluster;
    bson_t hosts;
    char key[2] = "0";
    bson_append_array_begin(out, "hosts", -1, &hosts);
    for (unsigned i = 0; i < cluster->member_count; i++) {
        key[0] = (char)('0' + i);
        bson_append_utf8(&hosts, key, 1, cluster->members[i].front.address, -1);
    }
    bson_append_array_end(out, &hosts);
    bson_append_utf8(out, "setName", -1, "rs", -1);
    bson_append_int32(out, "setVersion", -1, 1);
    bson_append_bool(out, legacy ? "ismaster" : "isWritablePrimary", -1,
                     member->role == MEMBER_PRIMARY);
    bson_append_bool(out, "secondary", -1, member->role == MEMBER_SECONDARY);
    if (member->primary >= 0)
        bson_append_utf8(out, "primary", -1, cluster->members[member->primary].front.address, -1);
    bson_append_utf8(out, "me", -1, member->front.address, -1);
    if (member->role == MEMBER_PRIMARY)
        append_election_id(member, out);
}

static void append_last_write(const struct member *member, bson_t *out)
{
    bson_t write;
    const struct entry *last = member_last(member);
    const struct entry *majority =
        member->committed == 0 ? NULL : member->log[member->committed - 1];
    bson_append_document_begin(out, "lastWrite", -1, &write);
    append_op_time(&write, "opTime", last);
    bson_append_date_time(&write, "lastWriteDate", -1, last == NULL ? 0 : last->seconds * 1000LL);
    append_op_time(&write, "majorityOpTime", majority);
    bson_append_date_time(&write, "majorityWriteDate", -1,
                          majority == NULL ? 0 : majority->seconds * 1000LL);
    bson_append_document_end(out, &write);
}

static void append_limits(const struct operation *operation, bson_t *out)
{
    const struct cluster *cluster = operation->cluster;
    bool is_current = cluster->plan->server == PLAN_SERVER_CURRENT;
    bson_append_int32(out, "maxBsonObjectSize", -1, SERVER_DOCUMENT_BYTES_MAX);
    bson_append_int32(out, "maxMessageSizeBytes", -1, SERVER_MESSAGE_BYTES_MAX);
    bson_append_int32(out, "maxWriteBatchSize", -1, SERVER_BATCH_DOCUMENTS_MAX);
    bson_append_date_time(out, "localTime", -1, cluster_wall_ms(cluster));
    bson_append_int32(out, "logicalSessionTimeoutMinutes", -1, 30);
    bson_append_int32(out, "connectionId", -1, operation->connection->id);
    bson_append_int32(out, "minWireVersion", -1, 0);
    bson_append_int32(out, "maxWireVersion", -1, is_current ? 25 : 9);
    if (operation->front->member != NULL)
        bson_append_bool(out, "readOnly", -1, false);
}

static void append_mechanisms(struct operation *operation, bson_t *out)
{
    bson_iter_t asked;
    bson_t list;
    unsigned user = 0;
    if (!operation_field(operation, "saslSupportedMechs", &asked) || !BSON_ITER_HOLDS_UTF8(&asked))
        return;
    user = user_of_name(operation->cluster, bson_iter_utf8(&asked, NULL), true);
    bson_append_array_begin(out, "saslSupportedMechs", -1, &list);
    if (user != 0) {
        bson_append_utf8(&list, "0", 1, "SCRAM-SHA-1", -1);
        bson_append_utf8(&list, "1", 1, "SCRAM-SHA-256", -1);
    }
    bson_append_array_end(out, &list);
}

static void append_speculative(struct operation *operation, bson_t *out)
{
    bson_iter_t asked;
    bson_t start;
    bson_t reply = BSON_INITIALIZER;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!operation_field(operation, "speculativeAuthenticate", &asked) ||
        !BSON_ITER_HOLDS_DOCUMENT(&asked))
        return;
    bson_iter_document(&asked, &len, &data);
    if (bson_init_static(&start, data, len) && scram_begin(operation->connection, &start, &reply))
        bson_append_document(out, "speculativeAuthenticate", -1, &reply);
    bson_destroy(&reply);
}

static void build(struct operation *operation, bson_t *out, bool is_first)
{
    const struct member *member = operation->front->member;
    bool legacy = is_legacy(operation);
    bson_iter_t hello_ok;
    if (operation_field(operation, "helloOk", &hello_ok) && bson_iter_as_bool(&hello_ok))
        bson_append_bool(out, "helloOk", -1, true);
    append_topology_version(operation->front, out);
    if (cluster_is_set(operation->cluster) && member != NULL) {
        append_set(member, legacy, out);
        append_last_write(member, out);
    } else {
        bson_append_bool(out, legacy ? "ismaster" : "isWritablePrimary", -1, true);
        if (member == NULL)
            bson_append_utf8(out, "msg", -1, "isdbgrid", -1);
    }
    append_limits(operation, out);
    if (is_first) {
        append_mechanisms(operation, out);
        append_speculative(operation, out);
    }
    bson_append_double(out, "ok", 2, 1.0);
    reply_times(operation, out);
}

/* --- awaiting --- */

struct awaiting {
    int64_t counter; /* the last that the client saw */
    int64_t wait_us;
    int32_t answers_to; /* the requestID of the message before */
    bool streams;
};

static bool has_changed(struct operation *operation)
{
    const struct awaiting *awaiting = operation->own;
    return operation->front->topology_counter != awaiting->counter;
}

/* True if the client waits for a change of the state that it has. */
static bool begin_awaiting(struct operation *operation, struct awaiting *out)
{
    bson_iter_t version;
    bson_iter_t child;
    bson_iter_t counter;
    int64_t wait_ms = operation_int(operation, "maxAwaitTimeMS", -1);
    *out = (struct awaiting){.wait_us = wait_ms * 1000,
                             .answers_to = operation->request_id,
                             .streams = (operation->flags & WIRE_EXHAUST_ALLOWED) != 0,
                             .counter = -1};
    if (wait_ms < 0 || !operation_field(operation, "topologyVersion", &version))
        return false;
    if (!bson_iter_recurse(&version, &child) || !bson_iter_find(&child, "processId") ||
        !BSON_ITER_HOLDS_OID(&child) || !bson_iter_recurse(&version, &counter) ||
        !bson_iter_find(&counter, "counter"))
        return false;
    if (memcmp(bson_iter_oid(&child)->bytes, operation->front->process_id, 12) == 0)
        out->counter = bson_iter_as_int64(&counter);
    return true;
}

static int64_t wait_until(const struct operation *operation, const struct awaiting *awaiting)
{
    return world_now_us(operation->cluster->world) + awaiting->wait_us + 1;
}

/* Sends one answer of a stream and waits for the next. */
static enum step stream_on(struct operation *operation, struct awaiting *awaiting)
{
    bson_t document = BSON_INITIALIZER;
    build(operation, &document, false);
    awaiting->answers_to = server_connection_send(operation->connection, false, WIRE_MORE_TO_COME,
                                                  awaiting->answers_to, &document);
    bson_destroy(&document);
    awaiting->counter = operation->front->topology_counter;
    return operation_park(operation, has_changed, wait_until(operation, awaiting));
}

static enum step answer_once(struct operation *operation)
{
    bson_t document = BSON_INITIALIZER;
    build(operation, &document, true);
    if ((operation->flags & WIRE_MORE_TO_COME) == 0 && operation->connection->end != NULL)
        (void)server_connection_send(operation->connection, operation->is_query, 0,
                                     operation->request_id, &document);
    bson_destroy(&document);
    operation->is_over = true;
    return STEP_DONE;
}

static bool check_client(struct operation *operation)
{
    bson_iter_t client;
    if (!operation_field(operation, "client", &client))
        return true;
    if (operation->connection->has_metadata) {
        (void)operation_fail(operation, 186,
                             "The client metadata document may only be sent in the first hello");
        return false;
    }
    operation->connection->has_metadata = true;
    return true;
}

enum step run_hello(struct operation *operation)
{
    struct awaiting awaiting;
    bson_iter_t said;
    if (operation->own != NULL) {
        struct awaiting *own = operation->own;
        return own->streams ? stream_on(operation, own) : answer_once(operation);
    }
    if (!check_client(operation))
        return STEP_DONE;
    if (operation_field(operation, "backpressure", &said))
        operation->connection->says_backpressure = true;
    if (!begin_awaiting(operation, &awaiting))
        return answer_once(operation);
    if (awaiting.counter > operation->front->topology_counter)
        return operation_fail(operation, 31382,
                              "Received a topology version with counter: %lld which is greater "
                              "than the server topology version counter: %lld",
                              (long long)awaiting.counter,
                              (long long)operation->front->topology_counter);
    operation->own = bson_malloc(sizeof awaiting);
    memcpy(operation->own, &awaiting, sizeof awaiting);
    if (has_changed(operation))
        return awaiting.streams ? stream_on(operation, operation->own) : answer_once(operation);
    return operation_park(operation, has_changed, wait_until(operation, &awaiting));
}
