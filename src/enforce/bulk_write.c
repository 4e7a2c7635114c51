/* bulkWrite of server 8.0: operations on any number of namespaces, which stand in a list of their
 * own (nsInfo) and are named by their place in it. */
#include "enforce/check.h"

#include "base/memory.h"
#include "enforce/update.h"

/* Namespaces up to this many need no memory. */
enum { NAMESPACES_IN_PLACE = 16 };

struct namespace
{
    struct judge_target target;
    bool opaque;
};

struct namespaces {
    struct namespace in_place[NAMESPACES_IN_PLACE];
    struct namespace *all;
    size_t count;
    bool any;    /* of them has a schema */
    bool opaque; /* of the whole command */
};

/* --- which namespaces --- */

/* Whether one of its fields `ns` names a namespace with a schema, or no namespace for certain. */
static bool is_bound(const struct registry *registry, struct bytes info)
{
    struct scan scan;
    struct scan_element field;
    struct bytes ns;
    bool found = false;
    if (!scan_open(&scan, info))
        return true;
    while (scan_next(&scan, &field)) {
        if (!scan_name_is(&field, "ns"))
            continue;
        if (!grammar_is_name(&field, false, &ns) ||
            judge_find_namespace(registry, ns).entry != NULL)
            return true;
        found = true;
    }
    return !found || scan.broken;
}

static bool is_bound_list(const struct registry *registry, const struct message_list *list)
{
    struct message_items items;
    struct bytes info;
    message_items_open(list, &items);
    while (message_items_next(&items, &info))
        if (is_bound(registry, info))
            return true;
    return !message_items_end(&items, NULL);
}

static bool has_bound_list(const struct concern *concern)
{
    struct scan scan;
    struct scan_element field;
    (void)scan_open(&scan, concern->command->body);
    while (scan_next(&scan, &field)) {
        struct message_list list = {.in_body = true, .content = field.value};
        if (scan_name_is(&field, "nsInfo") &&
            (field.kind != BSON_KIND_ARRAY || is_bound_list(concern->registry, &list)))
            return true;
    }
    return false;
}

bool concerns_bulk_write(const struct concern *concern)
{
    return has_bound_list(concern) || concern->sequences;
}

/* None of its lists of namespaces, wherever they stand, has one with a schema. */
static bool is_free(const struct concern *concern)
{
    struct bytes rest = concern->command->payload;
    struct scan_element sequence;
    bool first = true;
    while (message_next_sequence(concern->command, &rest, &first, &sequence)) {
        struct message_list list = {.content = sequence.value};
        if (scan_name_is(&sequence, "nsInfo") && is_bound_list(concern->registry, &list))
            return false;
    }
    return !has_bound_list(concern);
}

static void close_namespaces(struct namespaces *namespaces)
{
    if (namespaces->all != namespaces->in_place)
        memory_free(namespaces->all);
}

static bool read_namespace(const struct check *check, struct bytes info, struct namespace *out)
{
    struct grammar_found found;
    struct bytes ns;
    if (!grammar_read(&grammar_bulk_namespace, info, &found, check->err))
        return false;
    out->opaque = grammar_has(&found, MEANS_OPAQUE);
    if (!grammar_is_name(&found.at[MEANS_NAMESPACE], false, &ns) ||
        memchr(ns.pos, '.', bytes_left(&ns)) == NULL)
        return error_set(check->err, ERROR_INVALID_NAMESPACE,
                         "bulkWrite: a namespace must be 'database.collection'");
    out->target = judge_find_namespace(check->concern.registry, ns);
    return true;
}

/* close_namespaces is due whatever it returns. */
static bool open_namespaces(struct namespaces *namespaces, const struct check *check,
                            const struct message_list *list)
{
    struct message_items items;
    struct bytes info;
    size_t count = 0;
    namespaces->all = namespaces->in_place;
    namespaces->count = 0;
    namespaces->any = false;
    message_items_open(list, &items);
    while (message_items_next(&items, &info))
        count++;
    if (!message_items_end(&items, check->err))
        return false;
    if (count > NAMESPACES_IN_PLACE)
        namespaces->all = memory_array(count, sizeof(struct namespace));
    if (namespaces->all == NULL)
        return error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory to check a bulkWrite");
    message_items_open(list, &items);
    while (message_items_next(&items, &info)) {
        struct namespace *one = &namespaces->all[namespaces->count++];
        if (!read_namespace(check, info, one))
            return false;
        namespaces->any = namespaces->any || one->target.entry != NULL;
    }
    return true;
}

