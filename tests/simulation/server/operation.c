/* The life of a command: it waits for its turn, runs, waits for its write concern, and answers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

enum { SHORT_SILENCE_US = 100000, LONGEST_SILENCE_US = 3000000 };

static void run(struct operation *operation);

/* --- the end --- */

static void unpark(struct operation *operation)
{
    if (!operation->is_parked)
        return;
    operation->is_parked = false;
    if (operation->parked_before != NULL)
        operation->parked_before->parked_next = operation->parked_next;
    else
        operation->cluster->parked = operation->parked_next;
    if (operation->parked_next != NULL)
        operation->parked_next->parked_before = operation->parked_before;
}

static void stop_timer(struct operation *operation)
{
    world_cancel(operation->cluster->world, operation->timer);
    operation->timer = NULL;
}

static void free_operation(struct operation *operation)
{
    unpark(operation);
    stop_timer(operation);
    if (operation->member != NULL)
        operation_check_in(operation);
    write_list_free(operation->writes);
    bson_destroy(&operation->reply);
    bson_destroy(&operation->extra);
    free(operation->own);
    free(operation->message);
    free(operation);
}

void operation_end(struct operation *operation)
{
    struct connection *connection = operation->connection;
    free_operation(operation);
    server_connection_next(connection);
}

static bool loses_answer(const struct operation *operation)
{
    const struct cluster *cluster = operation->cluster;
    return operation->started && operation_writes(operation) &&
           operation->connection->end != NULL &&
           world_now_us(cluster->world) < cluster->losing_until_us &&
           stream_chance(&operation->connection->stream, cluster->losing_per_mille);
}

/* 0: the connection breaks at once. A driver that lost its connection after a long silence comes
 * back soon; it finds its batch still under way if the second answer is lost after a short one. */
static int64_t draw_silence(struct stream *stream)
{
    if (stream_chance(stream, 400))
        return 0;
    return stream_chance(stream, 500) ? stream_skewed(stream, 1000, SHORT_SILENCE_US)
                                      : 1 + stream_below(stream, LONGEST_SILENCE_US);
}

static void lose_answer(struct operation *operation)
{
    struct connection *connection = operation->connection;
    int64_t silence_us = draw_silence(&connection->stream);
    world_trace(operation->cluster->world, operation->front->address,
                "loses connection %d before the answer to %s, after a silence of %lld us",
                connection->id, operation->command->name, (long long)silence_us);
    connection->in_start = connection->in_end;
    if (silence_us > 0)
        server_connection_fall_silent(connection, silence_us);
    operation_end(operation);
    if (silence_us == 0)
        server_connection_close(connection, true);
}

void operation_answer(struct operation *operation)
{
    if (loses_answer(operation)) {
        lose_answer(operation);
        return;
    }
    bool wants = !operation->is_over && (operation->flags & WIRE_MORE_TO_COME) == 0;
    if (wants && operation->connection->end != NULL) {
        bson_t document = BSON_INITIALIZER;
        reply_finish(operation, &document);
        (void)server_connection_send(operation->connection, operation->is_query, 0,
                                     operation->request_id, &document);
        bson_destroy(&document);
    }
    operation_end(operation);
}

enum step operation_fail(struct operation *operation, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(operation->text, sizeof operation->text, format, arguments);
    va_end(arguments);
    operation->code = code;
    return STEP_DONE;
}

/* --- parking --- */

static void park_is_late(void *arg)
{
    struct operation *operation = arg;
    operation->timer = NULL;
    operation->is_late = true;
    operation_resume(operation);
}

enum step operation_park(struct operation *operation, bool (*is_ready)(struct operation *),
                         int64_t deadline_us)
{
    struct cluster *cluster = operation->cluster;
    int64_t now_us = world_now_us(cluster->world);
    operation->is_ready = is_ready;
    operation->is_parked = true;
    operation->is_late = false;
    operation->parked_before = NULL;
    operation->parked_next = cluster->parked;
    if (cluster->parked != NULL)
        cluster->parked->parked_before = operation;
    cluster->parked = operation;
    if (deadline_us != 0)
        operation->timer =
            world_after(cluster->world, deadline_us > now_us ? deadline_us - now_us : 0,
                        park_is_late, operation);
    return STEP_PARKED;
}

