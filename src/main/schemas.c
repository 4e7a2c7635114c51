#include "main/schemas.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/clock.h"

/* What the coarsest of the usual file systems count in. */
enum { FRESH_SECONDS = 3 };

/* One file of the folder, as it was last looked at. */
struct source {
    char *path;
    char *ns;      /* of its entry in the registry; NULL when it has none */
    char *problem; /* why it is broken; NULL when it is not */
    struct timespec changed;
    off_t size;
    ino_t inode;
    bool fresh; /* it was written just before it was looked at: see has_changed */
};

/* A collection of the upstream's that has a validator. */
struct collection {
    char *ns;
    uint8_t *schema;
    size_t schema_len;
    char *left_out; /* NULL: it is to be enforced */
    enum schema_level level;
    enum schema_action action;
};

struct schemas {
    char *folder;
    size_t memory_max;
    struct source *sources; /* sorted by path */
    size_t count;
    struct collection *collections;
    size_t collection_count;
    struct registry *registry; /* guarded by lock where other threads read it */
    struct registry *draft;    /* while something changes */
    size_t problems;           /* guarded by lock */
    pthread_mutex_t lock;
    pthread_mutex_t work; /* held by whoever changes something */
    void (*publish)(void *arg, struct registry *registry);
    void *arg;
    bool unreadable; /* the folder was so when last looked at: said once */
};

/* --- the set ------------------------------------------------------------------------------------
 */

/* The set that is being changed; NULL when memory is out. */
static struct registry *draft(struct schemas *schemas)
{
    if (schemas->draft == NULL)
        schemas->draft = registry_copy(schemas->registry);
    return schemas->draft;
}

static void publish(struct schemas *schemas)
{
    size_t problems = 0;
    for (size_t i = 0; i < schemas->count; i++)
        problems += schemas->sources[i].problem != NULL;
    pthread_mutex_lock(&schemas->lock);
    schemas->problems = problems + schemas->unreadable;
    struct registry *old = NULL;
    if (schemas->draft != NULL) {
        old = schemas->registry;
        schemas->registry = schemas->draft;
    }
    pthread_mutex_unlock(&schemas->lock);
    if (schemas->draft == NULL)
        return;
    schemas->draft = NULL;
    registry_release(old);
    if (schemas->publish != NULL)
        schemas->publish(schemas->arg, schemas->registry);
    LOG_I(LOG_SCHEMA, 3000, "schemas", "Schemas in force",
          LOG_INT("namespaces", (int64_t)registry_size(schemas->registry)),
          LOG_INT("brokenFiles", (int64_t)problems));
}

struct registry *schemas_registry(struct schemas *schemas)
{
    pthread_mutex_lock(&schemas->lock);
    struct registry *registry = registry_retain(schemas->registry);
    pthread_mutex_unlock(&schemas->lock);
    return registry;
}

size_t schemas_problems(struct schemas *schemas)
{
    pthread_mutex_lock(&schemas->lock);
    size_t problems = schemas->problems;
    pthread_mutex_unlock(&schemas->lock);
    return problems;
}

/* --- one file -----------------------------------------------------------------------------------
 */

static void source_release(struct source *source)
{
    memory_free(source->path);
    memory_free(source->ns);
    memory_free(source->problem);
}

static void forget_entry(struct schemas *schemas, struct source *source)
{
    if (source->ns == NULL || draft(schemas) == NULL)
        return;
    (void)registry_remove(schemas->draft, source->ns, strlen(source->ns), REGISTRY_FILE);
    memory_free(source->ns);
    source->ns = NULL;
}

/* Whether there is room for the compiled schema in the place of the one with its namespace and
 * origin. */
