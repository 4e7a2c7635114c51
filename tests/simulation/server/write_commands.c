/* insert, update, delete and bulkWrite: reading of the commands, and their answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

void write_list_free(struct write_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->result_count; i++)
        if (list->results[i].err_info != NULL)
            bson_destroy(list->results[i].err_info);
    free(list->all);
    free(list->results);
    free(list->batch);
    free(list);
}

static struct write *add_write(struct write_list *list)
{
    array_grow((void **)&list->all, &list->capacity, list->count + 1, sizeof *list->all);
    return &list->all[list->count++];
}

/* --- the list of statements: an array of the body, or a sequence --- */

typedef bool take_statement(struct operation *operation, const bson_t *statement, void *arg);

static bool each_of_sequence(struct operation *operation, const struct sequence *sequence,
                             take_statement *take, void *arg)
{
    for (size_t at = 0; at < sequence->len;) {
        bson_t one;
        uint32_t len = 0;
        memcpy(&len, sequence->data + at, sizeof len);
        len = BSON_UINT32_FROM_LE(len);
        if (!bson_init_static(&one, sequence->data + at, len) ||
            !bson_validate(&one, BSON_VALIDATE_NONE, NULL)) {
            (void)operation_fail(operation, 22, "invalid BSON in a document sequence");
            return false;
        }
        if (!take(operation, &one, arg))
            return false;
        at += len;
    }
    return true;
}

static bool each_of_array(struct operation *operation, bson_iter_t *list, take_statement *take,
                          void *arg)
{
    bson_iter_t each;
    if (!BSON_ITER_HOLDS_ARRAY(list) || !bson_iter_recurse(list, &each)) {
        (void)operation_fail(operation, 10065, "invalid parameter: expected an object");
        return false;
    }
    while (bson_iter_next(&each)) {
        bson_t one;
        uint32_t len = 0;
        const uint8_t *data = NULL;
        if (!BSON_ITER_HOLDS_DOCUMENT(&each)) {
            (void)operation_fail(operation, 14, "an element of the list is no object");
            return false;
        }
        bson_iter_document(&each, &len, &data);
        if (!bson_init_static(&one, data, len) || !take(operation, &one, arg))
            return false;
    }
    return true;
}

static bool each_statement(struct operation *operation, const char *field, take_statement *take,
                           void *arg)
{
    const struct sequence *sequence = operation_sequence(operation, field);
    bson_iter_t list;
    if (sequence != NULL)
        return each_of_sequence(operation, sequence, take, arg);
    if (operation_field(operation, field, &list))
        return each_of_array(operation, &list, take, arg);
    (void)operation_fail(operation, 40414, "BSON field '%s.%s' is missing but a required field",
                         operation->command->name, field);
    return false;
}

static bool number_statements(struct operation *operation)
{
    struct write_list *list = operation->writes;
    bson_iter_t ids;
    bson_iter_t each;
    int32_t first = (int32_t)operation_int(operation, "stmtId", 0);
    for (size_t i = 0; i < list->count; i++)
        list->all[i].statement = first + (int32_t)i;
    if (!operation_field(operation, "stmtIds", &ids))
        return true;
    size_t count = 0;
    bool ok = BSON_ITER_HOLDS_ARRAY(&ids) && bson_iter_recurse(&ids, &each);
    while (ok && bson_iter_next(&each)) {
        ok = count < list->count && BSON_ITER_HOLDS_INT32(&each);
        if (ok)
            list->all[count++].statement = bson_iter_int32(&each);
    }
    if (ok && count == list->count)
        return true;
    (void)operation_fail(operation, 72, "stmtIds must have one number for each statement");
    return false;
}

static bool begin_list(struct operation *operation)
{
    bson_iter_t ordered;
    operation->writes = calloc(1, sizeof *operation->writes);
    if (operation->writes == NULL)
        abort();
    operation->writes->ordered = true;
    if (!operation_field(operation, "ordered", &ordered))
        return true;
    if (!BSON_ITER_HOLDS_BOOL(&ordered)) {
        (void)operation_fail(operation, 14, "BSON field '%s.ordered' is the wrong type",
                             operation->command->name);
        return false;
    }
    operation->writes->ordered = bson_iter_bool(&ordered);
    return true;
}

