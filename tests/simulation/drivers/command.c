#include <stdlib.h>
#include <string.h>

#include "application.h"
#include "check/check.h"

enum { OVERLOAD_RETRIES = 5, BACKOFF_BASE_MS = 100, BACKOFF_MOST_MS = 10000 };

/* One command with all of its attempts. */
struct run {
    struct client *client;
    const struct command *command;
    struct session *session;
    int64_t number; /* 0: no transaction number */
    unsigned overloads;
    bool retried;
    struct result result;
};

void result_release(struct result *result)
{
    bson_destroy(result->reply);
    result->reply = NULL;
}

/* The whole body: the command's own fields first. */
static void complete_body(struct client *client, const struct command *command,
                          const struct session *session, int64_t number, bson_t *out)
{
    bson_init(out);
    bson_concat(out, command->body);
    if (session != NULL) {
        BSON_APPEND_DOCUMENT(out, "lsid", session->lsid);
    }
    if (number > 0) {
        BSON_APPEND_INT64(out, "txnNumber", number);
    }
    if (session != NULL && client->cluster_time != NULL) {
        bson_concat(out, client->cluster_time);
    }
    BSON_APPEND_UTF8(out, "$db", command->database);
}

static void trace_send(const struct connection *connection, const struct command *command,
                       int32_t id, const bson_t *body)
{
    if (!world_traces(connection->client->world)) {
        return;
    }
    char *text = bson_as_relaxed_extended_json(body, NULL);
    client_trace(connection->client, "#%u sends %s %d: %.500s", connection->number, command->name,
                 id, text);
    bson_free(text);
    for (unsigned i = 0; i < command->sequence_count; i++) {
        const struct frame_sequence *sequence = &command->sequences[i];
        for (unsigned k = 0; k < sequence->count; k++) {
            text = bson_as_relaxed_extended_json(sequence->documents[k], NULL);
            client_trace(connection->client, "#%u   %s %u: %.300s", connection->number,
                         sequence->name, k, text);
            bson_free(text);
        }
    }
}

static int32_t write_command(struct connection *connection, const struct command *command,
                             const struct session *session, int64_t number, uint32_t flags,
                             struct frame_bytes *out)
{
    bson_t body;
    complete_body(connection->client, command, session, number, &body);
    int32_t id = client_connection_next_id(connection);
    frame_write_msg(out, id, flags, &body, command->sequences, command->sequence_count);
    trace_send(connection, command, id, &body);
    bson_destroy(&body);
    return id;
}

enum call_result command_call(struct connection *connection, const struct command *command,
                              struct session *session, int64_t number, bson_t **reply)
{
    struct frame_bytes bytes = {0};
    int32_t id = write_command(connection, command, session, number, 0, &bytes);
    enum call_result result =
        client_connection_call(connection, &bytes, id, command->name,
                               client_socket_timeout_us + command->awaits_us, reply);
    frame_release(&bytes);
    if (result == CALL_ANSWERED) {
        session_take_cluster_time(connection->client, *reply);
    } else if (session != NULL) {
        session->dirty = true;
    }
    return result;
}

bool command_send(struct connection *connection, const struct command *command)
{
    struct frame_bytes bytes = {0};
    write_command(connection, command, NULL, 0, FRAME_MORE_TO_COME, &bytes);
    bool sent = client_connection_send(connection, &bytes);
    frame_release(&bytes);
    return sent;
}

/* The codes after which a driver repeats a read. */
static bool is_retryable_read_code(int code)
{
    static const int codes[] = {6, 7, 89, 134, 262, 9001};
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return topology_is_state_change(code);
}

/* Errors after which nothing of the command can have run. */
static bool is_certain_refusal(const bson_t *reply, int code)
{
    static const int codes[] = {2, 9, 13, 14, 18, 20, 72, 262, 391, 462, 10107, 13435};
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return reply_has_label(reply, "NoWritesPerformed") ||
           (reply_has_label(reply, "SystemOverloadedError") &&
            reply_has_label(reply, "RetryableError"));
}