static bool fits(const struct schemas *schemas, const struct schema_file *file,
                 enum registry_origin origin, struct error *err)
{
    const struct registry *set = schemas->draft != NULL ? schemas->draft : schemas->registry;
    size_t bytes = schema_file_bytes(file);
    size_t others = registry_bytes(set) - registry_bytes_of(set, file->ns, origin);
    if (others <= schemas->memory_max && bytes <= schemas->memory_max - others)
        return true;
    return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT,
                     "compiled, the schema takes %zu bytes of memory and the others %zu, of the "
                     "%zu that all may take (option schemas_memory_max)",
                     bytes, others, schemas->memory_max);
}

/* *changed: what is in force is not the same as before. */
static bool take_entry(struct schemas *schemas, struct source *source, struct schema_file *file,
                       bool *changed, struct error *err)
{
    if (file->ns == NULL)
        return error_set(err, ERROR_FAILED_TO_PARSE,
                         "the field 'ns' is missing: \"database.collection\"");
    const struct registry_entry *other = registry_find(
        schemas->draft != NULL ? schemas->draft : schemas->registry, file->ns, strlen(file->ns));
    bool ours = other != NULL && other->origin == REGISTRY_FILE;
    if (ours && strcmp(other->source, source->path) != 0)
        return error_set(err, ERROR_BAD_VALUE, "the namespace %.200s has its schema in %.200s",
                         file->ns, other->source);
    if (!fits(schemas, file, REGISTRY_FILE, err))
        return false;
    char *ns = memory_copy_string(file->ns);
    struct registry_entry *entry = registry_entry_new(file, REGISTRY_FILE, source->path);
    *changed = !ours || entry == NULL || !registry_entry_is_same(entry, other);
    if (ns != NULL && !*changed) {
        memory_free(ns);
        registry_entry_release(entry);
        return true;
    }
    struct registry *registry = draft(schemas);
    if (ns == NULL || entry == NULL || registry == NULL) {
        memory_free(ns);
        registry_entry_release(entry);
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "out of memory");
    }
    if (source->ns != NULL && strcmp(source->ns, ns) != 0)
        forget_entry(schemas, source);
    memory_free(source->ns);
    source->ns = ns;
    return registry_put(registry, entry) ||
           error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "out of memory");
}

/* Said once for each thing that is wrong with a file. */
static void note_problem(struct source *source, const char *problem)
{
    if (source->problem != NULL && strcmp(source->problem, problem) == 0)
        return;
    memory_free(source->problem);
    source->problem = memory_copy_string(problem);
    LOG_E(LOG_SCHEMA, 3003, "schemas",
          source->ns != NULL ? "Schema file is broken; its last good schema stays in force"
                             : "Schema file is broken; nothing of it is in force",
          LOG_STR("file", source->path), LOG_STR("error", problem));
}

static bool load(struct schemas *schemas, struct source *source, struct error *err)
{
    struct schema_file file;
    struct error why;
    bool changed = false;
    bool ok = schema_file_load(source->path, NULL, NULL, &file, &why) &&
              take_entry(schemas, source, &file, &changed, &why);
    schema_file_release(&file);
    if (!ok) {
        note_problem(source, why.message);
        return error_set(err, why.code, "%.200s: %.300s", source->path, why.message);
    }
    changed = changed || source->problem != NULL;
    memory_free(source->problem);
    source->problem = NULL;
    if (changed)
        LOG_I(LOG_SCHEMA, 3002, "schemas", "Schema file loaded", LOG_STR("file", source->path),
              LOG_STR("ns", source->ns));
    return true;
}

/* --- the folder ---------------------------------------------------------------------------------
 */

static int is_schema_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

/* Sorted names, which are scandir's own. */
static bool list_folder(struct schemas *schemas, struct dirent ***names, size_t *count,
                        struct error *err)
{
    *names = NULL;
    *count = 0;
    if (schemas->folder[0] == 0)
        return true;
    int found = scandir(schemas->folder, names, is_schema_file, alphasort);
    if (found < 0)
        return error_set(err, ERROR_BAD_VALUE, "schemas: cannot read the folder %.300s: %s",
                         schemas->folder, strerror(errno));
    *count = (size_t)found;
    return true;
}