static bool finish_list(struct operation *operation)
{
    size_t count = operation->writes->count;
    if (count == 0 || count > SERVER_BATCH_DOCUMENTS_MAX) {
        (void)operation_fail(operation, 16,
                             "Write batch sizes must be between 1 and %d. Got %zu operations.",
                             SERVER_BATCH_DOCUMENTS_MAX, count);
        return false;
    }
    return number_statements(operation);
}

/* --- statements of the three commands --- */

static bool take_insert(struct operation *operation, const bson_t *statement, void *arg)
{
    struct write *write = add_write(operation->writes);
    *write = (struct write){.kind = WRITE_INSERT, .collection = *(unsigned *)arg};
    write->document = (struct raw){bson_get_data(statement), statement->len};
    return true;
}

static bool find_document(const bson_t *in, const char *field, struct raw *out)
{
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, in, field) || !BSON_ITER_HOLDS_DOCUMENT(&iter))
        return false;
    bson_iter_document(&iter, &out->len, &out->data);
    return true;
}

static bool find_bool(const bson_t *in, const char *field)
{
    bson_iter_t iter;
    return bson_iter_init_find(&iter, in, field) && bson_iter_as_bool(&iter);
}

static bool take_update(struct operation *operation, const bson_t *statement, void *arg)
{
    struct write *write = add_write(operation->writes);
    *write = (struct write){.kind = WRITE_UPDATE,
                            .collection = *(unsigned *)arg,
                            .many = find_bool(statement, "multi"),
                            .upsert = find_bool(statement, "upsert")};
    if (find_document(statement, "q", &write->document) &&
        find_document(statement, "u", &write->update))
        return true;
    (void)operation_fail(operation, 40414, "BSON field 'update.updates.q' or 'u' is missing");
    return false;
}

static bool take_delete(struct operation *operation, const bson_t *statement, void *arg)
{
    struct write *write = add_write(operation->writes);
    bson_iter_t limit;
    bool has_limit = bson_iter_init_find(&limit, statement, "limit");
    *write = (struct write){.kind = WRITE_DELETE,
                            .collection = *(unsigned *)arg,
                            .many = has_limit && bson_iter_as_int64(&limit) == 0};
    if (has_limit && find_document(statement, "q", &write->document))
        return true;
    (void)operation_fail(operation, 40414, "BSON field 'delete.deletes.q' or 'limit' is missing");
    return false;
}

static bool read_writes(struct operation *operation, const char *field, take_statement *take)
{
    char name[SERVER_NAMESPACE_BYTES];
    if (!operation_namespace(operation, name) || !begin_list(operation))
        return false;
    unsigned collection = cluster_collection(operation->cluster, name);
    return each_statement(operation, field, take, &collection) && finish_list(operation);
}

/* --- the answers --- */

static void append_duplicate(const struct write_result *result, bson_t *out)
{
    bson_t part;
    bson_append_document_begin(out, "keyPattern", -1, &part);
    bson_append_int32(&part, "_id", 3, 1);
    bson_append_document_end(out, &part);
    bson_append_document_begin(out, "keyValue", -1, &part);
    bson_append_int64(&part, "_id", 3, result->key);
    bson_append_document_end(out, &part);
}

/* The fields that follow the code. */
static void append_details(const struct write_result *result, bson_t *out)
{
    if (result->code == 11000)
        append_duplicate(result, out);
    if (result->err_info != NULL)
        bson_append_document(out, "errInfo", -1, result->err_info);
    bson_append_utf8(out, "errmsg", -1, result->text, -1);
}

