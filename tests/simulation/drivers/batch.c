#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "application.h"
#include "check/check.h"

const char *documents_choose_collection(struct operation *operation)
{
    const struct plan *plan = operation->client->plan;
    /* Most histories write nearly all into one collection, so that their inserts can be merged. */
    struct stream habit = stream_make(plan->seed, "habit", 2);
    unsigned per_mille = plan->schemas ? 600 : 200;
    if (stream_chance(&habit, 700)) {
        per_mille = stream_chance(&habit, per_mille) ? 950 : 50;
    }
    return stream_chance(&operation->stream, per_mille) ? APPLICATION_CHECKED : APPLICATION_OPEN;
}

bson_t *documents_make_document(const struct client *client, int64_t token, unsigned breaks)
{
    bson_t *document = bson_new();
    BSON_APPEND_INT64(document, "_id", token);
    BSON_APPEND_INT32(document, "c", (int32_t)client->index);
    BSON_APPEND_INT32(document, "u", (int32_t)client->what->user);
    BSON_APPEND_INT64(document, "i", 0);
    switch (breaks) {
    case 0:
        BSON_APPEND_UTF8(document, "s", "ok");
        break;
    case 1:
        BSON_APPEND_INT32(document, "s", 7);
        break;
    case 2:
        BSON_APPEND_UTF8(document, "s", "much too long");
        break;
    default:
        break;
    }
    return document;
}

void documents_add(struct operation *operation, struct batch *batch, bool breaks)
{
    struct client *client = operation->client;
    struct batch_entry *entry = &batch->entries[batch->count];
    int64_t token =
        application_token(client->index, operation->step->number, operation->next_index++);
    entry->written = record_add(&client->record, token, batch->collection);
    entry->written->breaks_schema = breaks;
    entry->written->begun_us = world_now_us(client->world);
    written_begin(entry->written);
    entry->breaks = breaks;
    entry->duplicate = false;
    entry->document = documents_make_document(client, token,
                                              breaks ? 1 + stream_below(&operation->stream, 3) : 0);
    batch->count++;
}

void documents_add_again(struct operation *operation, struct batch *batch, struct written *written)
{
    struct batch_entry *entry = &batch->entries[batch->count++];
    entry->written = written;
    written_begin(written);
    entry->breaks = false;
    entry->duplicate = true;
    entry->document = documents_make_document(operation->client, written->token, 0);
}

void documents_release(const struct operation *operation, struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        written_end(batch->entries[i].written, ++operation->client->moment);
        bson_destroy(batch->entries[i].document);
    }
    batch->count = 0;
}

void step_append_concern(const struct operation *operation, bson_t *command)
{
    bson_t concern;
    const struct client *client = operation->client;
    if (client->absent_concern) {
        return;
    }
    BSON_APPEND_DOCUMENT_BEGIN(command, "writeConcern", &concern);
    if (client->what->majority) {
        BSON_APPEND_UTF8(&concern, "w", "majority");
    } else {
        BSON_APPEND_INT32(&concern, "w", 1);
    }
    bson_append_document_end(command, &concern);
}

struct written *step_choose_stored(struct operation *operation)
{
    const struct record *record = &operation->client->record;
    struct written *chosen = NULL;
    unsigned seen = 0;
    for (unsigned i = 0; i < record->count; i++) {
        struct written *written = record->items[i];
        if (written->fate == FATE_STORED && !written->busy && !written->deleted &&
            !written->maybe_deleted && stream_below(&operation->stream, ++seen) == 0) {
            chosen = written;
        }
    }
    return chosen;
}

void documents_begun(struct batch_entry *entries, unsigned count, const struct result *result)
{
    for (unsigned i = 0; i < count; i++) {
        if (result->attempts > 0 && entries[i].document != NULL && !entries[i].duplicate) {
            entries[i].written->begun_us = result->begun_us;
        }
    }
}

/* --- the reply --- */

/* A second insert of a stored document. */
static void take_duplicate(const struct client *client, const struct batch_entry *entry,
                           const char *command, const bson_t *reply, int code)
{
    if (code == 0 && written_is_visible(client, entry->written)) {
        check_fails(client, "result counts", command, reply,
                    "a document that is stored already was inserted again");
    } else if (code != 0 && code != DUPLICATE_KEY && !plan_can_refuse(client, code)) {
        check_fails(client, "error explained", command, reply,
                    "the error of a duplicate has another code than 11000");
    }
}