static void keep(struct run *run, enum result_kind kind, bson_t *reply, int code)
{
    struct result *result = &run->result;
    /* An error without writes does not tell how the first attempt ended. */
    if (result->reply != NULL && result->kind == RESULT_REFUSED && kind == RESULT_REFUSED &&
        reply_has_label(reply, "NoWritesPerformed")) {
        bson_destroy(reply);
        return;
    }
    result_release(result);
    result->kind = kind;
    result->reply = reply;
    result->code = code;
}

static bool may_retry(const struct run *run)
{
    return run->command->retryable && run->client->what->retries && !run->retried &&
           (!run->command->writes || run->number > 0);
}

/* Waits as the server told. False: no more attempts. */
static bool back_off(struct run *run, const bson_t *reply)
{
    struct client *client = run->client;
    if (!client->what->backpressure || run->overloads == OVERLOAD_RETRIES) {
        return false;
    }
    int64_t delay_ms = reply_integer(reply, "baseBackoffMS", BACKOFF_BASE_MS) << run->overloads++;
    delay_ms = delay_ms < BACKOFF_MOST_MS ? delay_ms : BACKOFF_MOST_MS;
    int64_t delay_us = delay_ms * 1000 * stream_below(&client->stream, 1000) / 1000;
    client_trace(client, "%s: waits %lld us, for the server is overloaded", run->command->name,
                 (long long)delay_us);
    return fiber_wait(delay_us);
}

/* The decision after an answer. True: another attempt. */
static bool take_answer(struct run *run, struct connection *connection, bson_t *reply)
{
    const struct command *command = run->command;
    int code = reply_code(reply);
    unsigned generation = connection->generation;
    struct server *server = connection->server;
    bool is_ok = reply_is_ok(reply);
    if (is_ok && reply_has_label(reply, "RetryableWriteError") && may_retry(run)) {
        /* writeConcernError of a server that goes down. */
        run->retried = true;
        keep(run, RESULT_DONE, reply, 0);
        run->result.maybe = true;
        return true;
    }
    if (is_ok) {
        keep(run, RESULT_DONE, reply, 0);
        return false;
    }
    if (!is_certain_refusal(reply, code)) {
        run->result.maybe = true;
    }
    topology_take_error(server, generation, reply, code);
    bool overloaded =
        reply_has_label(reply, "SystemOverloadedError") && reply_has_label(reply, "RetryableError");
    bool repeats = command->writes ? reply_has_label(reply, "RetryableWriteError")
                                   : is_retryable_read_code(code);
    keep(run, RESULT_REFUSED, reply, code);
    if (overloaded) {
        return back_off(run, run->result.reply);
    }
    if (repeats && may_retry(run)) {
        run->retried = true;
        return true;
    }
    return false;
}

static bool take_loss(struct run *run, struct connection *connection, enum call_result call)
{
    run->result.maybe = true;
    client_trace(run->client, "%s on #%u: %s", run->command->name, connection->number,
                 call == CALL_TIMED_OUT ? "no answer in time" : "the connection broke");
    if (call == CALL_TIMED_OUT) {
        check_patience(connection);
    } else {
        topology_take_loss(connection->server, connection->generation, false);
    }
    keep(run, RESULT_LOST, NULL, 0);
    bool again = may_retry(run);
    run->retried = true;
    return again;
}

static void end_as(struct run *run, enum result_kind kind)
{
    if (run->result.attempts == 0 || kind == RESULT_DIED) {
        keep(run, kind, NULL, 0);
    }
}

/* A number for a write that may be repeated, and a session where the server has them. */
static void prepare(struct run *run, const struct connection *connection)
{
    const struct command *command = run->command;
    if (run->session == NULL && !command->sessionless && connection->has_sessions) {
        run->session = session_check_out(run->client);
    }
    if (run->number == 0 && run->session != NULL && command->session == NULL && command->writes &&
        command->retryable && run->client->what->retries && !connection->is_standalone) {
        run->number = ++run->session->number;
    }
}