static void free_names(struct dirent **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* The known sources and the names are both sorted: what is known of each name goes into `next`, and
 * sources whose file is gone are forgotten. The first problem of a path is memory. */
static size_t match_sources(struct schemas *schemas, struct dirent **names, size_t count,
                            struct source *next)
{
    char path[4096];
    size_t known = 0;
    size_t used = 0;
    for (size_t i = 0; i <= count; i++) {
        int order = -1;
        if (i < count)
            (void)snprintf(path, sizeof path, "%s/%s", schemas->folder, names[i]->d_name);
        while (known < schemas->count &&
               (i == count || (order = strcmp(schemas->sources[known].path, path)) < 0)) {
            struct source *gone = &schemas->sources[known++];
            forget_entry(schemas, gone);
            LOG_I(LOG_SCHEMA, 3001, "schemas", "Schema file is gone", LOG_STR("file", gone->path));
            source_release(gone);
        }
        if (i == count)
            break;
        if (known < schemas->count && order == 0)
            next[used++] = schemas->sources[known++];
        else if ((next[used] = (struct source){.path = memory_copy_string(path)}).path != NULL)
            used++;
    }
    return used;
}

/* Whether it differs from what was last looked at, which is then kept. A second write in the same
 * tick of the file system's clock leaves time and size as they are: so a file that was written just
 * before is looked at once more, when that tick is over on every file system. */
static bool has_changed(struct source *source)
{
    struct stat now;
    /* What was in force is on its way out, and found gone at the next look; a link that never led
     * to anything is reported. */
    if (stat(source->path, &now) != 0)
        return source->ns == NULL && source->problem == NULL && lstat(source->path, &now) == 0;
    if (!S_ISREG(now.st_mode))
        return false;
    bool same = source->changed.tv_sec == now.st_mtim.tv_sec &&
                source->changed.tv_nsec == now.st_mtim.tv_nsec && source->size == now.st_size &&
                source->inode == now.st_ino;
    source->changed = now.st_mtim;
    source->size = now.st_size;
    source->inode = now.st_ino;
    bool fresh = clock_wall_ms() / 1000 - now.st_mtim.tv_sec < FRESH_SECONDS;
    bool again = source->fresh && !fresh;
    source->fresh = same ? source->fresh && fresh : fresh;
    return !same || again;
}

/* False with the first problem in err; what is good is taken over all the same. A broken file is
 * tried again when anything else changed: another file may have had its namespace. */
static bool load_changed(struct schemas *schemas, bool retry, struct error *err)
{
    bool ok = true;
    retry = retry || schemas->draft != NULL;
    for (size_t i = 0; i < schemas->count; i++) {
        struct source *source = &schemas->sources[i];
        if (has_changed(source) || (source->problem != NULL && retry))
            ok = load(schemas, source, ok ? err : NULL) && ok;
    }
    return ok;
}

static bool take_over_list(struct schemas *schemas, struct error *err)
{
    struct dirent **names = NULL;
    size_t count = 0;
    if (!list_folder(schemas, &names, &count, err))
        return false;
    struct source *next = memory_array(count + 1, sizeof *next);
    if (next == NULL) {
        free_names(names, count);
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "schemas: out of memory");
    }
    size_t used = match_sources(schemas, names, count, next);
    free_names(names, count);
    memory_free(schemas->sources);
    schemas->sources = next;
    schemas->count = used;
    return true;
}

static void rescan(struct schemas *schemas, bool retry)
{
    struct error err;
    bool was_unreadable = schemas->unreadable;
    schemas->unreadable = !take_over_list(schemas, &err);
    if (!schemas->unreadable)
        (void)load_changed(schemas, retry, NULL);
    else if (!was_unreadable)
        LOG_E(LOG_SCHEMA, 3004, "schemas",
              "The schema folder cannot be read; what was read before stays in force",
              LOG_STR("error", err.message));
    publish(schemas);
}

