#include "catalog/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

/* The time resolution of the coarsest usual file system. */
enum { FRESH_SECONDS = 3 };

struct folder_file {
    char *path;
    char *ns;      /* of its entry in the registry; NULL without one */
    char *problem; /* the reason why it is broken; NULL if it is not */
    struct timespec changed;
    off_t size;
    ino_t inode;
    bool fresh; /* written just before it was read: see has_changed */
};

/* --- one file -----------------------------------------------------------------------------------
 */

static void file_release(struct folder_file *source)
{
    memory_free(source->path);
    memory_free(source->ns);
    memory_free(source->problem);
}

static void forget_entry(struct current_set *set, struct folder_file *source)
{
    if (source->ns == NULL || current_set_draft(set) == NULL)
        return;
    (void)registry_remove(set->draft, source->ns, strlen(source->ns), REGISTRY_FILE);
    memory_free(source->ns);
    source->ns = NULL;
}

/* *changed: the enforced set differs. */
static bool take_entry(struct current_set *set, struct folder_file *source,
                       struct schema_file *file, bool *changed, struct error *err)
{
    if (file->ns == NULL)
        return error_set(err, ERROR_FAILED_TO_PARSE,
                         "the field 'ns' is missing: \"database.collection\"");
    const struct registry_entry *other =
        registry_find(current_set_latest(set), file->ns, strlen(file->ns));
    bool ours = other != NULL && other->origin == REGISTRY_FILE;
    if (ours && strcmp(other->source, source->path) != 0)
        return error_set(
            err, ERROR_BAD_VALUE,
            "the namespace %.200s already has a schema in %.200s; keep one of the two files",
            file->ns, other->source);
    if (!current_set_fits(set, file, REGISTRY_FILE, err))
        return false;
    char *ns = memory_copy_string(file->ns);
    struct registry_entry *entry = registry_entry_new(file, REGISTRY_FILE, source->path);
    *changed = !ours || entry == NULL || !registry_entry_is_same(entry, other);
    if (ns != NULL && !*changed) {
        memory_free(ns);
        registry_entry_release(entry);
        return true;
    }
    struct registry *registry = current_set_draft(set);
    if (ns == NULL || entry == NULL || registry == NULL) {
        memory_free(ns);
        registry_entry_release(entry);
        return error_no_memory(err, "the schema");
    }
    if (source->ns != NULL && strcmp(source->ns, ns) != 0)
        forget_entry(set, source);
    memory_free(source->ns);
    source->ns = ns;
    return registry_put(registry, entry) || error_no_memory(err, "the schema");
}

bool folder_admit(struct current_set *set, const char *path, struct schema_file *file,
                  struct error *err)
{
    struct folder_file source = {.path = memory_copy_string(path)};
    bool changed = false;
    bool ok = source.path != NULL ? take_entry(set, &source, file, &changed, err)
                                  : error_no_memory(err, "the schema");
    schema_file_release(file);
    file_release(&source);
    return ok;
}

/* Logs each problem of a file once. */
static void note_problem(struct folder_file *source, const char *problem)
{
    if (source->problem != NULL && strcmp(source->problem, problem) == 0)
        return;
    memory_free(source->problem);
    source->problem = memory_copy_string(problem);
    LOG_E(LOG_SCHEMA, 3003, "schemas",
          source->ns != NULL ? "Schema file has errors; the proxy keeps the last good schema"
                             : "Schema file has errors; the proxy does not enforce it",
          LOG_STR("file", source->path), LOG_STR("error", problem));
}

