#include "application.h"
#include "check/check.h"
#include "operations.h"

enum { ATTEMPTS_MOST = 8, COMMITS_MOST = 12 };

/* An application's withTransaction: two inserts and an increment, all or nothing. */
struct transaction {
    struct operation *operation;
    struct batch batch;      /* of two collections, one document each */
    struct written *counted; /* NULL: no increment */
    struct session *session;
    struct server *server; /* mongos: all statements go to one */
    bool started;
};

enum outcome { OUTCOME_DONE, OUTCOME_AGAIN, OUTCOME_FAILED, OUTCOME_UNKNOWN };

/* Sends one statement or the end of the transaction. */
static struct result send(struct transaction *transaction, const char *name, bson_t *body,
                          const char *sequence, const bson_t *document)
{
    const bson_t *const documents[] = {document};
    bool ends = document == NULL;
    struct command command = {.name = name,
                              .database = ends ? "admin" : APPLICATION_DATABASE,
                              .body = body,
                              .sequences = {{sequence, documents, 1}},
                              .sequence_count = ends ? 0 : 1,
                              .session = transaction->session,
                              .server = transaction->server};
    BSON_APPEND_INT64(body, "txnNumber", transaction->session->number);
    if (!transaction->started) {
        BSON_APPEND_BOOL(body, "startTransaction", true);
        transaction->started = true;
    }
    BSON_APPEND_BOOL(body, "autocommit", false);
    struct result result = command_run(transaction->operation->client, &command);
    if (transaction->operation->client->plan->topology == PLAN_MONGOS) {
        transaction->server = result.server;
    }
    return result;
}

static void check_failure(const struct transaction *transaction, const char *name,
                          const struct result *result)
{
    if (result->kind == RESULT_REFUSED && result->code == 251) {
        /* The server aborted it, after a loss of ours or of its own. */
        const struct plan *plan = transaction->operation->client->plan;
        if (!plan_can_lose(plan)) {
            check_refusal(transaction->operation->client, name, result);
        }
        return;
    }
    step_check_failure(transaction->operation, name, result);
}

/* The decision after a statement. */
static enum outcome judge(const struct transaction *transaction, const char *name,
                          const struct result *result)
{
    if (result->kind == RESULT_DONE) {
        if (reply_integer(result->reply, "n", -1) == 1 ||
            (name[0] == 'u' &&
             !written_is_visible(transaction->operation->client, transaction->counted))) {
            return OUTCOME_DONE;
        }
        check_fails(transaction->operation->client, "result counts", name, result->reply,
                    "a statement of a transaction did not count one document");
        return OUTCOME_FAILED;
    }
    check_failure(transaction, name, result);
    bool transient = result->kind == RESULT_LOST || result->kind == RESULT_UNSENT ||
                     reply_has_label(result->reply, "TransientTransactionError");
    return result->kind != RESULT_DIED && transient ? OUTCOME_AGAIN : OUTCOME_FAILED;
}

static enum outcome insert(struct transaction *transaction, const struct batch_entry *entry)
{
    bson_t body = BSON_INITIALIZER;
    BSON_APPEND_UTF8(&body, "insert", entry->written->collection);
    BSON_APPEND_BOOL(&body, "ordered", true);
    struct result result = send(transaction, "insert", &body, "documents", entry->document);
    enum outcome outcome = judge(transaction, "insert", &result);
    result_release(&result);
    bson_destroy(&body);
    return outcome;
}

static enum outcome increment(struct transaction *transaction)
{
    bson_t body = BSON_INITIALIZER, statement = BSON_INITIALIZER, part, change;
    BSON_APPEND_UTF8(&body, "update", transaction->counted->collection);
    BSON_APPEND_DOCUMENT_BEGIN(&statement, "q", &part);
    BSON_APPEND_INT64(&part, "_id", transaction->counted->token);
    bson_append_document_end(&statement, &part);
    BSON_APPEND_DOCUMENT_BEGIN(&statement, "u", &part);
    BSON_APPEND_DOCUMENT_BEGIN(&part, "$inc", &change);
    BSON_APPEND_INT64(&change, "i", 1);
    bson_append_document_end(&part, &change);
    bson_append_document_end(&statement, &part);
    struct result result = send(transaction, "update", &body, "updates", &statement);
    enum outcome outcome = judge(transaction, "update", &result);
    result_release(&result);
    bson_destroy(&statement);
    bson_destroy(&body);
    return outcome;
}

static enum outcome run_statements(struct transaction *transaction)
{
    enum outcome outcome = OUTCOME_DONE;
    for (unsigned i = 0; i < transaction->batch.count && outcome == OUTCOME_DONE; i++) {
        outcome = insert(transaction, &transaction->batch.entries[i]);
    }
    if (outcome == OUTCOME_DONE && transaction->counted != NULL) {
        outcome = increment(transaction);
    }
    return outcome;
}

static void append_majority(bson_t *command)
{
    bson_t concern;
    BSON_APPEND_DOCUMENT_BEGIN(command, "writeConcern", &concern);
    BSON_APPEND_UTF8(&concern, "w", "majority");
    BSON_APPEND_INT32(&concern, "wtimeout", 10000);
    bson_append_document_end(command, &concern);
}