void schemas_rescan(struct schemas *schemas)
{
    pthread_mutex_lock(&schemas->work);
    rescan(schemas, false);
    pthread_mutex_unlock(&schemas->work);
}

bool schemas_set_folder(struct schemas *schemas, const char *folder, struct error *err)
{
    char *copy = memory_copy_string(folder);
    if (copy == NULL)
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "schemas: out of memory");
    pthread_mutex_lock(&schemas->work);
    memory_free(schemas->folder);
    schemas->folder = copy;
    rescan(schemas, true);
    pthread_mutex_unlock(&schemas->work);
    return true;
}

/* --- the upstream's own collections -------------------------------------------------------------
 */

static void collection_release(struct collection *collection)
{
    memory_free(collection->ns);
    memory_free(collection->schema);
    memory_free(collection->left_out);
}

static bool is_same(const struct collection *known, const struct schemas_validator *validator)
{
    size_t len = bytes_left(&validator->schema);
    if (known->left_out != NULL || validator->left_out != NULL)
        return known->left_out != NULL && validator->left_out != NULL &&
               strcmp(known->left_out, validator->left_out) == 0;
    return known->level == validator->level && known->action == validator->action &&
           known->schema_len == len && memcmp(known->schema, validator->schema.pos, len) == 0;
}

static bool remember(struct collection *out, const struct schemas_validator *validator)
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

static struct registry_entry *make_entry(const struct schemas *schemas,
                                         const struct schemas_validator *validator,
                                         struct error *err)
{
    struct schema_file file = {0};
    struct registry_entry *entry = NULL;
    if (validator->left_out != NULL)
        (void)error_set(err, ERROR_BAD_VALUE, "%s", validator->left_out);
    else if (schema_file_of_validator(validator->ns, validator->schema, validator->level,
                                      validator->action, &file, err) &&
             fits(schemas, &file, REGISTRY_COLLECTION, err))
        entry = registry_entry_new(&file, REGISTRY_COLLECTION, "collection validator");
    schema_file_release(&file);
    return entry;
}

static void put_validator(struct schemas *schemas, const struct schemas_validator *validator)
{
    struct error err = {.message = "out of memory"};
    struct registry_entry *entry = make_entry(schemas, validator, &err);
    struct registry *registry = entry == NULL ? NULL : draft(schemas);
    if (entry != NULL && registry != NULL && registry_put(registry, entry)) {
        (void)registry_leave_out(registry, validator->ns, NULL);
        return;
    }
    const struct registry_left_out *before =
        registry_find_left_out(schemas->registry, validator->ns);
    if (before != NULL && strcmp(before->reason, err.message) == 0)
        return;
    registry = draft(schemas);
    LOG_W(LOG_SCHEMA, 3005, "schemas",
          "The validator of a collection is not enforced here, but by the server alone",
          LOG_STR("ns", validator->ns), LOG_STR("reason", err.message));
    if (registry == NULL)
        return;
    (void)registry_remove(registry, validator->ns, strlen(validator->ns), REGISTRY_COLLECTION);
    (void)registry_leave_out(registry, validator->ns, err.message);
}

static const struct collection *find_collection(const struct schemas *schemas, const char *ns)
{
    for (size_t i = 0; i < schemas->collection_count; i++)
        if (schemas->collections[i].ns != NULL && strcmp(schemas->collections[i].ns, ns) == 0)
            return &schemas->collections[i];
    return NULL;
}

