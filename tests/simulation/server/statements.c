/* Runs the statements of a write command on a primary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

struct write_result *write_result_add(struct write_list *list, size_t index)
{
    array_grow((void **)&list->results, &list->result_capacity, list->result_count + 1,
               sizeof *list->results);
    struct write_result *result = &list->results[list->result_count++];
    *result = (struct write_result){.index = (unsigned)index};
    return result;
}

static void view(const struct raw *raw, bson_t *out)
{
    if (!bson_init_static(out, raw->data, raw->len))
        abort(); /* it was read before */
}

static bool refuse(struct write_list *list, struct write_result *result, int code, const char *text)
{
    result->code = code;
    (void)snprintf(result->text, sizeof result->text, "%s", text);
    list->stops = list->ordered;
    return false;
}

/* --- a new state --- */

static int64_t field_int(const bson_t *document, const char *name)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, name) && BSON_ITER_HOLDS_NUMBER(&iter)
               ? bson_iter_as_int64(&iter)
               : 0;
}

static struct version *make_version(struct operation *operation, uint32_t slot,
                                    const bson_t *document)
{
    struct cluster *cluster = operation->cluster;
    struct version *base = operation_version(operation, slot);
    struct version *before = member_version(operation->member, slot);
    struct version *version = region_take(&cluster->region, sizeof *version);
    const struct version *history = base != NULL ? base : before;
    *version =
        (struct version){.slot = slot, .previous = before, .made_us = world_now_us(cluster->world)};
    version->writers = 1U << operation->user;
    if (history != NULL)
        version->written = history->written;
    if (base != NULL) {
        version->writers |= base->writers;
        version->user = base->user;
    }
    if (document == NULL) {
        version->is_deleted = true;
        return version;
    }
    version->document = region_copy(&cluster->region, bson_get_data(document), document->len);
    version->len = document->len;
    version->increments = field_int(document, "i");
    const char *name = cluster->collections[cluster->slots[slot].collection].name;
    version->breaks_schema = strcmp(name, APPLICATION_DATABASE "." APPLICATION_CHECKED) == 0 &&
                             document_breaks_schema(document, NULL);
    return version;
}

static struct statement *make_statement(struct operation *operation, int32_t id,
                                        const struct write_result *result)
{
    if (!operation->has_number || operation->in_transaction)
        return NULL;
    const struct session_state *state = member_session(operation->member, operation->session);
    struct statement *statement = region_take(&operation->cluster->region, sizeof *statement);
    *statement = (struct statement){.id = id,
                                    .n = result->n,
                                    .modified = (int32_t)result->modified,
                                    .upserted = result->upserted,
                                    .upserted_key = result->upserted_key,
                                    .before = state->statements};
    return statement;
}

static void keep_in_transaction(struct operation *operation, struct transaction *transaction,
                                struct version *version)
{
    struct member *member = operation->member;
    array_grow((void **)&transaction->versions.all, &transaction->versions.capacity,
               transaction->versions.count + 1, sizeof(struct version *));
    transaction->versions.all[transaction->versions.count++] = version;
    array_grow((void **)&member->locks, &member->lock_capacity, version->slot + 1,
               sizeof(struct transaction *));
    member->locks[version->slot] = transaction;
}

static void store(struct operation *operation, struct version *version, int32_t id,
                  const struct write_result *result)
{
    struct transaction *transaction = operation_open_transaction(operation);
    operation->has_written = true;
    if (transaction != NULL) {
        keep_in_transaction(operation, transaction, version);
        return;
    }
    struct statement *statement = make_statement(operation, id, result);
    (void)member_append(operation->member, ENTRY_WRITE, statement == NULL ? -1 : operation->session,
                        operation->number, statement, &version, 1);
}

/* --- conflicts --- */

enum access { ACCESS_FREE, ACCESS_WAIT, ACCESS_CONFLICT };

/* A transaction never waits: it fails with WriteConflict. Other writes wait for its end. */
static enum access may_write(struct operation *operation, uint32_t slot)
{
    struct transaction *own = operation_open_transaction(operation);
    struct transaction *holder = transaction_locking(operation->member, slot);
    const struct version *version = member_version(operation->member, slot);
    if (holder != NULL && holder != own)
        return own == NULL ? ACCESS_WAIT : ACCESS_CONFLICT;
    if (own != NULL && holder != own && version != NULL && version->by->index > own->snapshot)
        return ACCESS_CONFLICT;
    return ACCESS_FREE;
}