static void append_errors(const struct write_list *list, bson_t *out)
{
    bson_t errors;
    bool any = false;
    uint32_t count = 0;
    for (size_t i = 0; i < list->result_count && !any; i++)
        any = list->results[i].code != 0;
    if (!any)
        return;
    bson_append_array_begin(out, "writeErrors", -1, &errors);
    for (size_t i = 0; i < list->result_count; i++) {
        const struct write_result *result = &list->results[i];
        const char *key = NULL;
        char space[16];
        bson_t one;
        if (result->code == 0)
            continue;
        (void)bson_uint32_to_string(count++, &key, space, sizeof space);
        bson_append_document_begin(&errors, key, -1, &one);
        bson_append_int32(&one, "index", 5, (int32_t)i);
        bson_append_int32(&one, "code", 4, result->code);
        append_details(result, &one);
        bson_append_document_end(&errors, &one);
    }
    bson_append_array_end(out, &errors);
}

static void append_upserted(const struct write_list *list, bson_t *out)
{
    bson_t upserted;
    uint32_t count = 0;
    for (size_t i = 0; i < list->result_count; i++) {
        const char *key = NULL;
        char space[16];
        bson_t one;
        if (!list->results[i].upserted)
            continue;
        if (count == 0)
            bson_append_array_begin(out, "upserted", -1, &upserted);
        (void)bson_uint32_to_string(count++, &key, space, sizeof space);
        bson_append_document_begin(&upserted, key, -1, &one);
        bson_append_int32(&one, "index", -1, (int32_t)i);
        bson_append_int64(&one, "_id", -1, list->results[i].upserted_key);
        bson_append_document_end(&upserted, &one);
    }
    if (count > 0)
        bson_append_array_end(out, &upserted);
}

static enum step run_writes(struct operation *operation, const char *field, take_statement *take)
{
    int64_t n = 0;
    int64_t modified = 0;
    if (operation->writes == NULL && !read_writes(operation, field, take))
        return STEP_DONE;
    enum step step = writes_run(operation);
    if (step != STEP_GO_ON)
        return step;
    const struct write_list *list = operation->writes;
    for (size_t i = 0; i < list->result_count; i++) {
        n += list->results[i].n;
        modified += list->results[i].modified;
    }
    bson_append_int32(&operation->reply, "n", 1, (int32_t)n);
    if (take == take_update) {
        append_upserted(list, &operation->reply);
        bson_append_int32(&operation->reply, "nModified", -1, (int32_t)modified);
    }
    append_errors(list, &operation->reply);
    operation->answers_set = true;
    return STEP_DONE;
}

enum step run_insert(struct operation *operation)
{
    return run_writes(operation, "documents", take_insert);
}

enum step run_update(struct operation *operation)
{
    return run_writes(operation, "updates", take_update);
}

enum step run_delete(struct operation *operation)
{
    return run_writes(operation, "deletes", take_delete);
}

/* --- bulkWrite --- */

struct namespaces {
    unsigned collections[8];
    unsigned count;
};

static bool take_namespace(struct operation *operation, const bson_t *statement, void *arg)
{
    struct namespaces *all = arg;
    bson_iter_t name;
    if (bson_iter_init_find(&name, statement, "ns") && BSON_ITER_HOLDS_UTF8(&name) &&
        all->count < sizeof all->collections / sizeof all->collections[0]) {
        all->collections[all->count++] =
            cluster_collection(operation->cluster, bson_iter_utf8(&name, NULL));
        return true;
    }
    (void)operation_fail(operation, 40414, "BSON field 'bulkWrite.nsInfo.ns' is missing");
    return false;
}

static bool take_operation(struct operation *operation, const bson_t *statement, void *arg)
{
    const struct namespaces *all = arg;
    bson_iter_t first;
    if (!bson_iter_init(&first, statement) || !bson_iter_next(&first))
        return false;
    const char *kind = bson_iter_key(&first);
    int64_t number = bson_iter_as_int64(&first);
    struct write *write = add_write(operation->writes);
    *write = (struct write){.many = find_bool(statement, "multi"),
                            .upsert = find_bool(statement, "upsert")};
    bool ok = number >= 0 && number < all->count;
    if (ok)
        write->collection = all->collections[number];
    if (strcmp(kind, "insert") == 0) {
        write->kind = WRITE_INSERT;
        ok = ok && find_document(statement, "document", &write->document);
    } else if (strcmp(kind, "update") == 0) {
        write->kind = WRITE_UPDATE;
        ok = ok && find_document(statement, "filter", &write->document) &&
             find_document(statement, "updateMods", &write->update);
    } else {
        write->kind = WRITE_DELETE;
        ok = ok && strcmp(kind, "delete") == 0 &&
             find_document(statement, "filter", &write->document);
    }
    if (!ok)
        (void)operation_fail(operation, 2,
                             "BulkWrite ops entry %s has an invalid nsInfo index or "
                             "lacks a field",
                             kind);
    return ok;
}