/* Those that `next` does not have are gone. */
static void drop_collections(struct schemas *schemas, const struct collection *next, size_t count)
{
    for (size_t i = 0; i < schemas->collection_count; i++) {
        struct collection *old = &schemas->collections[i];
        bool kept = false;
        for (size_t j = 0; j < count && !kept; j++)
            kept = strcmp(next[j].ns, old->ns) == 0;
        if (!kept && draft(schemas) != NULL) {
            (void)registry_remove(schemas->draft, old->ns, strlen(old->ns), REGISTRY_COLLECTION);
            (void)registry_leave_out(schemas->draft, old->ns, NULL);
        }
        collection_release(old);
    }
    memory_free(schemas->collections);
}

void schemas_set_validators(struct schemas *schemas, const struct schemas_validator *validators,
                            size_t count)
{
    size_t used = 0;
    struct collection *next = memory_array(count + 1, sizeof *next);
    if (next == NULL)
        return;
    pthread_mutex_lock(&schemas->work);
    for (size_t i = 0; i < count; i++) {
        const struct collection *known = find_collection(schemas, validators[i].ns);
        if (!remember(&next[used], &validators[i]))
            continue;
        used++;
        /* what did not fit may do so now */
        if (known == NULL || !is_same(known, &validators[i]) ||
            registry_find_left_out(schemas->registry, validators[i].ns) != NULL)
            put_validator(schemas, &validators[i]);
    }
    drop_collections(schemas, next, used);
    schemas->collections = next;
    schemas->collection_count = used;
    publish(schemas);
    pthread_mutex_unlock(&schemas->work);
}

/* --- life ---------------------------------------------------------------------------------------
 */

void schemas_destroy(struct schemas *schemas)
{
    if (schemas == NULL)
        return;
    for (size_t i = 0; i < schemas->count; i++)
        source_release(&schemas->sources[i]);
    for (size_t i = 0; i < schemas->collection_count; i++)
        collection_release(&schemas->collections[i]);
    memory_free(schemas->sources);
    memory_free(schemas->collections);
    memory_free(schemas->folder);
    registry_release(schemas->draft);
    registry_release(schemas->registry);
    pthread_mutex_destroy(&schemas->lock);
    pthread_mutex_destroy(&schemas->work);
    memory_free(schemas);
}

/* Nothing of the folder has been read yet. */
static struct schemas *create_empty(const char *folder, size_t memory_max, struct error *err)
{
    struct schemas *schemas = memory_zalloc(sizeof *schemas);
    if (schemas == NULL) {
        (void)error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "schemas: out of memory");
        return NULL;
    }
    pthread_mutex_init(&schemas->lock, NULL);
    pthread_mutex_init(&schemas->work, NULL);
    schemas->memory_max = memory_max;
    schemas->folder = memory_copy_string(folder);
    schemas->registry = registry_new();
    if (schemas->folder != NULL && schemas->registry != NULL)
        return schemas;
    (void)error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "schemas: out of memory");
    schemas_destroy(schemas);
    return NULL;
}

struct schemas *schemas_create(const char *folder, size_t memory_max,
                               void (*publish_set)(void *arg, struct registry *registry), void *arg,
                               struct error *err)
{
    struct schemas *schemas = create_empty(folder, memory_max, err);
    if (schemas == NULL)
        return NULL;
    schemas->publish = publish_set;
    schemas->arg = arg;
    if (take_over_list(schemas, err) && load_changed(schemas, false, err)) {
        publish(schemas);
        return schemas;
    }
    schemas_destroy(schemas);
    return NULL;
}

bool schemas_check(const char *folder, size_t memory_max,
                   void (*report)(void *arg, const char *path, const char *problem), void *arg,
                   struct error *err)
{
    struct schemas *schemas = create_empty(folder, memory_max, err);
    bool ok = schemas != NULL && take_over_list(schemas, err);
    if (ok)
        (void)load_changed(schemas, false, NULL);
    for (size_t i = 0; ok && i < schemas->count; i++)
        if (schemas->sources[i].problem != NULL)
            report(arg, schemas->sources[i].path, schemas->sources[i].problem);
    schemas_destroy(schemas);
    return ok;
}