/* UnknownTransactionCommitResult, as drivers set it. */
static bool is_unknown_commit(const struct result *result)
{
    if (result->kind == RESULT_LOST || result->kind == RESULT_UNSENT) {
        return true;
    }
    return reply_has_label(result->reply, "UnknownTransactionCommitResult") ||
           reply_has_label(result->reply, "RetryableWriteError") || result->code == 50 ||
           topology_is_state_change(result->code) ||
           (result->reply != NULL && bson_has_field(result->reply, "writeConcernError"));
}

/* *majority: of the acknowledged commit. */
static enum outcome commit(struct transaction *transaction, bool *majority)
{
    struct client *client = transaction->operation->client;
    bool unknown = false;
    for (unsigned i = 0; i < COMMITS_MOST; i++) {
        bson_t body = BSON_INITIALIZER;
        BSON_APPEND_INT32(&body, "commitTransaction", 1);
        if (i > 0) {
            append_majority(&body);
        } else {
            step_append_concern(transaction->operation, &body);
        }
        struct result result = send(transaction, "commitTransaction", &body, NULL, NULL);
        bson_destroy(&body);
        bool concern_failed =
            result.reply != NULL && bson_has_field(result.reply, "writeConcernError");
        enum outcome outcome = OUTCOME_DONE;
        if (result.kind == RESULT_DONE && !concern_failed) {
            *majority = i > 0 || client->what->majority;
        } else if (result.kind == RESULT_DIED) {
            outcome = OUTCOME_UNKNOWN;
        } else {
            if (!concern_failed) {
                check_failure(transaction, "commitTransaction", &result);
            }
            bool again = reply_has_label(result.reply, "TransientTransactionError");
            outcome = is_unknown_commit(&result) ? OUTCOME_UNKNOWN
                      : again                    ? OUTCOME_AGAIN
                      : unknown                  ? OUTCOME_UNKNOWN
                                                 : OUTCOME_FAILED;
            unknown = unknown || outcome == OUTCOME_UNKNOWN;
        }
        result_release(&result);
        if (outcome != OUTCOME_UNKNOWN || !client->alive) {
            return outcome;
        }
        if (!fiber_wait(5000 << (i < 8 ? i : 8))) {
            return OUTCOME_UNKNOWN;
        }
    }
    return OUTCOME_UNKNOWN;
}

/* As well as it goes: its answer does not matter. */
static void abort_transaction(struct transaction *transaction)
{
    if (!transaction->started || !transaction->operation->client->alive) {
        return;
    }
    bson_t body = BSON_INITIALIZER;
    BSON_APPEND_INT32(&body, "abortTransaction", 1);
    struct result result = send(transaction, "abortTransaction", &body, NULL, NULL);
    if (result.kind != RESULT_DONE && result.code != 251) {
        check_failure(transaction, "abortTransaction", &result);
    }
    result_release(&result);
    bson_destroy(&body);
}

/* One call of the application's function, and the commit. */
static enum outcome run_once(struct transaction *transaction, bool gives_up, bool *majority)
{
    transaction->session->number++;
    transaction->started = false;
    transaction->server = NULL;
    enum outcome outcome = run_statements(transaction);
    if (outcome != OUTCOME_DONE || gives_up) {
        abort_transaction(transaction);
        return outcome == OUTCOME_DONE ? OUTCOME_FAILED : outcome;
    }
    return commit(transaction, majority);
}

static void note(struct transaction *transaction, enum outcome outcome, bool majority)
{
    for (unsigned i = 0; i < transaction->batch.count; i++) {
        struct written *written = transaction->batch.entries[i].written;
        written->fate = outcome == OUTCOME_DONE      ? FATE_STORED
                        : outcome == OUTCOME_UNKNOWN ? FATE_MAYBE
                                                     : FATE_ABSENT;
        written->majority = majority;
    }
    if (transaction->counted != NULL) {
        written_end(transaction->counted, ++transaction->operation->client->moment);
        if (outcome == OUTCOME_DONE) {
            transaction->counted->increments++;
            transaction->counted->increments_majority &= majority;
        } else if (outcome == OUTCOME_UNKNOWN) {
            transaction->counted->maybe_increments++;
        }
    }
}

void step_transaction(struct operation *operation)
{
    struct client *client = operation->client;
    struct transaction transaction = {.operation = operation};
    bool gives_up = stream_chance(&operation->stream, 200);
    bool majority = false;
    enum outcome outcome = OUTCOME_AGAIN;
    for (unsigned i = 0; i < 2; i++) {
        transaction.batch.collection = i == 0 ? APPLICATION_OPEN : APPLICATION_CHECKED;
        documents_add(operation, &transaction.batch, false);
    }
    transaction.counted = step_choose_stored(operation);
    if (transaction.counted != NULL) {
        written_begin(transaction.counted);
    }
    transaction.session = session_check_out(client);
    for (unsigned i = 0; i < ATTEMPTS_MOST && outcome == OUTCOME_AGAIN; i++) {
        if (i > 0 && !fiber_wait(5000 << i)) {
            break;
        }
        outcome = run_once(&transaction, gives_up, &majority);
    }
    note(&transaction, outcome, majority);
    session_check_in(client, transaction.session);
    documents_release(operation, &transaction.batch);
}
