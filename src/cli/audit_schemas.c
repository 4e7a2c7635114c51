#include "cli/audit_schemas.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "fleet/fleet_render.h"
#include "fleet/fleet_store.h"

void audit_schemas_release(struct audit_schema_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        schema_file_release(&list->of[i].file);
        memory_free(list->of[i].source);
    }
    memory_free(list->of);
    *list = (struct audit_schema_list){0};
}

/* Takes over the file, also on failure. */
static bool add(struct audit_schema_list *list, struct schema_file *file, const char *source,
                struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->of[i].file.ns, file->ns) != 0)
            continue;
        (void)error_set(err, ERROR_BAD_VALUE,
                        "%.200s: the namespace %.150s already has a schema in %.150s: keep one",
                        source, file->ns, list->of[i].source);
        schema_file_release(file);
        return false;
    }
    struct audit_schema *bigger = memory_resize(list->of, (list->count + 1) * sizeof *list->of);
    char *name = memory_copy_string(source);
    if (bigger != NULL)
        list->of = bigger;
    if (bigger == NULL || name == NULL) {
        memory_free(name);
        schema_file_release(file);
        return error_no_memory(err, "the schemas of the audit");
    }
    list->of[list->count++] = (struct audit_schema){*file, name};
    return true;
}

static int compare_schemas(const void *a, const void *b)
{
    return strcmp(((const struct audit_schema *)a)->file.ns,
                  ((const struct audit_schema *)b)->file.ns);
}

static void sort(struct audit_schema_list *list)
{
    if (list->count > 1)
        qsort(list->of, list->count, sizeof *list->of, compare_schemas);
}

/* --- a folder --- */

static bool add_file(struct audit_schema_list *list, const char *path, struct error *err)
{
    struct schema_file file;
    struct error why = {0};
    if (!schema_file_load(path, NULL, NULL, &file, &why))
        return error_set(err, why.code, "%.200s: %.250s", path, why.message);
    if (file.ns != NULL)
        return add(list, &file, path, err);
    schema_file_release(&file);
    return error_set(err, ERROR_FAILED_TO_PARSE,
                     "%.200s names no collection: add \"ns\": \"DATABASE.COLLECTION\"", path);
}

static bool is_schema_name(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".json") == 0;
}

static bool add_entries(struct audit_schema_list *list, const char *path, DIR *folder,
                        struct error *err)
{
    char file[PATH_MAX];
    bool ok = true;
    for (struct dirent *entry = readdir(folder); ok && entry != NULL; entry = readdir(folder))
        if (is_schema_name(entry->d_name) &&
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file)
            ok = add_file(list, file, err);
    return ok;
}

bool audit_schemas_of_folder(const char *path, struct audit_schema_list *list, struct error *err)
{
    struct stat what;
    if (stat(path, &what) == 0 && S_ISREG(what.st_mode))
        return add_file(list, path, err);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return error_set(err, ERROR_BAD_VALUE, "cannot read the schema folder %.300s: %s", path,
                         strerror(errno));
    bool ok = add_entries(list, path, folder, err);
    (void)closedir(folder);
    sort(list);
    return ok && (list->count > 0 ||
                  error_set(err, ERROR_BAD_VALUE,
                            "the schema folder %.300s has no schema files: their names end with "
                            ".json",
                            path));
}

/* --- a registry --- */

struct registry_reading {
    struct audit_schema_list *list;
    const char *source;
    struct error *err;
    bool ok;
};

static void take_document(void *arg, const char *ns, struct fleet_document *document,
                          const struct error *problem)
{
    struct registry_reading *reading = arg;
    struct text text = text_growing();
    struct schema_file file;
    struct error why = problem != NULL ? *problem : (struct error){0};
    if (document != NULL && reading->ok && !fleet_is_empty(document)) {
        bool ok = fleet_render(document, &text, &why) &&
                  schema_file_parse(text.data, text.len, NULL, NULL, &file, &why);
        if (ok)
            reading->ok = add(reading->list, &file, reading->source, reading->err);
        else
            reading->ok = error_set(reading->err, why.code, "%.150s in the registry %.100s: %.200s",
                                    ns, reading->source, why.message);
    } else if (document == NULL && reading->ok) {
        reading->ok = error_set(reading->err, why.code, "%.150s in the registry %.100s: %.200s", ns,
                                reading->source, why.message);
    }
    fleet_document_free(document);
    text_release(&text);
}

bool audit_schemas_of_registry(const struct uri *uri, const char *ns,
                               struct audit_schema_list *list, struct error *err)
{
    struct fleet_store *store = fleet_store_open(uri, ns, err);
    struct registry_reading reading = {list, ns, err, true};
    if (store == NULL)
        return false;
    bool ok = fleet_store_each(store, NULL, false, take_document, &reading, err) && reading.ok;
    fleet_store_close(store);
    sort(list);
    return ok &&
           (list->count > 0 ||
            error_set(err, ERROR_BAD_VALUE,
                      "the registry %.200s accepts no schemas: `mongosluice schema push` fills "
                      "it",
                      ns));
}