/* Of a document that a schema refuses, or that follows such a one in an ordered insert. The first
 * attempt may have stored it under an older schema: docs/schemas.md, Retryable writes. */
static enum fate fate_of_refused(const struct client *client, const struct written *written)
{
    bool may_be_repeated =
        client->what->retries && schema_may_accept(client->world, written->begun_us);
    return may_be_repeated ? FATE_MAYBE : FATE_ABSENT;
}

/* The first attempt may have run in a batch, before a schema refused other documents of the
 * command: docs/schemas.md, Retryable writes. */
static bool duplicate_is_explained(const struct client *client, const struct written *written)
{
    bool schema_changed = schema_may_accept(client->world, written->begun_us) &&
                          schema_may_refuse(client->world, written->begun_us);
    return plan_can_forget(client->plan) ||
           (client->plan->merging && client->what->retries && schema_changed);
}

void documents_take_outcome(const struct operation *operation, struct batch_entry *entry,
                            const char *command, const bson_t *reply, int code, bool majority)
{
    const struct client *client = operation->client;
    struct written *written = entry->written;
    if (entry->duplicate) {
        take_duplicate(client, entry, command, reply, code);
        return;
    }
    bool refuses = entry->breaks && strcmp(written->collection, APPLICATION_CHECKED) == 0;
    if (code == 0) {
        written->fate = FATE_STORED;
        written->majority = majority;
        if (client->plan->users > 0 && client->what->user == 0) {
            check_fails(client, "identity", command, reply, "a client without a login may write");
        }
        if (refuses && client->plan->schemas &&
            !schema_may_accept(client->world, written->begun_us)) {
            check_fails(client, "schema holds", command, reply,
                        "a document that breaks the schema is acknowledged");
        }
    } else if (code == DOCUMENT_VALIDATION) {
        written->fate = fate_of_refused(client, written);
        if (refuses && !schema_may_refuse(client->world, written->begun_us)) {
            check_fails(client, "schema holds", command, reply,
                        "the strict schema was not in force since the write began");
        }
        if (!refuses) {
            check_fails(client, "error explained", command, reply,
                        "a document that satisfies the schema is refused");
        }
    } else if (code == DUPLICATE_KEY) {
        written->fate = FATE_MAYBE;
        if (!duplicate_is_explained(client, written)) {
            check_fails(client, "no false duplicate", command, reply,
                        "a new document is refused as a duplicate");
        }
    } else {
        written->fate = plan_can_roll_back(client->plan) ? FATE_MAYBE : FATE_ABSENT;
        if (!plan_can_refuse(client, code)) {
            check_fails(client, "error explained", command, reply,
                        "no fault of the plan explains this write error");
        }
    }
}

void documents_take_failure(const struct operation *operation, struct batch *batch,
                            const char *command, const struct result *result)
{
    const struct client *client = operation->client;
    if (result->kind == RESULT_REFUSED) {
        check_refusal(client, command, result);
    } else if (result->kind != RESULT_DIED) {
        check_loss(client, command);
    }
    for (unsigned i = 0; i < batch->count; i++) {
        if (!batch->entries[i].duplicate) {
            batch->entries[i].written->fate = result->maybe ? FATE_MAYBE : FATE_ABSENT;
        }
    }
}

/* The error of a document names it. */
static bool names_document(const bson_t *error, int code, int64_t token)
{
    const char *path = code == DOCUMENT_VALIDATION ? "errInfo.failingDocumentId" : "keyValue._id";
    int64_t named = reply_integer(error, path, token);
    return named == token;
}

/* Fills `codes` by index. False: a check failed. */
static bool read_errors(const struct operation *operation, const struct batch *batch,
                        const bson_t *reply, int codes[BATCH_MAX])
{
    bson_iter_t iter, item;
    int64_t last = -1;
    if (!bson_iter_init_find(&iter, reply, "writeErrors")) {
        return true;
    }
    if (!BSON_ITER_HOLDS_ARRAY(&iter) || !bson_iter_recurse(&iter, &item)) {
        check_fails(operation->client, "error index", "insert", reply, "writeErrors is no array");
        return false;
    }
    while (bson_iter_next(&item)) {
        bson_t error;
        uint32_t len = 0;
        const uint8_t *data = NULL;
        if (BSON_ITER_HOLDS_DOCUMENT(&item)) {
            bson_iter_document(&item, &len, &data);
        }
        if (data == NULL || !bson_init_static(&error, data, len)) {
            check_fails(operation->client, "error index", "insert", reply,
                        "a write error is no document");
            return false;
        }
        int64_t index = reply_integer(&error, "index", -1);
        int code = reply_code(&error);
        if (index <= last || index >= batch->count || code == 0) {
            check_fails(operation->client, "error index", "insert", reply,
                        "an index is out of range or out of order, or an error has no code");
            return false;
        }
        if (!names_document(&error, code, batch->entries[index].written->token)) {
            check_fails(operation->client, "error index", "insert", reply,
                        "an error names another document than its index");
            return false;
        }
        if (code == DOCUMENT_VALIDATION) {
            check_judging_schema(operation->client, "insert", &error,
                                 batch->entries[index].written->begun_us);
        }
        codes[index] = code;
        last = index;
    }
    return true;
}

