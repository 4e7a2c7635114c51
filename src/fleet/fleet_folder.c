#include "fleet/fleet_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"
#include "base/text.h"
#include "catalog/schema_store.h"
#include "schema/file.h"

#define LIST_NAME ".registry"
#define LOCK_NAME ".registry.lock"

/* A file of the registry. */
struct claimed_file {
    char *name; /* owned: the file's */
    UT_hash_handle hh;
    bool unhashed;
};

struct fleet_folder {
    char *path;
    struct claimed_file *claims;
    int lock;   /* descriptor */
    bool dirty; /* the list in the folder is out of date */
};

static bool failed(const char *what, const char *path, struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "%s %.300s: %s", what, path, strerror(errno));
}

static bool path_of(const struct fleet_folder *folder, const char *name, char out[PATH_MAX],
                    struct error *err)
{
    int len = snprintf(out, PATH_MAX, "%s/%s", folder->path, name);
    return (len > 0 && len < PATH_MAX) ||
           error_set(err, ERROR_BAD_VALUE, "the path of %.200s is too long", name);
}

/* --- the list ----------------------------------------------------------------------------------
 */

static struct claimed_file *find_claim(const struct fleet_folder *folder, const char *name)
{
    struct claimed_file *claim = NULL;
    HASH_FIND_STR(folder->claims, name, claim);
    return claim;
}

/* The function is long because of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static bool add_claim(struct fleet_folder *folder, const char *name, struct error *err)
{
    if (find_claim(folder, name) != NULL)
        return true;
    struct claimed_file *claim = memory_zalloc(sizeof *claim);
    if (claim != NULL)
        claim->name = memory_copy_string(name);
    if (claim != NULL && claim->name != NULL) {
        HASH_ADD_KEYPTR(hh, folder->claims, claim->name, strlen(claim->name), claim);
        if (!claim->unhashed)
            return true;
    }
    if (claim != NULL)
        memory_free(claim->name);
    memory_free(claim);
    return error_no_memory(err, "the schema folder");
}

/* True for a name that fleet_folder_claim can write. Other names in the list are ignored, so that
 * no list leads out of the folder. */
static bool is_file_name(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && len <= NAME_MAX && name[0] != '.' && strchr(name, '/') == NULL &&
           strcmp(name + len - 5, ".json") == 0;
}

static bool read_list(struct fleet_folder *folder, struct error *err)
{
    char path[PATH_MAX];
    size_t len = 0;
    bool ok = true;
    if (!path_of(folder, LIST_NAME, path, err))
        return false;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    char *text = schema_file_read(path, &len, err);
    if (text == NULL)
        return false;
    for (char *line = text; ok && *line != 0;) {
        char *end = line + strcspn(line, "\n");
        char *next = *end == 0 ? end : end + 1;
        *end = 0;
        ok = !is_file_name(line) || add_claim(folder, line, err);
        line = next;
    }
    memory_free(text);
    return ok;
}

static int by_name(const struct claimed_file *a, const struct claimed_file *b)
{
    return strcmp(a->name, b->name);
}

bool fleet_folder_save(struct fleet_folder *folder, struct error *err)
{
    char path[PATH_MAX];
    struct text list = text_growing();
    if (!folder->dirty)
        return true;
    HASH_SORT(folder->claims, by_name);
    text_add(&list, "# The files in this folder that mongosluice writes from its registry.\n");
    for (const struct claimed_file *claim = folder->claims; claim != NULL; claim = claim->hh.next)
        text_format(&list, "%s\n", claim->name);
    bool ok = path_of(folder, LIST_NAME, path, err) &&
              (!list.cut || error_no_memory(err, "the schema folder")) &&
              schema_store_write(folder->path, path, list.data, list.len, err);
    text_release(&list);
    if (!ok)
        return false;
    folder->dirty = false;
    return true;
}

/* --- life --------------------------------------------------------------------------------------
 */