/* A connection, or the decision for another attempt in *again. */
static struct connection *get_connection(struct run *run, struct server *server, bool *again)
{
    struct connection *connection = NULL;
    int code = 0;
    switch (pool_check_out(server, &connection, &code)) {
    case CHECKOUT_DONE:
        return connection;
    case CHECKOUT_CANCELLED:
        end_as(run, RESULT_DIED);
        return NULL;
    case CHECKOUT_REFUSED:
        if (run->result.attempts == 0) {
            keep(run, RESULT_REFUSED, NULL, code);
        }
        return NULL;
    default:
        end_as(run, RESULT_UNSENT);
        *again = run->command->server == NULL && may_retry(run);
        run->retried = true;
        return NULL;
    }
}

/* Another thread of the application used the connection just before, for a w:0 write that changes
 * nothing. */
static void whisper(struct connection *connection)
{
    bson_t body = BSON_INITIALIZER, update = BSON_INITIALIZER, child;
    BSON_APPEND_UTF8(&body, "update", APPLICATION_OPEN);
    BSON_APPEND_DOCUMENT_BEGIN(&body, "writeConcern", &child);
    BSON_APPEND_INT32(&child, "w", 0);
    bson_append_document_end(&body, &child);
    BSON_APPEND_DOCUMENT_BEGIN(&update, "q", &child);
    BSON_APPEND_INT64(&child, "_id", -1);
    bson_append_document_end(&update, &child);
    BSON_APPEND_DOCUMENT_BEGIN(&update, "u", &child);
    bson_t set;
    BSON_APPEND_DOCUMENT_BEGIN(&child, "$set", &set);
    BSON_APPEND_INT32(&set, "n", 0);
    bson_append_document_end(&child, &set);
    bson_append_document_end(&update, &child);
    const bson_t *const updates[] = {&update};
    struct command command = {.name = "update (w:0)",
                              .database = APPLICATION_DATABASE,
                              .body = &body,
                              .sequences = {{"updates", updates, 1}},
                              .sequence_count = 1};
    (void)command_send(connection, &command); /* the command after it sees a loss */
    bson_destroy(&update);
    bson_destroy(&body);
}

/* True: another attempt. */
static bool attempt(struct run *run)
{
    struct client *client = run->client;
    const struct command *command = run->command;
    struct server *server = command->server != NULL ? command->server : topology_select(client);
    if (server == NULL) {
        end_as(run, client->alive ? RESULT_UNSENT : RESULT_DIED);
        return false;
    }
    bool again = false;
    struct connection *connection = get_connection(run, server, &again);
    if (connection == NULL) {
        return again;
    }
    prepare(run, connection);
    run->result.server = server;
    if (run->result.attempts++ == 0) {
        run->result.begun_us = world_now_us(client->world);
    }
    if (run->retried && client->what->whispers && stream_chance(&client->stream, 700)) {
        whisper(connection);
    }
    bson_t *reply;
    enum call_result call = command_call(connection, command, run->session, run->number, &reply);
    if (call == CALL_CANCELLED) {
        run->result.maybe = true;
        end_as(run, RESULT_DIED);
        pool_forget(connection, true);
        return false;
    }
    if (call == CALL_ANSWERED) {
        again = take_answer(run, connection, reply);
        pool_check_in(connection);
    } else {
        again = take_loss(run, connection, call);
        pool_forget(connection, call == CALL_TIMED_OUT);
    }
    return again;
}

struct result command_run(struct client *client, const struct command *command)
{
    struct run run = {.client = client, .command = command, .session = command->session};
    bool implicit = command->session == NULL;
    while (attempt(&run)) {
    }
    if (!client->alive) {
        run.result.kind = RESULT_DIED;
    }
    if (implicit && command->keeps_session) {
        run.result.session = run.session;
    } else if (implicit) {
        session_check_in(client, run.session);
    }
    return run.result;
}