static enum write_step conflict(struct operation *operation)
{
    (void)operation_fail(operation, 112,
                         "WriteConflict error: this operation conflicted with another operation. "
                         "Please retry your operation or multi-document transaction.");
    return WRITE_STEP_DONE;
}

/* --- insert --- */

static void describe_duplicate(struct operation *operation, const struct write *write, int64_t key,
                               struct write_result *result)
{
    char text[160];
    uint32_t slot = slot_make(operation->cluster, write->collection, key);
    operation->cluster->slots[slot].duplicates++;
    result->key = key;
    (void)snprintf(text, sizeof text,
                   "E11000 duplicate key error collection: %s index: _id_ dup key: { _id: %lld }",
                   operation->cluster->collections[write->collection].name, (long long)key);
    (void)refuse(operation->writes, result, 11000, text);
}

static bool passes_validator(struct operation *operation, const struct write *write,
                             const bson_t *document, struct write_result *result)
{
    bson_iter_t bypass;
    bson_t reason = BSON_INITIALIZER;
    bson_t details;
    bson_t rules;
    bson_iter_t id;
    bool bypasses = operation_field(operation, "bypassDocumentValidation", &bypass) &&
                    bson_iter_as_bool(&bypass);
    bool ok = bypasses || !operation->cluster->collections[write->collection].strict ||
              !document_breaks_schema(document, &reason);
    if (ok) {
        bson_destroy(&reason);
        return true;
    }
    (void)refuse(operation->writes, result, 121, "Document failed validation");
    if (operation->cluster->plan->server == PLAN_SERVER_CURRENT) {
        result->err_info = bson_new();
        if (bson_iter_init_find(&id, document, "_id"))
            bson_append_iter(result->err_info, "failingDocumentId", -1, &id);
        bson_append_document_begin(result->err_info, "details", -1, &details);
        bson_append_utf8(&details, "operatorName", -1, "$jsonSchema", -1);
        bson_append_array_begin(&details, "schemaRulesNotSatisfied", -1, &rules);
        bson_append_document(&rules, "0", 1, &reason);
        bson_append_array_end(&details, &rules);
        bson_append_document_end(result->err_info, &details);
    }
    bson_destroy(&reason);
    return false;
}

/* Servers make the _id that a document lacks. */
static void complete(struct operation *operation, const bson_t *document, bson_t *out)
{
    bson_oid_t id;
    for (size_t i = 0; i < sizeof id.bytes; i++)
        id.bytes[i] = (uint8_t)stream_next(&operation->connection->stream);
    bson_append_oid(out, "_id", 3, &id);
    (void)bson_concat(out, document);
}

static enum write_step insert_document(struct operation *operation, const struct write *write,
                                       const bson_t *document)
{
    bson_iter_t id;
    int64_t key = 0;
    struct write_list *list = operation->writes;
    size_t index = (size_t)(write - list->all);
    if (!bson_iter_init_find(&id, document, "_id") || !document_key(&id, &key)) {
        (void)refuse(list, write_result_add(list, index), 53, "can't use an array for _id");
        return WRITE_STEP_DONE;
    }
    uint32_t slot = slot_make(operation->cluster, write->collection, key);
    switch (may_write(operation, slot)) {
    case ACCESS_WAIT:
        return WRITE_STEP_WAIT;
    case ACCESS_CONFLICT:
        return conflict(operation);
    case ACCESS_FREE:
        break;
    }
    struct write_result *result = write_result_add(list, index);
    if (!passes_validator(operation, write, document, result))
        return WRITE_STEP_DONE;
    if (operation_version(operation, slot) != NULL) {
        describe_duplicate(operation, write, key, result);
        return WRITE_STEP_DONE;
    }
    struct version *version = make_version(operation, slot, document);
    version->user = operation->user;
    version->written++;
    result->n = 1;
    store(operation, version, write->statement, result);
    return WRITE_STEP_DONE;
}

static enum write_step insert(struct operation *operation, const struct write *write)
{
    bson_iter_t id;
    bson_t given;
    bson_t completed = BSON_INITIALIZER;
    view(&write->document, &given);
    if (bson_iter_init_find(&id, &given, "_id"))
        return insert_document(operation, write, &given);
    complete(operation, &given, &completed);
    enum write_step step = insert_document(operation, write, &completed);
    bson_destroy(&completed);
    return step;
}

