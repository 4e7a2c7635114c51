#include "catalog/schema_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* Leaves room for the temporary name. */
enum { NAME_ROOM = NAME_MAX - 16 };

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool schema_store_name(const char *ns, char *out, size_t size)
{
    struct text name = text_over(out, size);
    for (const char *c = ns; *c != 0; c++) {
        if (is_plain(*c) && (c != ns || *c != '.'))
            text_add_bytes(&name, c, 1);
        else
            text_format(&name, "%%%02X", (unsigned)(uint8_t)*c);
    }
    text_add(&name, ".json");
    return !name.cut && name.len <= NAME_ROOM;
}

bool schema_store_holds(const char *directory, const char *path)
{
    char folder[PATH_MAX];
    char real_directory[PATH_MAX];
    char real_folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) >= sizeof folder)
        return false;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    return realpath(folder[0] == 0 ? "/" : folder, real_folder) != NULL &&
           realpath(directory, real_directory) != NULL && strcmp(real_folder, real_directory) == 0;
}

static bool failed(const char *what, const char *path, struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "%s %.300s: %s", what, path, strerror(errno));
}

static bool write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(fd, text, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        text += wrote;
        len -= (size_t)wrote;
    }
    return true;
}

static bool sync_directory(const char *directory, struct error *err)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        (void)failed("cannot sync the directory", directory, err);
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

bool schema_store_write(const char *directory, const char *path, const void *text, size_t len,
                        struct error *err)
{
    char temporary[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    /* starts with a dot, so readers of the directory ignore it */
    int written = snprintf(temporary, sizeof temporary, "%s/.%s.new", directory, name);
    if (written < 0 || (size_t)written >= sizeof temporary)
        return error_set(err, ERROR_BAD_VALUE, "the path of %.300s is too long", name);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return failed("cannot write", temporary, err);
    bool ok = write_all(fd, text, len) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    ok = ok && rename(temporary, path) == 0;
    if (!ok) {
        (void)failed("cannot write", path, err);
        (void)unlink(temporary);
        return false;
    }
    return sync_directory(directory, err);
}

bool schema_store_remove(const char *directory, const char *path, struct error *err)
{
    if (unlink(path) != 0)
        return failed("cannot remove", path, err);
    return sync_directory(directory, err);
}
