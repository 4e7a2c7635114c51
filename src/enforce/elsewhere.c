/* Commands that write documents that the proxy does not see: mapReduce with out, renameCollection,
 * cloneCollectionAsCapped, applyOps. Their writes are unproved. */
#include "enforce/check.h"
#include "enforce/pipeline.h"

static const struct scan_element *own_of(const struct grammar_found *found,
                                         enum grammar_meaning meaning)
{
    return grammar_has(found, meaning) ? &found->at[meaning] : NULL;
}

static struct judge_target find_own(const struct concern *concern, const struct scan_element *name)
{
    struct bytes collection;
    if (!grammar_is_name(name, true, &collection))
        return (struct judge_target){NULL, false};
    return judge_find(concern->registry, concern->command->parsed->database, collection);
}

/* True for a name in the command's own database that is certainly a collection without a schema. */
static bool is_free_name(const struct concern *concern, const struct scan_element *name)
{
    struct bytes collection;
    return grammar_is_name(name, false, &collection) && find_own(concern, name).entry == NULL;
}

/* --- mapReduce --- */

static const struct judge_reason reduced = {
    .text = "the documents that mapReduce writes are not known before the write"};

static bool is_free_out(const struct concern *concern, const struct scan_element *out)
{
    struct grammar_found found;
    struct error err;
    struct bytes database = concern->command->parsed->database;
    if (out->kind != BSON_KIND_OBJECT)
        return !concern->guarded || is_free_name(concern, out);
    if (!concern->guarded && !pipeline_names_guarded(concern->registry, out->value))
        return true;
    if (!grammar_read(&grammar_map_reduce_out, out->value, &found, &err))
        return false;
    const struct scan_element *name = own_of(&found, MEANS_COLLECTION);
    struct bytes collection;
    if (grammar_has(&found, MEANS_DATABASE))
        (void)grammar_is_name(&found.at[MEANS_DATABASE], false, &database);
    if (name == NULL)
        return grammar_has(&found, MEANS_INLINE);
    return grammar_is_name(name, false, &collection) &&
           judge_find(concern->registry, database, collection).entry == NULL;
}

/* Counts the fields with this name, and tells whether one of them is not free. */
static bool has_bound(const struct concern *concern, const char *name,
                      bool (*is_free)(const struct concern *concern,
                                      const struct scan_element *field))
{
    struct wire_fields fields;
    struct scan_element field;
    wire_fields_open(&fields, concern->command->parsed);
    while (wire_fields_next(&fields, &field))
        if (scan_name_is(&field, name) && !is_free(concern, &field))
            return true;
    return false;
}

bool concerns_map_reduce(const struct concern *concern)
{
    return has_bound(concern, "out", is_free_out) || concern->sequences;
}

static bool find_map_reduce_out(struct check *check, const struct scan_element *out,
                                struct judge_target *target)
{
    struct grammar_found found;
    struct bytes database = check->command->parsed->database;
    struct bytes collection;
    target->entry = NULL;
    if (out->kind == BSON_KIND_STRING) {
        *target = find_own(&check->concern, out);
        return grammar_is_name(out, false, &collection) ||
               error_set(check->err, ERROR_INVALID_NAMESPACE,
                         "mapReduce: 'out' is not a valid name of a collection");
    }
    if (!grammar_read(&grammar_map_reduce_out, out->value, &found, check->err))
        return false;
    const struct scan_element *name = own_of(&found, MEANS_COLLECTION);
    if (name == NULL)
        return grammar_has(&found, MEANS_INLINE) ||
               error_set(check->err, 13522, "mapReduce: 'out' names no target");
    if (grammar_has(&found, MEANS_DATABASE))
        (void)grammar_is_name(&found.at[MEANS_DATABASE], false, &database);
    (void)grammar_is_name(name, false, &collection);
    *target = judge_find(check->concern.registry, database, collection);
    return true;
}

bool check_map_reduce(struct check *check)
{
    struct grammar_found found;
    struct judge_target target = {0};
    if (!message_read(check->command, &grammar_map_reduce, &found, &check->options, check->err) ||
        !find_map_reduce_out(check, &found.at[MEANS_TARGET], &target))
        return false;
    return check_unproved(check, target, &reduced);
}

/* --- renameCollection, and the server's own internalRenameIfOptionsAndIndexesMatch --- */

static struct judge_target find_namespace(const struct concern *concern,
                                          const struct scan_element *field)
{
    struct bytes ns;
    if (!grammar_is_name(field, false, &ns))
        return (struct judge_target){NULL, false};
    return judge_find_namespace(concern->registry, ns);
}

static bool is_free_namespace(const struct concern *concern, const struct scan_element *field)
{
    return field->kind == BSON_KIND_STRING && find_namespace(concern, field).entry == NULL;
}

bool concerns_rename(const struct concern *concern)
{
    return has_bound(concern, "to", is_free_namespace) || concern->sequences;
}

bool check_rename(struct check *check)
{
    static const struct judge_reason why = {
        .text = "the documents of the renamed collection are not known"};
    struct grammar_found found;
    return message_read(check->command, &grammar_rename_collection, &found, &check->options,
                        check->err) &&
           check_unproved(check, find_namespace(&check->concern, &found.at[MEANS_NAMESPACE]), &why);
}

