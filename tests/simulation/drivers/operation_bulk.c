#include "application.h"
#include "check/check.h"
#include "operations.h"

enum { OPERATIONS_MOST = 8 };

/* One bulkWrite over both collections. */
struct bulk {
    struct operation *operation;
    bool ordered, errors_only;
    unsigned count;
    struct {
        struct batch_entry entry; /* an insert, if it has a document */
        bool deletes;             /* else an increment or a deletion of entry.written */
        bson_t *statement;
        bool answered;
    } items[OPERATIONS_MOST];
};

static int32_t namespace_of(const char *collection)
{
    return collection[0] == 'o' ? 0 : 1;
}

static bson_t *make_insert(const struct batch_entry *entry)
{
    bson_t *statement = bson_new();
    BSON_APPEND_INT32(statement, "insert", namespace_of(entry->written->collection));
    BSON_APPEND_DOCUMENT(statement, "document", entry->document);
    return statement;
}

static bson_t *make_change(const struct written *written, bool deletes)
{
    bson_t *statement = bson_new();
    bson_t part, increment;
    BSON_APPEND_INT32(statement, deletes ? "delete" : "update", namespace_of(written->collection));
    BSON_APPEND_DOCUMENT_BEGIN(statement, "filter", &part);
    BSON_APPEND_INT64(&part, "_id", written->token);
    bson_append_document_end(statement, &part);
    if (!deletes) {
        BSON_APPEND_DOCUMENT_BEGIN(statement, "updateMods", &part);
        BSON_APPEND_DOCUMENT_BEGIN(&part, "$inc", &increment);
        BSON_APPEND_INT64(&increment, "i", 1);
        bson_append_document_end(&part, &increment);
        bson_append_document_end(statement, &part);
    }
    BSON_APPEND_BOOL(statement, "multi", false);
    return statement;
}

static void make_bulk(struct bulk *bulk, struct operation *operation)
{
    struct stream *stream = &operation->stream;
    *bulk = (struct bulk){.operation = operation,
                          .ordered = stream_chance(stream, 500),
                          .errors_only = stream_chance(stream, 500)};
    unsigned count = (unsigned)stream_skewed(stream, 1, OPERATIONS_MOST);
    for (unsigned i = 0; i < count; i++) {
        struct written *stored = stream_chance(stream, 250) ? step_choose_stored(operation) : NULL;
        if (stored != NULL) {
            written_begin(stored);
            bulk->items[i].entry.written = stored;
            bulk->items[i].deletes = stream_chance(stream, 300);
            bulk->items[i].statement = make_change(stored, bulk->items[i].deletes);
        } else {
            struct batch batch = {.collection = documents_choose_collection(operation)};
            bool breaks = operation->client->plan->schemas && namespace_of(batch.collection) == 1 &&
                          stream_chance(stream, 150);
            documents_add(operation, &batch, breaks);
            bulk->items[i].entry = batch.entries[0];
            bulk->items[i].statement = make_insert(&bulk->items[i].entry);
        }
        bulk->count++;
    }
}

static void release_bulk(struct bulk *bulk)
{
    for (unsigned i = 0; i < bulk->count; i++) {
        written_end(bulk->items[i].entry.written, ++bulk->operation->client->moment);
        bson_destroy(bulk->items[i].entry.document);
        bson_destroy(bulk->items[i].statement);
    }
}

static void take_item(struct bulk *bulk, unsigned i, const bson_t *reply, int code, int64_t n,
                      bool majority)
{
    struct written *written = bulk->items[i].entry.written;
    bulk->items[i].answered = true;
    if (bulk->items[i].entry.document != NULL) {
        documents_take_outcome(bulk->operation, &bulk->items[i].entry, "bulkWrite", reply, code,
                               majority);
    } else if (code != 0) {
        check_fails(bulk->operation->client, "error explained", "bulkWrite", reply,
                    "a statement that cannot fail has a write error");
    } else if (!bulk->items[i].deletes) {
        step_take_increment(bulk->operation, written, reply, n, majority);
    } else {
        if (n != 1 && written_is_visible(bulk->operation->client, written)) {
            check_fails(bulk->operation->client, "result counts", "bulkWrite", reply,
                        "the deletion of one stored document did not count one");
        }
        written->deleted = true;
        written->delete_majority = majority;
    }
}

static void leave_open(struct bulk *bulk, bool maybe)
{
    for (unsigned i = 0; i < bulk->count; i++) {
        struct written *written = bulk->items[i].entry.written;
        if (bulk->items[i].answered) {
            continue;
        }
        if (bulk->items[i].entry.document != NULL) {
            written->fate = maybe ? FATE_MAYBE : FATE_ABSENT;
        } else if (maybe && bulk->items[i].deletes) {
            written->maybe_deleted = true;
        } else if (maybe) {
            written->maybe_increments++;
        }
    }
}

/* The proxy takes refused statements out, and the server numbers the others: after a change of the
 * schema a repeated bulkWrite has other numbers. See docs/schemas.md, Retryable writes. */