void cluster_wake(struct cluster *cluster)
{
    struct operation *next = NULL;
    for (struct operation *each = cluster->parked; each != NULL; each = next) {
        next = each->parked_next;
        if (each->is_ready(each))
            operation_resume(each);
    }
}

static void finish(struct operation *operation)
{
    if (operation->member != NULL)
        operation_check_in(operation);
    if (concern_counts(operation))
        concern_wait(operation);
    else
        operation_answer(operation);
}

void operation_resume(struct operation *operation)
{
    unpark(operation);
    stop_timer(operation);
    if (operation->waits_concern)
        concern_end(operation);
    else
        run(operation);
}

/* --- where it runs --- */

static bool there_is_a_primary(struct operation *operation)
{
    return cluster_primary(operation->cluster) != NULL;
}

/* A mongos looks for a primary for some time. */
static enum step place_mongos(struct operation *operation)
{
    operation->member = cluster_primary(operation->cluster);
    if (operation->member != NULL)
        return STEP_GO_ON;
    if (operation->is_late)
        return operation_fail(operation, 133,
                              "Could not find host matching read preference { mode: \"primary\" } "
                              "for set rs");
    int64_t until_us = world_now_us(operation->cluster->world) + 20000000;
    int64_t deadline_us = operation_deadline(operation);
    return operation_park(operation, there_is_a_primary,
                          deadline_us != 0 && deadline_us < until_us ? deadline_us : until_us);
}

/* A command that runs on a member goes on there, also if the others have elected another one. */
static bool has_begun(const struct operation *operation)
{
    return operation->member != NULL && (operation->holds_session || operation->writes != NULL);
}

static enum step place(struct operation *operation)
{
    bool is_current = operation->cluster->plan->server == PLAN_SERVER_CURRENT;
    unsigned flags = operation->command->flags;
    if ((flags & (COMMAND_WRITES | COMMAND_READS)) == 0) {
        operation->member = operation->front->member;
        return STEP_GO_ON;
    }
    if (operation->front->member == NULL)
        return has_begun(operation) ? STEP_GO_ON : place_mongos(operation);
    operation->member = operation->front->member;
    enum member_role role = operation->member->role;
    if (role == MEMBER_PRIMARY)
        return STEP_GO_ON;
    if (flags & COMMAND_WRITES)
        return operation_fail(operation, 10107, is_current ? "not primary" : "not master");
    if (role == MEMBER_ROLLBACK)
        return operation_fail(operation, 13436,
                              is_current ? "node is not in primary or recovering state"
                                         : "not master or secondary; cannot currently read");
    if (!operation->reads_secondaries)
        return operation_fail(operation, 13435,
                              is_current ? "not primary and secondaryOk=false"
                                         : "not master and slaveOk=false");
    return STEP_GO_ON;
}

static bool has_time(struct operation *operation)
{
    const struct entry *last = member_last(operation->member);
    return last != NULL && (last->seconds > operation->after_seconds ||
                            (last->seconds == operation->after_seconds &&
                             last->increment >= operation->after_increment));
}

static enum step wait_time(struct operation *operation)
{
    const struct cluster *cluster = operation->cluster;
    if (operation->after_seconds == 0 || !cluster_is_set(cluster) || operation->member == NULL)
        return STEP_GO_ON;
    if (operation->after_seconds > cluster->seconds ||
        (operation->after_seconds == cluster->seconds &&
         operation->after_increment > cluster->increment))
        return operation_fail(operation, 72,
                              "readConcern afterClusterTime value must not be greater than the "
                              "current clusterTime");
    if (has_time(operation))
        return STEP_GO_ON;
    if (operation->member->role == MEMBER_PRIMARY) {
        (void)member_append(operation->member, ENTRY_NOTHING, -1, 0, NULL, NULL, 0);
        return STEP_GO_ON;
    }
    if (operation->is_late)
        return operation_fail(operation, 50, "operation exceeded time limit");
    return operation_park(operation, has_time, operation_deadline(operation));
}