static bool load(struct current_set *set, struct folder_file *source, struct error *err)
{
    struct schema_file file;
    struct error why;
    bool changed = false;
    bool ok = schema_file_load(source->path, NULL, NULL, &file, &why) &&
              take_entry(set, source, &file, &changed, &why);
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

/* Lists the sorted names, allocated by scandir. */
static bool list_names(const struct folder *folder, struct dirent ***names, size_t *count,
                       struct error *err)
{
    *names = NULL;
    *count = 0;
    if (folder->path[0] == 0)
        return true;
    int found = scandir(folder->path, names, is_schema_file, alphasort);
    if (found < 0)
        return error_set(err, ERROR_BAD_VALUE, "schemas: cannot read the folder %.300s: %s",
                         folder->path, strerror(errno));
    *count = (size_t)found;
    return true;
}

static void free_names(struct dirent **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* The known files and the names are both sorted: moves the known facts about each name into `next`
 * and drops removed files. The first use of a path allocates. */
static size_t match_files(struct folder *folder, struct current_set *set, struct dirent **names,
                          size_t count, struct folder_file *next)
{
    char path[4096];
    size_t known = 0;
    size_t used = 0;
    for (size_t i = 0; i <= count; i++) {
        int order = -1;
        if (i < count)
            (void)snprintf(path, sizeof path, "%s/%s", folder->path, names[i]->d_name);
        while (known < folder->count &&
               (i == count || (order = strcmp(folder->files[known].path, path)) < 0)) {
            struct folder_file *gone = &folder->files[known++];
            forget_entry(set, gone);
            LOG_I(LOG_SCHEMA, 3001, "schemas", "Schema file was removed",
                  LOG_STR("file", gone->path));
            file_release(gone);
        }
        if (i == count)
            break;
        if (known < folder->count && order == 0)
            next[used++] = folder->files[known++];
        else if ((next[used] = (struct folder_file){.path = memory_copy_string(path)}).path != NULL)
            used++;
    }
    return used;
}

/* True if the file differs from the last known state, which is then updated. A second write within
 * the time resolution of the file system changes neither time nor size. So a file that was written
 * just before is read once more after this time. */
static bool has_changed(struct folder_file *source)
{
    struct stat now;
    /* an enforced file is about to be found missing; a link to nothing is reported */
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

/* False with the first problem in err; good files are applied anyway. A broken file is tried again
 * after any other change, because another file may have had its namespace. */
static bool load_changed(struct folder *folder, struct current_set *set, bool retry,
                         struct error *err)
{
    bool ok = true;
    retry = retry || set->draft != NULL;
    for (size_t i = 0; i < folder->count; i++) {
        struct folder_file *source = &folder->files[i];
        if (has_changed(source) || (source->problem != NULL && retry))
            ok = load(set, source, ok ? err : NULL) && ok;
    }
    return ok;
}

static bool take_over_list(struct folder *folder, struct current_set *set, struct error *err)
{
    struct dirent **names = NULL;
    size_t count = 0;
    if (!list_names(folder, &names, &count, err))
        return false;
    struct folder_file *next = memory_array(count + 1, sizeof *next);
    if (next == NULL) {
        free_names(names, count);
        return error_no_memory(err, "the schemas");
    }
    size_t used = match_files(folder, set, names, count, next);
    free_names(names, count);
    memory_free(folder->files);
    folder->files = next;
    folder->count = used;
    return true;
}

bool folder_load(struct folder *folder, struct current_set *set, struct error *err)
{
    return take_over_list(folder, set, err) && load_changed(folder, set, false, err);
}

void folder_rescan(struct folder *folder, struct current_set *set, bool retry)
{
    struct error err;
    bool was_unreadable = folder->unreadable;
    folder->unreadable = !take_over_list(folder, set, &err);
    if (!folder->unreadable)
        (void)load_changed(folder, set, retry, NULL);
    else if (!was_unreadable)
        LOG_E(LOG_SCHEMA, 3004, "schemas",
              "Cannot read the schema folder; the proxy keeps the known schemas",
              LOG_STR("error", err.message));
}

size_t folder_broken(const struct folder *folder)
{
    size_t broken = folder->unreadable;
    for (size_t i = 0; i < folder->count; i++)
        broken += folder->files[i].problem != NULL;
    return broken;
}

void folder_each_problem(const struct folder *folder,
                         void (*report)(void *arg, const char *path, const char *problem),
                         void *arg)
{
    if (folder->unreadable)
        report(arg, folder->path, "the folder cannot be read");
    for (size_t i = 0; i < folder->count; i++)
        if (folder->files[i].problem != NULL)
            report(arg, folder->files[i].path, folder->files[i].problem);
}

bool folder_init(struct folder *folder, const char *path)
{
    *folder = (struct folder){.path = memory_copy_string(path)};
    return folder->path != NULL;
}

void folder_set_path(struct folder *folder, char *path)
{
    memory_free(folder->path);
    folder->path = path;
}

void folder_release(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        file_release(&folder->files[i]);
    memory_free(folder->files);
    memory_free(folder->path);
}