/* A MongoDB 4.4 does not tell a repeated unordered insert's errors exactly: docs/merging.md. A
 * mongos repeats by itself. */
static bool may_be_inexact(const struct operation *operation, const struct batch *batch,
                           const struct result *result)
{
    const struct plan *plan = operation->client->plan;
    bool repeated = result->attempts > 1 || (plan->topology == PLAN_MONGOS && plan_can_lose(plan));
    return plan->server == PLAN_SERVER_4_4 && !batch->ordered && batch->count > 1 && repeated;
}

static bool holds_expected_errors(const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        if (batch->entries[i].breaks || batch->entries[i].duplicate) {
            return true;
        }
    }
    return false;
}

static void leave_open(struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        if (!batch->entries[i].duplicate) {
            batch->entries[i].written->fate = FATE_MAYBE;
        }
    }
}

static bool take_reply(const struct operation *operation, struct batch *batch,
                       const struct result *result)
{
    const struct client *client = operation->client;
    int codes[BATCH_MAX] = {0};
    unsigned stored = 0, tried = batch->count;
    bson_iter_t iter;
    if (may_be_inexact(operation, batch, result) && holds_expected_errors(batch)) {
        leave_open(batch);
        return true;
    }
    if (!read_errors(operation, batch, result->reply, codes)) {
        leave_open(batch);
        return false;
    }
    for (unsigned i = 0; i < tried; i++) {
        stored += codes[i] == 0;
        if (codes[i] != 0 && batch->ordered) {
            tried = i + 1;
        }
    }
    bool majority =
        client->what->majority && !bson_iter_init_find(&iter, result->reply, "writeConcernError");
    for (unsigned i = 0; i < batch->count; i++) {
        struct batch_entry *entry = &batch->entries[i];
        if (i < tried) {
            documents_take_outcome(operation, entry, "insert", result->reply, codes[i], majority);
        } else if (!entry->duplicate) {
            entry->written->fate = fate_of_refused(client, entry->written);
        }
    }
    if (reply_integer(result->reply, "n", -1) != stored) {
        check_fails(client, "result counts", "insert", result->reply,
                    "n is not the number of documents without an error");
    }
    return true;
}

bool documents_insert(struct operation *operation, struct batch *batch)
{
    const bson_t *documents[BATCH_MAX];
    bson_t body = BSON_INITIALIZER;
    struct command command = {.name = "insert",
                              .database = APPLICATION_DATABASE,
                              .body = &body,
                              .writes = true,
                              .retryable = true};
    BSON_APPEND_UTF8(&body, "insert", batch->collection);
    BSON_APPEND_BOOL(&body, "ordered", batch->ordered);
    step_append_concern(operation, &body);
    for (unsigned i = 0; i < batch->count; i++) {
        documents[i] = batch->entries[i].document;
    }
    if (stream_chance(&operation->stream, 150)) {
        bson_t array;
        BSON_APPEND_ARRAY_BEGIN(&body, "documents", &array);
        for (unsigned i = 0; i < batch->count; i++) {
            char key[16];
            const char *name;
            bson_uint32_to_string(i, &name, key, sizeof key);
            BSON_APPEND_DOCUMENT(&array, name, documents[i]);
        }
        bson_append_array_end(&body, &array);
    } else {
        command.sequences[0] = (struct frame_sequence){"documents", documents, batch->count};
        command.sequence_count = 1;
    }
    struct result result = command_run(operation->client, &command);
    documents_begun(batch->entries, batch->count, &result);
    bool taken = result.kind == RESULT_DONE;
    if (taken) {
        taken = take_reply(operation, batch, &result);
    } else {
        documents_take_failure(operation, batch, "insert", &result);
    }
    result_release(&result);
    bson_destroy(&body);
    return taken;
}