/* --- cloneCollectionAsCapped --- */

bool concerns_clone_as_capped(const struct concern *concern)
{
    return concern->guarded &&
           (has_bound(concern, "toCollection", is_free_name) || concern->sequences);
}

bool check_clone_as_capped(struct check *check)
{
    static const struct judge_reason why = {
        .text = "the documents of the cloned collection are not known"};
    struct grammar_found found;
    return message_read(check->command, &grammar_clone_as_capped, &found, &check->options,
                        check->err) &&
           check_unproved(check, find_own(&check->concern, &found.at[MEANS_COLLECTION]), &why);
}

/* --- applyOps, doTxn --- */

/* Beyond these limits the effect is unknown. */
enum { OPERATIONS_DEPTH_MAX = 16, OPERATIONS_MAX = 10000 };

struct operations {
    const struct registry *registry;
    size_t left;
};

static bool are_free(struct operations *all, const struct scan_element *operations, unsigned depth);

/* If there are two, the server chooses one. */
static bool has_one(struct bytes document, const char *name, struct scan_element *only)
{
    struct scan scan;
    struct scan_element field;
    size_t count = 0;
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field))
        if (scan_name_is(&field, name) && count++ == 0)
            *only = field;
    return count == 1 && !scan.broken;
}

/* The command of an operation c: a definition of a collection, or further operations. */
static bool is_free_command(struct operations *all, const struct scan_element *command,
                            unsigned depth)
{
    static const char *const harmless[] = {"create",        "createIndexes",  "drop",
                                           "dropDatabase",  "dropIndexes",    "collMod",
                                           "deleteIndexes", "startIndexBuild"};
    struct scan scan;
    struct scan_element first;
    struct scan_element one;
    if (command->kind != BSON_KIND_OBJECT || !scan_open(&scan, command->value) ||
        !scan_next(&scan, &first))
        return false;
    if (scan_name_is(&first, "applyOps"))
        return has_one(command->value, "applyOps", &one) && are_free(all, &one, depth + 1);
    const struct concern concern = {.registry = all->registry};
    if (scan_name_is(&first, "renameCollection"))
        return has_one(command->value, "to", &one) && is_free_namespace(&concern, &one);
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (scan_name_is(&first, harmless[i]))
            return true;
    return false;
}

/* A field about where or what may occur once. `ui` is a collection's UUID, and overrides its name.
 */
struct oplog_entry {
    struct scan_element op;
    struct scan_element ns;
    struct scan_element object;
    bool unclear;
};

static void put(struct oplog_entry *entry, struct scan_element *place,
                const struct scan_element *field)
{
    entry->unclear = entry->unclear || place->kind != 0;
    *place = *field;
}

static struct oplog_entry read_operation(struct bytes document)
{
    struct oplog_entry entry = {.unclear = false};
    struct scan scan;
    struct scan_element field;
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field)) {
        if (scan_name_is(&field, "op"))
            put(&entry, &entry.op, &field);
        else if (scan_name_is(&field, "ns"))
            put(&entry, &entry.ns, &field);
        else if (scan_name_is(&field, "o"))
            put(&entry, &entry.object, &field);
        else if (scan_name_is(&field, "ui"))
            entry.unclear = true;
    }
    entry.unclear = entry.unclear || scan.broken;
    return entry;
}

static bool is_free_operation(struct operations *all, struct bytes document, unsigned depth)
{
    const struct oplog_entry entry = read_operation(document);
    const struct concern concern = {.registry = all->registry};
    struct bytes op;
    if (entry.unclear || !grammar_is_name(&entry.op, false, &op))
        return false;
    switch (bytes_left(&op) == 1 ? *op.pos : 0) {
    case 'n': /* a no-op */
    case 'd': /* a delete */
        return true;
    case 'i':
    case 'u':
        return is_free_namespace(&concern, &entry.ns);
    case 'c':
        return is_free_command(all, &entry.object, depth);
    default:
        return false;
    }
}

/* True if none of them may write to a namespace with a schema. */
static bool are_free(struct operations *all, const struct scan_element *operations, unsigned depth)
{
    struct scan scan;
    struct scan_element item;
    if (operations->kind != BSON_KIND_ARRAY || depth > OPERATIONS_DEPTH_MAX ||
        !scan_open(&scan, operations->value))
        return false;
    while (scan_next(&scan, &item))
        if (all->left-- == 0 || item.kind != BSON_KIND_OBJECT ||
            !is_free_operation(all, item.value, depth))
            return false;
    return !scan.broken;
}

static bool is_free_list(const struct concern *concern, const struct scan_element *field)
{
    struct operations all = {concern->registry, OPERATIONS_MAX};
    return are_free(&all, field, 0);
}

bool concerns_operations(const struct concern *concern)
{
    return has_bound(concern, concern->command->parsed->name, is_free_list) || concern->sequences;
}

/* Their targets are not looked up: every namespace whose schema requires proofs decides. */
bool check_operations(struct check *check)
{
    static const struct judge_reason why = {
        .text = "mongosluice does not examine operations of the oplog, or this command"};
    struct judge_target target = {registry_strictest(check->concern.registry, (struct bytes){0}),
                                  false};
    return check_unproved(check, target, &why);
}
