#include "catalog/collections.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"

struct collection {
    char *ns;
    uint8_t *schema;
    size_t schema_len;
    char *left_out; /* NULL: the validator is enforced */
    enum schema_level level;
    enum schema_action action;
    bool pending; /* it is suspended */
    struct registry_entry
        *suspended; /* a reference to the suspended entry; its counters continue later */
};

static const char suspended_reason[] = "a command changes the collection: the proxy enforces its "
                                       "validator again after reading it anew";

static void collection_release(struct collection *collection)
{
    memory_free(collection->ns);
    memory_free(collection->schema);
    memory_free(collection->left_out);
    registry_entry_release(collection->suspended);
}

static bool is_same(const struct collection *known, const struct validators_found *validator)
{
    size_t len = bytes_left(&validator->schema);
    if (known->left_out != NULL || validator->left_out != NULL)
        return known->left_out != NULL && validator->left_out != NULL &&
               strcmp(known->left_out, validator->left_out) == 0;
    return known->level == validator->level && known->action == validator->action &&
           known->schema_len == len && memcmp(known->schema, validator->schema.pos, len) == 0;
}

static bool remember(struct collection *out, const struct validators_found *validator)
{
    size_t len = bytes_left(&validator->schema);
    *out = (struct collection){
        .ns = memory_copy_string(validator->ns),
        .schema = memory_alloc(len + 1),
        .schema_len = len,
        .left_out = validator->left_out == NULL ? NULL : memory_copy_string(validator->left_out),
        .level = validator->level,
        .action = validator->action};
    if (out->ns != NULL && out->schema != NULL &&
        (out->left_out != NULL) == (validator->left_out != NULL)) {
        if (len > 0)
            memcpy(out->schema, validator->schema.pos, len);
        return true;
    }
    collection_release(out);
    return false;
}

static struct registry_entry *make_entry(const struct current_set *set,
                                         const struct validators_found *validator,
                                         struct error *err)
{
    struct schema_file file = {0};
    struct registry_entry *entry = NULL;
    if (validator->left_out != NULL)
        (void)error_set(err, ERROR_BAD_VALUE, "%s", validator->left_out);
    else if (schema_file_of_validator(validator->ns, validator->schema, validator->level,
                                      validator->action, &file, err) &&
             current_set_fits(set, &file, REGISTRY_COLLECTION, err))
        entry = registry_entry_new(&file, REGISTRY_COLLECTION, "collection validator");
    schema_file_release(&file);
    return entry;
}

static void put_validator(struct current_set *set, const struct validators_found *validator,
                          const struct registry_entry *suspended)
{
    struct error err;
    (void)error_no_memory(&err, "the schema");
    struct registry_entry *entry = make_entry(set, validator, &err);
    if (entry != NULL && suspended != NULL)
        registry_entry_adopt_stats(entry, suspended);
    struct registry *registry = entry == NULL ? NULL : current_set_draft(set);
    if (entry != NULL && registry != NULL && registry_put(registry, entry)) {
        (void)registry_leave_out(registry, validator->ns, NULL);
        return;
    }
    const struct registry_left_out *before = registry_find_left_out(set->registry, validator->ns);
    if (before != NULL && strcmp(before->reason, err.message) == 0)
        return;
    registry = current_set_draft(set);
    LOG_W(LOG_SCHEMA, 3005, "schemas", "Only the server enforces the validator of a collection",
          LOG_STR("ns", validator->ns), LOG_STR("reason", err.message));
    if (registry == NULL)
        return;
    (void)registry_remove(registry, validator->ns, strlen(validator->ns), REGISTRY_COLLECTION);
    (void)registry_leave_out(registry, validator->ns, err.message);
}

static struct collection *find_collection(const struct collections *collections, const char *ns)
{
    for (size_t i = 0; i < collections->count; i++)
        if (strcmp(collections->of[i].ns, ns) == 0)
            return &collections->of[i];
    return NULL;
}

/* Drops the collections that are not in `next`. */
static void drop_collections(struct collections *collections, struct current_set *set,
                             const struct collection *next, size_t count)
{
    for (size_t i = 0; i < collections->count; i++) {
        struct collection *old = &collections->of[i];
        bool kept = false;
        for (size_t j = 0; j < count && !kept; j++)
            kept = strcmp(next[j].ns, old->ns) == 0;
        if (!kept && current_set_draft(set) != NULL) {
            (void)registry_remove(set->draft, old->ns, strlen(old->ns), REGISTRY_COLLECTION);
            (void)registry_leave_out(set->draft, old->ns, NULL);
        }
    }
}

/* A collection that is left out for another reason stays so. */
static void suspend(struct current_set *set, struct collection *collection)
{
    struct registry_entry *entry = registry_entry_of(current_set_latest(set), collection->ns,
                                                     strlen(collection->ns), REGISTRY_COLLECTION);
    struct registry *registry = entry == NULL ? NULL : current_set_draft(set);
    collection->pending = true;
    if (registry == NULL)
        return;
    registry_entry_release(collection->suspended);
    collection->suspended = registry_entry_retain(entry);
    (void)registry_remove(registry, collection->ns, strlen(collection->ns), REGISTRY_COLLECTION);
    (void)registry_leave_out(registry, collection->ns, suspended_reason);
    LOG_I(LOG_SCHEMA, 3030, "schemas",
          "A collection changes; the proxy enforces its validator again after reading it anew",
          LOG_STR("ns", collection->ns));
}

void collections_suspend(struct collections *collections, struct current_set *set,
                         const struct suspension_scope *scope)
{
    for (size_t i = 0; i < collections->count; i++)
        if (suspension_scope_covers(scope, collections->of[i].ns))
            suspend(set, &collections->of[i]);
}

/* Replaces `known`, which may be NULL, by the validator that was read. */
static void take(struct current_set *set, const struct validators_found *validator,
                 struct collection *known, struct collection *next, bool is_suspended)
{
    if (known != NULL) {
        next->suspended = known->suspended;
        known->suspended = NULL;
    }
    if (is_suspended) {
        suspend(set, next);
        return;
    }
    /* a schema that did not fit may fit now */
    if (known == NULL || known->pending || !is_same(known, validator) ||
        registry_find_left_out(current_set_latest(set), validator->ns) != NULL)
        put_validator(set, validator, next->suspended);
    registry_entry_release(next->suspended);
    next->suspended = NULL;
}

bool collections_take(struct collections *collections, struct current_set *set,
                      const struct suspensions *suspensions, const struct validators_found *all,
                      size_t count)
{
    size_t used = 0;
    struct collection *next = memory_array(count + 1, sizeof *next);
    if (next == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct collection *known = find_collection(collections, all[i].ns);
        if (remember(&next[used], &all[i]))
            take(set, &all[i], known, &next[used++], suspensions_cover(suspensions, all[i].ns));
    }
    drop_collections(collections, set, next, used);
    collections_release(collections);
    *collections = (struct collections){next, used};
    return true;
}

void collections_release(struct collections *collections)
{
    for (size_t i = 0; i < collections->count; i++)
        collection_release(&collections->of[i]);
    memory_free(collections->of);
}
