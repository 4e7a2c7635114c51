/* bulkWrite of server 8.0: operations on any number of namespaces. The list nsInfo contains the
 * namespaces, and operations refer to them by index. */
#include "enforce/candidate.h"
#include "enforce/check.h"

#include "base/memory.h"
#include "enforce/update.h"

/* The approximate cost of looking up a namespace. */
enum { NAMESPACE_NS = 100 };

/* A longer list is read as if a namespace in it had a schema. */
enum { NAMESPACES_AHEAD = 1000 };

/* --- which namespaces --- */

/* True if a field `ns` names a namespace with a schema, or is not certainly a namespace. */
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

static bool is_bound_list(const struct registry *registry, const struct document_list *list)
{
    struct list_walk items;
    struct bytes info;
    list_walk_open(&items, list);
    for (int i = 0; list_walk_next(&items, &info); i++)
        if (i == NAMESPACES_AHEAD || items.kind != BSON_KIND_OBJECT || is_bound(registry, info))
            return true;
    return !list_walk_is_whole(&items);
}

static bool has_bound_list(const struct concern *concern)
{
    struct wire_fields fields;
    struct scan_element field;
    wire_fields_open(&fields, concern->command->parsed);
    while (wire_fields_next(&fields, &field)) {
        struct document_list list = {.in_body = true, .content = field.value};
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

/* True if no list of namespaces, at any place, contains one with a schema. */
static bool is_free(const struct concern *concern)
{
    struct wire_command *parsed = concern->command->parsed;
    const struct document_list *list = NULL;
    for (size_t i = 0; (list = wire_command_sequence(parsed, i)) != NULL; i++)
        if (strcmp(list->name, "nsInfo") == 0 && is_bound_list(concern->registry, list))
            return false;
    return !parsed->lists_left_out && !has_bound_list(concern);
}

static bool read_namespace(const struct check *check, struct bytes info,
                           struct check_namespace *out)
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

static struct check_namespace *namespace_at(struct check *check, size_t place)
{
    return check->namespaces != NULL ? &check->namespaces[place] : &check->in_place[place];
}

/* Makes room for another one: first in place, then by doubling. */
static bool reserve_namespace(struct check *check)
{
    size_t count = check->namespace_count;
    bool full = count >= CHECK_NAMESPACES_IN_PLACE && (count & (count - 1)) == 0;
    if (!full)
        return true;
    struct check_namespace *all =
        memory_resize(check->namespaces, count * 2 * sizeof(struct check_namespace));
    if (all == NULL)
        return error_no_memory(check->err, "the check of a bulkWrite");
    if (check->namespaces == NULL)
        memcpy(all, check->in_place, sizeof check->in_place);
    check->namespaces = all;
    return true;
}

static bool add_namespace(struct check *check, struct bytes info)
{
    if (check->command->max_statements > 0 &&
        check->namespace_count == check->command->max_statements)
        return error_set(check->err, ERROR_INVALID_LENGTH,
                         "bulkWrite: nsInfo may have at most %u namespaces",
                         check->command->max_statements);
    if (!reserve_namespace(check))
        return false;
    struct check_namespace *one = namespace_at(check, check->namespace_count);
    if (!read_namespace(check, info, one))
        return false;
    check->namespace_count++;
    check->any_guarded = check->any_guarded || one->target.entry != NULL;
    return true;
}

static const struct document_list *namespace_list(const struct check *check)
{
    return &check->command->parsed->lists[check->namespace_list];
}

enum enforce_progress check_namespaces(struct check *check)
{
    struct bytes info;
    while (list_walk_next(&check->items, &info)) {
        if (check->items.kind != BSON_KIND_OBJECT) {
            (void)message_wrong_item(namespace_list(check), &check->items, check->err);
            return ENFORCE_FAILED;
        }
        if (!add_namespace(check, info))
            return ENFORCE_FAILED;
        if (check_is_spent(check, NAMESPACE_NS))
            return ENFORCE_PART;
    }
    return message_end_list(&check->items, check->err) ? ENFORCE_DONE : ENFORCE_FAILED;
}

/* --- operations --- */

/* NULL with the error set where there is none. */
static const struct check_namespace *find_place(struct check *check,
                                                const struct scan_element *place)
{
    int64_t index = 0;
    if (!scan_as_int64(place, &index))
        (void)error_set(check->err, ERROR_TYPE_MISMATCH,
                        "bulkWrite: an operation's index into nsInfo must be a whole number");
    else if (index < 0 || index >= (int64_t)check->namespace_count)
        (void)error_set(check->err, ERROR_BAD_VALUE,
                        "bulkWrite: an operation names index %lld of %u in nsInfo",
                        (long long)index, check->namespace_count);
    else
        return namespace_at(check, (size_t)index);
    return NULL;
}

/* A parsed operation: the document of an insert, or an update. */
struct operation {
    const struct check_namespace *namespace;
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

static enum judged judge_read(struct check *check, uint32_t index, const struct scan_element *kind,
                              const struct operation *operation)
{
    const struct check_namespace *namespace = operation->namespace;
    if (check->reads_only || namespace->target.entry == NULL || scan_name_is(kind, "delete"))
        return JUDGED_PASS;
    judge_enter_target(&check->judge, namespace->target, namespace->opaque || check->opaque);
    if (scan_name_is(kind, "update"))
        return candidate_update(&check->judge, index, &operation->update);
    check->judge.update = false;
    return candidate_insert(&check->judge, index, operation->document);
}

static enum judged judge_operation(struct check *check, uint32_t index, struct bytes bytes)
{
    struct operation operation = {.namespace = NULL};
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
    operation.namespace = ok ? find_place(check, &kind) : NULL;
    if (operation.namespace == NULL)
        return JUDGED_FAILED;
    return judge_read(check, index, &kind, &operation);
}

bool check_bulk_write(struct check *check)
{
    struct grammar_found found;
    uint8_t operations = 0;
    if (is_free(&check->concern))
        return true;
    if (!message_read(check->command, &grammar_bulk_write, &found, &check->options, check->err) ||
        !message_find_list(check->command, &found, MEANS_LIST, &operations, check->err) ||
        !message_find_list(check->command, &found, MEANS_NAMESPACES, &check->namespace_list,
                           check->err))
        return false;
    check->judge.bypass = check->options.bypass;
    check->opaque = grammar_has(&found, MEANS_OPAQUE);
    check_statements(check, operations, SPLICE_BULK_WRITE, judge_operation);
    return true;
}