/* --- running --- */

static void run_later(void *arg)
{
    struct operation *operation = arg;
    operation->timer = NULL;
    int64_t deadline_us = operation_deadline(operation);
    if (deadline_us != 0 && world_now_us(operation->cluster->world) >= deadline_us) {
        (void)operation_fail(operation, 50, "operation exceeded time limit");
        finish(operation);
        return;
    }
    run(operation);
}

static void run(struct operation *operation)
{
    enum step step = place(operation);
    if (step == STEP_GO_ON)
        step = wait_time(operation);
    if (step == STEP_GO_ON)
        step = operation->command->run(operation);
    if (step == STEP_DONE)
        finish(operation);
    else if (step == STEP_AGAIN)
        operation->timer =
            world_after(operation->cluster->world, operation->again_us, run_later, operation);
}

static bool is_overloaded(struct operation *operation)
{
    struct cluster *cluster = operation->cluster;
    return cluster->plan->server == PLAN_SERVER_CURRENT &&
           operation->connection->says_backpressure &&
           (operation->command->flags & COMMAND_NO_LOGIN) == 0 &&
           world_now_us(cluster->world) < cluster->overload_until_us &&
           stream_chance(&operation->connection->stream, cluster->overload_per_mille);
}

static bool check_rights(struct operation *operation)
{
    const char *database = operation->database;
    unsigned flags = operation->command->flags;
    operation->user = server_connection_user(operation->connection);
    if (operation->cluster->plan->users == 0 || (flags & COMMAND_NO_LOGIN) != 0)
        return true;
    if (operation->user == 0) {
        (void)operation_fail(operation, 13, "command %s requires authentication",
                             operation->command->name);
        return false;
    }
    if (strcmp(database, APPLICATION_DATABASE) == 0 || strcmp(database, "admin") == 0)
        return true;
    (void)operation_fail(operation, 13, "not authorized on %s to execute command { %s: ... }",
                         database, operation->command->name);
    return false;
}

static bool check_place(struct operation *operation)
{
    unsigned flags = operation->command->flags;
    bool is_current = operation->cluster->plan->server == PLAN_SERVER_CURRENT;
    const char *name = operation->command->name;
    if (operation->is_query && is_current && operation->command->run != run_hello)
        (void)operation_fail(operation, 352,
                             "Unsupported OP_QUERY command: %s. The client driver "
                             "may require an upgrade.",
                             name);
    else if (operation->database[0] == 0)
        (void)operation_fail(operation, 40571, "OP_MSG requests require a $db argument");
    else if ((flags & COMMAND_ADMIN) && strcmp(operation->database, "admin") != 0)
        (void)operation_fail(operation, 13, "%s may only be run against the admin database.", name);
    else
        return true;
    return false;
}

static void count_command(struct cluster *cluster, const char *name)
{
    for (unsigned i = 0; i < cluster->count_count; i++) {
        if (cluster->counts[i].name == name) {
            cluster->counts[i].count++;
            return;
        }
    }
    if (cluster->count_count == sizeof cluster->counts / sizeof cluster->counts[0])
        abort();
    cluster->counts[cluster->count_count++] = (struct command_count){name, 1};
}

static void start(void *arg)
{
    struct operation *operation = arg;
    operation->timer = NULL;
    operation->started = true;
    if (operation->command == NULL) {
        bson_iter_t first;
        bool any = bson_iter_init(&first, &operation->body) && bson_iter_next(&first);
        (void)operation_fail(operation, 59, "no such command: '%s'",
                             any ? bson_iter_key(&first) : "");
        operation_answer(operation);
        return;
    }
    count_command(operation->cluster, operation->command->name);
    if (!request_read_fields(operation) || !check_place(operation) || !check_rights(operation)) {
        operation_answer(operation);
        return;
    }
    if (is_overloaded(operation)) {
        operation->is_overloaded = true;
        (void)operation_fail(operation, 462, "The server is overloaded");
        operation_answer(operation);
        return;
    }
    if (operation->has_lsid)
        operation->session = session_of(operation->cluster, operation->lsid, operation->user);
    run(operation);
}