/* --- update and delete --- */

struct found {
    struct version *all[64];
    size_t count, most;
};

static bool collect(void *arg, struct version *version)
{
    struct found *found = arg;
    found->all[found->count++] = version;
    return found->count < found->most;
}

static enum write_step upsert(struct operation *operation, const struct write *write)
{
    bson_t made = BSON_INITIALIZER;
    bson_t filter;
    bson_t update;
    bson_iter_t id;
    view(&write->document, &filter);
    view(&write->update, &update);
    size_t count = operation->writes->result_count;
    if (!update_apply(&filter, &update, true, &made) || !bson_iter_init_find(&id, &made, "_id")) {
        bson_destroy(&made);
        (void)refuse(operation->writes,
                     write_result_add(operation->writes, (size_t)(write - operation->writes->all)),
                     9, "the update cannot be applied");
        return WRITE_STEP_DONE;
    }
    int64_t key = bson_iter_as_int64(&id);
    enum write_step step = insert_document(operation, write, &made);
    bson_destroy(&made);
    if (step == WRITE_STEP_DONE && operation->writes->result_count > count &&
        operation->writes->results[count].code == 0) {
        operation->writes->results[count].upserted = true;
        operation->writes->results[count].upserted_key = key;
        if (operation->has_number && !operation->in_transaction) {
            struct statement *newest =
                member_session(operation->member, operation->session)->statements;
            newest->upserted = true;
            newest->upserted_key = key;
        }
    }
    return step;
}

static bool is_same(const struct version *version, const bson_t *document)
{
    return version->len == document->len &&
           memcmp(version->document, bson_get_data(document), document->len) == 0;
}

static bool change_one(struct operation *operation, const struct write *write,
                       struct version *version, struct write_result *result)
{
    bson_t before;
    bson_t update;
    bson_t after = BSON_INITIALIZER;
    struct write_result one = {.n = 1, .modified = write->kind == WRITE_UPDATE};
    if (write->kind == WRITE_DELETE) {
        result->n++;
        store(operation, make_version(operation, version->slot, NULL), write->statement, &one);
        return true;
    }
    view(&write->update, &update);
    bool ok = bson_init_static(&before, version->document, version->len) &&
              update_apply(&before, &update, false, &after);
    if (!ok)
        (void)refuse(operation->writes, result, 9, "the update cannot be applied");
    else if (is_same(version, &after))
        result->n++;
    else if (passes_validator(operation, write, &after, result)) {
        result->n++;
        result->modified++;
        store(operation, make_version(operation, version->slot, &after), write->statement, &one);
    }
    bson_destroy(&after);
    return result->code == 0;
}

static enum write_step change(struct operation *operation, const struct write *write)
{
    struct found found = {.most = write->many ? 64 : 1};
    struct write_list *list = operation->writes;
    bson_t filter;
    view(&write->document, &filter);
    int code = match_check(&filter);
    if (code != 0) {
        (void)refuse(list, write_result_add(list, (size_t)(write - list->all)), code,
                     "unknown operator in the filter");
        return WRITE_STEP_DONE;
    }
    find_each(operation, write->collection, &filter, collect, &found);
    if (found.count == 0 && write->upsert)
        return upsert(operation, write);
    for (size_t i = 0; i < found.count; i++) {
        enum access access = may_write(operation, found.all[i]->slot);
        if (access == ACCESS_WAIT)
            return WRITE_STEP_WAIT;
        if (access == ACCESS_CONFLICT)
            return conflict(operation);
    }
    struct write_result *result = write_result_add(list, (size_t)(write - list->all));
    for (size_t i = 0; i < found.count; i++)
        if (!change_one(operation, write, found.all[i], result))
            break;
    return WRITE_STEP_DONE;
}

enum write_step statement_run(struct operation *operation, size_t index)
{
    const struct write *write = &operation->writes->all[index];
    if (write->many && operation->has_number && !operation->in_transaction) {
        (void)operation_fail(operation, 72,
                             "Cannot use (or request) retryable writes with "
                             "limit=0 or multi=true");
        return WRITE_STEP_DONE;
    }
    return write->kind == WRITE_INSERT ? insert(operation, write) : change(operation, write);
}
