/* bulkWrite of server 8.0: operations on any number of namespaces, which stand in a list of their
 * own (nsInfo) and are named by their place in it. */
#include "enforce/check.h"

#include "base/memory.h"
#include "enforce/update.h"

/* Namespaces up to this many need no memory. */
enum { NAMESPACES_IN_PLACE = 16 };

struct namespaces {
    const struct registry_entry *in_place[NAMESPACES_IN_PLACE];
    const struct registry_entry **entries;
    size_t count;
    bool any; /* of them has a schema */
};

static const struct registry_entry *find_namespace(const struct registry *registry,
                                                   struct bytes info)
{
    struct scan_element ns;
    const char *text = NULL;
    size_t len = 0;
    if (!scan_find(info, "ns", &ns) || !scan_as_string(&ns, &text, &len))
        return NULL;
    return judge_find_namespace(registry, text, len);
}

static void close_namespaces(struct namespaces *namespaces)
{
    if (namespaces->entries != namespaces->in_place)
        memory_free(namespaces->entries);
}

/* close_namespaces is due whatever it returns. */
static bool open_namespaces(struct namespaces *namespaces, const struct check *check,
                            const struct message_list *list)
{
    struct message_items items;
    struct bytes info;
    size_t count = 0;
    namespaces->entries = namespaces->in_place;
    namespaces->count = 0;
    namespaces->any = false;
    message_items_open(list, &items);
    while (message_items_next(&items, &info))
        count++;
    if (!message_items_end(&items, check->err))
        return false;
    if (count > NAMESPACES_IN_PLACE)
        namespaces->entries = memory_array(count, sizeof(struct registry_entry *));
    if (namespaces->entries == NULL)
        return error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory to check a bulkWrite");
    message_items_open(list, &items);
    while (message_items_next(&items, &info)) {
        const struct registry_entry *entry = find_namespace(check->registry, info);
        namespaces->entries[namespaces->count++] = entry;
        namespaces->any = namespaces->any || entry != NULL;
    }
    return true;
}

static enum judged judge_insert_of(struct judge *judge, uint32_t index, struct bytes operation)
{
    struct scan scan;
    struct scan_element field;
    struct bytes document = {0};
    judge->update = false;
    (void)scan_open(&scan, operation);
    while (scan_next(&scan, &field)) {
        if (field.kind != BSON_KIND_OBJECT || !scan_name_is(&field, "document"))
            continue;
        if (bytes_left(&document) > 0)
            scan.broken = true;
        document = field.value;
    }
    if (scan.broken) {
        (void)error_set(judge->err, ERROR_INVALID_BSON,
                        "An insert of a bulkWrite is not BSON, or has two documents");
        return JUDGED_FAILED;
    }
    /* Without one, the server refuses it. */
    return bytes_left(&document) == 0 ? JUDGED_PASS : judge_insert(judge, index, document);
}

static enum judged judge_update_of(struct judge *judge, uint32_t index, struct bytes operation)
{
    static const struct update_names names = {"filter", "updateMods"};
    struct update_statement update;
    if (!update_read(operation, &names, &update, judge->err))
        return JUDGED_FAILED;
    return judge_update(judge, index, &update);
}

static enum judged judge_operation(void *arg, struct check *check, uint32_t index,
                                   struct bytes operation)
{
    const struct namespaces *namespaces = arg;
    struct scan scan;
    struct scan_element first;
    int64_t place = 0;
    if (!scan_open(&scan, operation) || !scan_next(&scan, &first) ||
        !scan_as_int64(&first, &place) || place < 0 || place >= (int64_t)namespaces->count)
        return JUDGED_PASS;
    const struct registry_entry *entry = namespaces->entries[place];
    if (entry == NULL)
        return JUDGED_PASS;
    judge_enter(&check->judge, entry);
    if (scan_name_is(&first, "insert"))
        return judge_insert_of(&check->judge, index, operation);
    if (scan_name_is(&first, "update"))
        return judge_update_of(&check->judge, index, operation);
    return JUDGED_PASS;
}

bool check_bulk_write(struct check *check)
{
    struct message_list lists[] = {{.name = "ops"}, {.name = "nsInfo"}};
    struct namespaces namespaces;
    if (!message_read(check->command, lists, 2, &check->options, check->err))
        return false;
    if (!lists[0].found || !lists[1].found)
        return true;
    check->judge.bypass = check->options.bypass;
    bool ok = open_namespaces(&namespaces, check, &lists[1]);
    if (ok && namespaces.any)
        ok = check_statements(check, &lists[0], SPLICE_BULK_WRITE, judge_operation, &namespaces);
    close_namespaces(&namespaces);
    return ok;
}

bool concerns_bulk_write(const struct registry *registry, const struct enforce_command *command)
{
    struct scan scan;
    struct scan_element list;
    struct scan_element info;
    if (!scan_find(command->body, "nsInfo", &list) || list.kind != BSON_KIND_ARRAY)
        return true; /* in a section of its own */
    (void)scan_open(&scan, list.value);
    while (scan_next(&scan, &info))
        if (info.kind == BSON_KIND_OBJECT && find_namespace(registry, info.value) != NULL)
            return true;
    return false;
}