static void append_bulk_result(const struct operation *operation, const struct write_result *result,
                               size_t index, bson_t *one)
{
    bool is_update = operation->writes->all[index].kind == WRITE_UPDATE;
    bson_append_double(one, "ok", 2, result->code == 0 ? 1.0 : 0.0);
    bson_append_int32(one, "idx", 3, (int32_t)index);
    if (result->code != 0) {
        bson_append_int32(one, "code", 4, result->code);
        append_details(result, one);
    }
    bson_append_int32(one, "n", 1, (int32_t)result->n);
    if (result->code == 0 && is_update)
        bson_append_int32(one, "nModified", -1, (int32_t)result->modified);
    if (result->upserted) {
        bson_t upserted;
        bson_append_document_begin(one, "upserted", -1, &upserted);
        bson_append_int64(&upserted, "_id", 3, result->upserted_key);
        bson_append_document_end(one, &upserted);
    }
}

static void append_bulk_cursor(const struct operation *operation, bool errors_only, bson_t *out)
{
    const struct write_list *list = operation->writes;
    bson_t cursor;
    bson_t batch;
    uint32_t count = 0;
    bson_append_document_begin(out, "cursor", -1, &cursor);
    bson_append_int64(&cursor, "id", 2, 0);
    bson_append_array_begin(&cursor, "firstBatch", -1, &batch);
    for (size_t i = 0; i < list->result_count; i++) {
        const char *key = NULL;
        char space[16];
        bson_t one;
        if (errors_only && list->results[i].code == 0)
            continue;
        (void)bson_uint32_to_string(count++, &key, space, sizeof space);
        bson_append_document_begin(&batch, key, -1, &one);
        append_bulk_result(operation, &list->results[i], i, &one);
        bson_append_document_end(&batch, &one);
    }
    bson_append_array_end(&cursor, &batch);
    bson_append_utf8(&cursor, "ns", 2, "admin.$cmd.bulkWrite", -1);
    bson_append_document_end(out, &cursor);
}

static void append_bulk_counts(const struct write_list *list, bson_t *out)
{
    int32_t errors = 0;
    int64_t counts[5] = {0}; /* inserted, matched, modified, upserted, deleted */
    static const char *const names[] = {"nInserted", "nMatched", "nModified", "nUpserted",
                                        "nDeleted"};
    for (size_t i = 0; i < list->result_count; i++) {
        const struct write_result *result = &list->results[i];
        enum write_kind kind = list->all[i].kind;
        errors += result->code != 0;
        if (kind == WRITE_INSERT)
            counts[0] += result->n;
        else if (kind == WRITE_DELETE)
            counts[4] += result->n;
        else if (result->upserted)
            counts[3]++;
        else
            counts[1] += result->n;
        counts[2] += result->modified;
    }
    bson_append_int32(out, "nErrors", -1, errors);
    for (int i = 0; i < 5; i++)
        bson_append_int32(out, names[i], -1, (int32_t)counts[i]);
}

enum step run_bulk_write(struct operation *operation)
{
    struct namespaces all = {.count = 0};
    if (operation->writes == NULL &&
        !(begin_list(operation) && each_statement(operation, "nsInfo", take_namespace, &all) &&
          each_statement(operation, "ops", take_operation, &all) && finish_list(operation)))
        return STEP_DONE;
    enum step step = writes_run(operation);
    if (step != STEP_GO_ON)
        return step;
    bson_iter_t errors_only;
    append_bulk_cursor(operation,
                       operation_field(operation, "errorsOnly", &errors_only) &&
                           bson_iter_as_bool(&errors_only),
                       &operation->reply);
    append_bulk_counts(operation->writes, &operation->reply);
    operation->answers_set = true;
    return STEP_DONE;
}