/* --- operations --- */

static bool find_place(const struct namespaces *namespaces, const struct scan_element *place,
                       const struct namespace **out, struct error *err)
{
    int64_t index = 0;
    if (!scan_as_int64(place, &index))
        return error_set(err, ERROR_TYPE_MISMATCH,
                         "bulkWrite: the place of an operation's namespace must be whole");
    if (index < 0 || index >= (int64_t)namespaces->count)
        return error_set(err, ERROR_BAD_VALUE,
                         "bulkWrite: an operation names place %lld of %zu in nsInfo",
                         (long long)index, namespaces->count);
    *out = &namespaces->all[index];
    return true;
}

/* An operation as it was read: an insert's document, or an update. */
struct operation {
    const struct namespace *namespace;
    struct bytes document;
    struct update_statement update;
};

static bool read_insert(struct bytes bytes, struct operation *operation, struct error *err)
{
    struct grammar_found found;
    if (!grammar_read(&grammar_bulk_insert, bytes, &found, err))
        return false;
    operation->document = found.at[MEANS_DOCUMENT].value;
    return true;
}

static bool read_delete(struct bytes bytes, struct error *err)
{
    struct grammar_found found;
    return grammar_read(&grammar_bulk_delete, bytes, &found, err);
}

static enum judged judge_read(struct check *check, const struct namespaces *namespaces,
                              uint32_t index, const struct scan_element *kind,
                              const struct operation *operation)
{
    const struct namespace *namespace = operation->namespace;
    if (check->reads_only || namespace->target.entry == NULL || scan_name_is(kind, "delete"))
        return JUDGED_PASS;
    judge_enter_target(&check->judge, namespace->target, namespace->opaque || namespaces->opaque);
    if (scan_name_is(kind, "update"))
        return judge_update(&check->judge, index, &operation->update);
    check->judge.update = false;
    return judge_insert(&check->judge, index, operation->document);
}

static enum judged judge_operation(void *arg, struct check *check, uint32_t index,
                                   struct bytes bytes)
{
    const struct namespaces *namespaces = arg;
    struct operation operation;
    struct scan scan;
    struct scan_element kind;
    bool ok = false;
    if (!scan_open(&scan, bytes) || !scan_next(&scan, &kind))
        ok = error_set(check->err, ERROR_FAILED_TO_PARSE, "bulkWrite: an operation is empty");
    else if (scan_name_is(&kind, "insert"))
        ok = read_insert(bytes, &operation, check->err);
    else if (scan_name_is(&kind, "update"))
        ok = update_read(&grammar_bulk_update, bytes, &operation.update, check->err);
    else if (scan_name_is(&kind, "delete"))
        ok = read_delete(bytes, check->err);
    else
        (void)error_set(check->err, ERROR_FAILED_TO_PARSE,
                        "bulkWrite: an operation is neither insert nor update nor delete");
    if (!ok || !find_place(namespaces, &kind, &operation.namespace, check->err))
        return JUDGED_FAILED;
    return judge_read(check, namespaces, index, &kind, &operation);
}

bool check_bulk_write(struct check *check)
{
    struct message_list operations;
    struct message_list list;
    struct grammar_found found;
    struct namespaces namespaces;
    if (is_free(&check->concern))
        return true;
    if (!message_read(check->command, &grammar_bulk_write, &found, &check->options, check->err) ||
        !message_open_list(&found, MEANS_LIST, "ops", false, &operations, check->err) ||
        !message_open_list(&found, MEANS_NAMESPACES, "nsInfo", false, &list, check->err))
        return false;
    check->judge.bypass = check->options.bypass;
    namespaces.opaque = grammar_has(&found, MEANS_OPAQUE);
    bool ok = open_namespaces(&namespaces, check, &list);
    if (ok && namespaces.any)
        ok = check_statements(check, &operations, SPLICE_BULK_WRITE, judge_operation, &namespaces);
    close_namespaces(&namespaces);
    return ok;
}