static bool may_be_renumbered(const struct bulk *bulk, const struct result *result)
{
    const struct client *client = bulk->operation->client;
    return result->attempts > 1 && client->plan->schemas &&
           schema_may_accept(client->world, result->begun_us) &&
           schema_may_refuse(client->world, result->begun_us);
}

/* Expected counts of the reply's head. */
struct counts {
    int64_t inserted, modified, deleted, errors;
};

static bool counts_hold(const bson_t *reply, const struct counts *counts)
{
    return reply_integer(reply, "nInserted", -1) == counts->inserted &&
           reply_integer(reply, "nModified", -1) == counts->modified &&
           reply_integer(reply, "nDeleted", -1) == counts->deleted &&
           reply_integer(reply, "nErrors", -1) == counts->errors;
}

static void count_item(const struct bulk *bulk, unsigned i, int code, int64_t n,
                       struct counts *counts)
{
    counts->errors += code != 0;
    if (code != 0) {
        return;
    }
    if (bulk->items[i].entry.document != NULL) {
        counts->inserted++;
    } else {
        *(bulk->items[i].deletes ? &counts->deleted : &counts->modified) += n;
    }
}

static void take_reply(struct bulk *bulk, const struct result *result)
{
    const struct client *client = bulk->operation->client;
    const bson_t *reply = result->reply;
    int codes[OPERATIONS_MOST] = {0};
    int64_t counted[OPERATIONS_MOST];
    int64_t last = -1;
    unsigned tried = bulk->count;
    bool majority = client->what->majority && !bson_has_field(reply, "writeConcernError");
    bson_iter_t iter;
    bson_t item;
    bool started = false;
    /* Without items only the sums tell how many of the changes met a document. */
    for (unsigned i = 0; i < bulk->count; i++) {
        counted[i] = bulk->errors_only ? 1 : -1;
    }
    while (step_next_document(reply, "firstBatch", &iter, &started, &item)) {
        int64_t index = reply_integer(&item, "idx", -1);
        int code = reply_code(&item);
        if (index <= last || index >= bulk->count || (code == 0 && bulk->errors_only)) {
            check_fails(client, "error index", "bulkWrite", reply,
                        "an idx is out of range or out of order");
            return;
        }
        if (code == DOCUMENT_VALIDATION) {
            check_judging_schema(client, "bulkWrite", &item, result->begun_us);
        }
        codes[index] = code;
        counted[index] = reply_integer(&item, "n", 0);
        last = index;
        if (code != 0 && bulk->ordered) {
            tried = (unsigned)index + 1;
        }
    }
    struct counts counts = {0};
    for (unsigned i = 0; i < tried; i++) {
        if (counted[i] < 0) {
            check_fails(client, "result counts", "bulkWrite", reply, "a statement has no result");
            return;
        }
        take_item(bulk, i, reply, codes[i], counted[i], majority);
        count_item(bulk, i, codes[i], counted[i], &counts);
    }
    bool sums_are_sure = !bulk->errors_only || !plan_can_roll_back(client->plan);
    if (sums_are_sure && !counts_hold(reply, &counts)) {
        check_fails(client, "result counts", "bulkWrite", reply,
                    "the sums are not those of the results");
    }
    leave_open(bulk, false);
}

void step_bulk(struct operation *operation)
{
    struct bulk bulk;
    const bson_t *statements[OPERATIONS_MOST];
    bson_t body = BSON_INITIALIZER, open = BSON_INITIALIZER, checked = BSON_INITIALIZER;
    const bson_t *const namespaces[] = {&open, &checked};
    make_bulk(&bulk, operation);
    BSON_APPEND_UTF8(&open, "ns", APPLICATION_DATABASE "." APPLICATION_OPEN);
    BSON_APPEND_UTF8(&checked, "ns", APPLICATION_DATABASE "." APPLICATION_CHECKED);
    BSON_APPEND_INT32(&body, "bulkWrite", 1);
    BSON_APPEND_BOOL(&body, "errorsOnly", bulk.errors_only);
    BSON_APPEND_BOOL(&body, "ordered", bulk.ordered);
    step_append_concern(operation, &body);
    for (unsigned i = 0; i < bulk.count; i++) {
        statements[i] = bulk.items[i].statement;
    }
    struct command command = {
        .name = "bulkWrite",
        .database = "admin",
        .body = &body,
        .sequences = {{"ops", statements, bulk.count}, {"nsInfo", namespaces, 2}},
        .sequence_count = 2,
        .writes = true,
        .retryable = true};
    struct result result = command_run(operation->client, &command);
    for (unsigned i = 0; i < bulk.count; i++) {
        documents_begun(&bulk.items[i].entry, 1, &result);
    }
    if (result.kind == RESULT_DONE && may_be_renumbered(&bulk, &result)) {
        leave_open(&bulk, true);
    } else if (result.kind == RESULT_DONE) {
        take_reply(&bulk, &result);
    } else {
        step_check_failure(operation, "bulkWrite", &result);
        leave_open(&bulk, result.maybe);
    }
    result_release(&result);
    release_bulk(&bulk);
    bson_destroy(&body);
    bson_destroy(&open);
    bson_destroy(&checked);
}
