#include "application.h"
#include "check/check.h"
#include "operations.h"

static void append_selector(bson_t *statement, const char *name, int64_t token)
{
    bson_t selector;
    BSON_APPEND_DOCUMENT_BEGIN(statement, name, &selector);
    BSON_APPEND_INT64(&selector, "_id", token);
    bson_append_document_end(statement, &selector);
}

/* Runs an update or delete with one statement. */
static struct result run_statement(struct operation *operation, const char *name,
                                   const char *statements, const struct written *written,
                                   const bson_t *statement)
{
    bson_t body = BSON_INITIALIZER;
    const bson_t *const documents[] = {statement};
    BSON_APPEND_UTF8(&body, name, written->collection);
    BSON_APPEND_BOOL(&body, "ordered", true);
    step_append_concern(operation, &body);
    struct command command = {.name = name,
                              .database = APPLICATION_DATABASE,
                              .body = &body,
                              .sequences = {{statements, documents, 1}},
                              .sequence_count = 1,
                              .writes = true,
                              .retryable = true};
    struct result result = command_run(operation->client, &command);
    bson_destroy(&body);
    if (result.kind != RESULT_DONE) {
        step_check_failure(operation, name, &result);
    } else if (bson_has_field(result.reply, "writeErrors")) {
        check_fails(operation->client, "error explained", name, result.reply,
                    "a statement that cannot fail has a write error");
    }
    return result;
}

void step_take_increment(const struct operation *operation, struct written *written,
                         const bson_t *reply, int64_t n, bool majority)
{
    if (n == 1) {
        written->increments++;
        written->increments_majority = written->increments_majority && majority;
    } else if (n != 0 || written_is_visible(operation->client, written)) {
        check_fails(operation->client, "result counts", "update", reply,
                    "the update of one stored document did not count one");
    }
}

void step_increment(struct operation *operation)
{
    struct written *written = step_take_stored(operation);
    if (written == NULL) {
        return;
    }
    bson_t statement = BSON_INITIALIZER, update, increment;
    append_selector(&statement, "q", written->token);
    BSON_APPEND_DOCUMENT_BEGIN(&statement, "u", &update);
    BSON_APPEND_DOCUMENT_BEGIN(&update, "$inc", &increment);
    BSON_APPEND_INT64(&increment, "i", 1);
    bson_append_document_end(&update, &increment);
    bson_append_document_end(&statement, &update);
    struct result result = run_statement(operation, "update", "updates", written, &statement);
    if (result.kind == RESULT_DONE) {
        bool majority =
            operation->client->what->majority && !bson_has_field(result.reply, "writeConcernError");
        step_take_increment(operation, written, result.reply, reply_integer(result.reply, "n", -1),
                            majority);
    } else if (result.maybe) {
        written->maybe_increments++;
    }
    result_release(&result);
    bson_destroy(&statement);
    written_end(written, ++operation->client->moment);
}

void step_delete(struct operation *operation)
{
    struct written *written = step_take_stored(operation);
    if (written == NULL) {
        return;
    }
    bson_t statement = BSON_INITIALIZER;
    append_selector(&statement, "q", written->token);
    BSON_APPEND_INT32(&statement, "limit", 1);
    struct result result = run_statement(operation, "delete", "deletes", written, &statement);
    if (result.kind == RESULT_DONE) {
        int64_t n = reply_integer(result.reply, "n", -1);
        if (n != 1 && (n != 0 || written_is_visible(operation->client, written))) {
            check_fails(operation->client, "result counts", "delete", result.reply,
                        "the deletion of one stored document did not count one");
        }
        written->deleted = true;
        written->delete_majority =
            operation->client->what->majority && !bson_has_field(result.reply, "writeConcernError");
    } else if (result.maybe) {
        written->maybe_deleted = true;
    }
    result_release(&result);
    bson_destroy(&statement);
    written_end(written, ++operation->client->moment);
}