static const struct command *find_command(const struct operation *operation)
{
    bson_iter_t first;
    if (!bson_iter_init(&first, &operation->body) || !bson_iter_next(&first))
        return NULL;
    for (const struct command *each = server_commands; each->name != NULL; each++) {
        if (strcmp(each->name, bson_iter_key(&first)) != 0)
            continue;
        bool is_too_new = (each->flags & COMMAND_CURRENT) != 0 &&
                          operation->cluster->plan->server != PLAN_SERVER_CURRENT;
        return is_too_new ? NULL : each;
    }
    return NULL;
}

bool operation_begin(struct connection *connection, uint8_t *message, uint32_t len)
{
    struct operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL)
        abort();
    operation->connection = connection;
    operation->front = connection->front;
    operation->cluster = connection->front->cluster;
    operation->message = message;
    operation->message_len = len;
    operation->session = -1;
    operation->concern_members = -1;
    operation->began_us = world_now_us(operation->cluster->world);
    bson_init(&operation->reply);
    bson_init(&operation->extra);
    if (!request_read(operation)) {
        free_operation(operation);
        return false;
    }
    operation->is_majority = operation->cluster->plan->server == PLAN_SERVER_CURRENT;
    operation->command = find_command(operation);
    connection->running = operation;
    int64_t delay_us = stream_skewed(&connection->stream, 10, 300);
    if (connection->front->member != NULL && connection->front->member->disk_us > 0)
        delay_us += stream_skewed(&connection->stream, 0, connection->front->member->disk_us);
    operation->timer = world_after(operation->cluster->world, delay_us, start, operation);
    return true;
}

/* --- clients that are gone, members that are no primary any more --- */

void operation_orphan(struct operation *operation, bool reset)
{
    bool is_unread =
        reset && !operation->started && stream_chance(&operation->connection->stream, 500);
    if (!operation->front->is_up || is_unread || !operation_writes(operation) ||
        operation->waits_concern)
        operation_end(operation);
}

/* A mongos tries a retryable command again elsewhere. */
static bool try_again(struct operation *operation)
{
    bool is_retryable = operation->front->member == NULL && operation->has_number &&
                        (operation->command->flags & COMMAND_RETRYABLE) != 0 &&
                        (!operation->in_transaction || operation_ends_transaction(operation));
    if (!is_retryable || operation->attempts++ >= 3)
        return false;
    operation_check_in(operation);
    write_list_free(operation->writes);
    operation->writes = NULL;
    operation->waits_concern = false;
    operation->answers_set = false;
    operation->has_written = false;
    operation->concern_code = 0;
    operation->code = 0;
    bson_reinit(&operation->reply);
    operation->member = NULL;
    operation->timer = world_after(operation->cluster->world, 1000, run_later, operation);
    return true;
}

static void interrupt(struct operation *operation, int code)
{
    unpark(operation);
    stop_timer(operation);
    if (try_again(operation))
        return;
    const char *text = code == 6 ? "connection closed" : "operation was interrupted";
    if (operation->waits_concern) {
        operation->concern_code = code;
        operation->concern_text = text;
    } else {
        (void)operation_fail(operation, code, "%s", text);
    }
    if (operation->member != NULL)
        operation_check_in(operation);
    operation_answer(operation);
}

static void kill_of_front(struct front *front, const struct member *member, int code)
{
    struct connection *next = NULL;
    for (struct connection *each = front->connections; each != NULL; each = next) {
        next = each->next;
        struct operation *operation = each->running;
        if (operation != NULL && operation->started && operation->member == member &&
            operation_writes(operation))
            interrupt(operation, code);
    }
}

void member_kill_operations(struct member *member, int code)
{
    kill_of_front(&member->front, member, code);
    if (member->cluster->has_mongos)
        kill_of_front(&member->cluster->mongos, member, code);
}