static bool take_lock(struct fleet_folder *folder, struct error *err)
{
    char path[PATH_MAX];
    if (!path_of(folder, LOCK_NAME, path, err))
        return false;
    folder->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (folder->lock < 0)
        return failed("the schema folder is not writable:", path, err);
    if (flock(folder->lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    return error_set(err, ERROR_BAD_VALUE,
                     "another proxy follows a registry into the folder %.300s; give each proxy its "
                     "own folder (option schemas)",
                     folder->path);
}

struct fleet_folder *fleet_folder_open(const char *path, struct error *err)
{
    struct fleet_folder *folder = memory_zalloc(sizeof *folder);
    if (folder == NULL) {
        (void)error_no_memory(err, "the schema folder");
        return NULL;
    }
    folder->lock = -1;
    folder->path = memory_copy_string(path);
    if (folder->path == NULL)
        (void)error_no_memory(err, "the schema folder");
    else if (take_lock(folder, err) && read_list(folder, err))
        return folder;
    fleet_folder_close(folder);
    return NULL;
}

static void release_claim(struct fleet_folder *folder, struct claimed_file *claim)
{
    HASH_DEL(folder->claims, claim);
    memory_free(claim->name);
    memory_free(claim);
}

void fleet_folder_close(struct fleet_folder *folder)
{
    if (folder == NULL)
        return;
    while (folder->claims != NULL)
        release_claim(folder, folder->claims);
    if (folder->lock >= 0)
        (void)close(folder->lock);
    memory_free(folder->path);
    memory_free(folder);
}

size_t fleet_folder_count(const struct fleet_folder *folder)
{
    return HASH_COUNT(folder->claims);
}

bool fleet_folder_is_fed(const char *path)
{
    char list[PATH_MAX];
    int len = snprintf(list, sizeof list, "%s/" LIST_NAME, path);
    return len > 0 && len < PATH_MAX && access(list, R_OK) == 0;
}

/* --- files -------------------------------------------------------------------------------------
 */

static bool name_of(const char *ns, char out[NAME_MAX + 1], struct error *err)
{
    return schema_store_name(ns, out, NAME_MAX + 1) ||
           error_set(err, ERROR_BAD_VALUE, "the namespace is too long for a file name");
}

/* True if the file holds this text now. */
static bool holds(const char *path, const char *text, size_t len)
{
    struct stat now;
    size_t got = 0;
    if (lstat(path, &now) != 0 || !S_ISREG(now.st_mode) || (size_t)now.st_size != len)
        return false;
    char *old = schema_file_read(path, &got, NULL);
    bool same = old != NULL && got == len && memcmp(old, text, len) == 0;
    memory_free(old);
    return same;
}

/* Gives the file a second name, so that the namespace always has a file. */
static bool keep_aside(const char *path, struct error *err)
{
    char aside[PATH_MAX];
    int len = snprintf(aside, sizeof aside, "%s.replaced", path);
    if (len < 0 || len >= PATH_MAX)
        return error_set(err, ERROR_BAD_VALUE, "the path of %.200s is too long", path);
    if (access(path, F_OK) != 0)
        return true;
    return ((unlink(aside) == 0 || errno == ENOENT) && link(path, aside) == 0) ||
           failed("cannot keep a copy of the file", path, err);
}

bool fleet_folder_claim(struct fleet_folder *folder, const char *ns, struct error *err)
{
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    if (!name_of(ns, name, err) || !path_of(folder, name, path, err))
        return false;
    if (find_claim(folder, name) != NULL)
        return true;
    folder->dirty = true;
    return keep_aside(path, err) && add_claim(folder, name, err);
}

bool fleet_folder_put(struct fleet_folder *folder, const char *ns, const char *text, size_t len,
                      bool *changed, struct error *err)
{
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    *changed = false;
    if (!name_of(ns, name, err) || !path_of(folder, name, path, err))
        return false;
    if (find_claim(folder, name) == NULL)
        return error_set(err, ERROR_INTERNAL, "the file %.200s is not the registry's", name);
    if (!holds(path, text, len)) {
        if (!schema_store_write(folder->path, path, text, len, err))
            return false;
        *changed = true;
    }
    return true;
}

bool fleet_folder_holds(const struct fleet_folder *folder, const char *ns)
{
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    return name_of(ns, name, NULL) && path_of(folder, name, path, NULL) && access(path, F_OK) == 0;
}

bool fleet_folder_remove(struct fleet_folder *folder, const char *ns, bool *changed,
                         struct error *err)
{
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    *changed = false;
    if (!name_of(ns, name, err) || !path_of(folder, name, path, err))
        return false;
    struct claimed_file *claim = find_claim(folder, name);
    if (claim == NULL)
        return true;
    if (access(path, F_OK) == 0 && !schema_store_remove(folder->path, path, err))
        return false;
    release_claim(folder, claim);
    folder->dirty = true;
    *changed = true;
    return true;
}
