/* Files of the simulated process, below "/simulated/": the configuration, the schemas, the
 * verifiers. The calls of the C library get here by --wrap; other paths are the real ones. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "world_internal.h"

#define ROOT "/simulated/"

enum { FILES_MAX = 8 };

struct file {
    char path[64]; /* "": none */
    char *text;
    int64_t changed_us;
    unsigned inode;
};

static struct file files[FILES_MAX];
static unsigned last_inode;

static struct file *find(const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (files[i].path[0] != 0 && strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

static void drop(struct file *file)
{
    free(file->text);
    *file = (struct file){0};
}

void files_put(const char *path, const char *text)
{
    struct file *file = find(path);
    if (file != NULL)
        drop(file);
    for (size_t i = 0; i < FILES_MAX && file == NULL; i++)
        if (files[i].path[0] == 0)
            file = &files[i];
    if (text == NULL || file == NULL)
        return;
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    file->text = strdup(text);
    file->changed_us = the_process != NULL ? process_clock_us() : 0;
    file->inode = ++last_inode;
}

void files_clear(void)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        drop(&files[i]);
    last_inode = 0;
}

const char *files_find(const char *path)
{
    const struct file *file = find(path);
    return file != NULL ? file->text : NULL;
}

static bool is_simulated(const char *path)
{
    return strncmp(path, ROOT, strlen(ROOT)) == 0;
}

/* --- the C library ---------------------------------------------------------------------------- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap___open_2(const char *path, int flags); /* open with _FORTIFY_SOURCE */
int __real_close(int fd);
int __wrap_close(int fd);
ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __wrap_write(int fd, const void *data, size_t len);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
char *__real_realpath(const char *path, char *out);
char *__wrap_realpath(const char *path, char *out);
char *__wrap___realpath_chk(const char *path, char *out, size_t size);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out);
int __real_lstat(const char *path, struct stat *out);
int __wrap_lstat(const char *path, struct stat *out);
int __wrap_scandir(const char *path, struct dirent ***out,
                   int (*filter)(const struct dirent *entry),
                   int (*compare)(const struct dirent **a, const struct dirent **b));

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (!is_simulated(path))
        return __real_open(path, flags, mode);
    struct descriptor *descriptor = descriptor_new(DESCRIPTOR_FILE);
    if ((flags & O_TRUNC) != 0) {
        files_put(path, "");
        (void)snprintf(descriptor->path, sizeof descriptor->path, "%s", path);
    }
    return descriptor->fd;
}

int __wrap___open_2(const char *path, int flags)
{
    return __wrap_open(path, flags);
}

int __wrap_close(int fd)
{
    struct descriptor *descriptor = descriptor_find(fd);
    if (descriptor == NULL)
        return __real_close(fd);
    descriptor_close(descriptor, false);
    return 0;
}

/* Each file is written in one piece. */
ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    struct descriptor *descriptor = the_process == NULL ? NULL : descriptor_find(fd);
    if (descriptor == NULL)
        return __real_write(fd, data, len);
    char *text = simulation_alloc(len + 1);
    memcpy(text, data, len);
    files_put(descriptor->path, text);
    free(text);
    return (ssize_t)len;
}

int __wrap_fsync(int fd)
{
    return the_process == NULL || descriptor_find(fd) == NULL ? __real_fsync(fd) : 0;
}

int __wrap_rename(const char *from, const char *to)
{
    struct file *file = find(from);
    if (!is_simulated(from))
        return __real_rename(from, to);
    errno = ENOENT;
    if (file == NULL)
        return -1;
    files_put(to, NULL);
    (void)snprintf(file->path, sizeof file->path, "%s", to);
    return 0;
}

int __wrap_unlink(const char *path)
{
    if (!is_simulated(path))
        return __real_unlink(path);
    errno = ENOENT;
    if (find(path) == NULL)
        return -1;
    files_put(path, NULL);
    return 0;
}

char *__wrap_realpath(const char *path, char *out)
{
    return is_simulated(path) ? strcpy(out, path) : __real_realpath(path, out);
}

char *__wrap___realpath_chk(const char *path, char *out, size_t size)
{
    (void)size;
    return __wrap_realpath(path, out);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (!is_simulated(path))
        return __real_fopen(path, mode);
    struct file *file = find(path);
    errno = ENOENT;
    return file == NULL ? NULL : fmemopen(file->text, strlen(file->text), "r");
}

static int describe(const char *path, struct stat *out)
{
    const struct file *file = find(path);
    *out = (struct stat){0};
    errno = ENOENT;
    if (file == NULL)
        return -1;
    out->st_mode = S_IFREG | 0600;
    out->st_ino = file->inode;
    out->st_size = (off_t)strlen(file->text);
    out->st_mtim.tv_sec = (time_t)(file->changed_us / 1000000);
    out->st_mtim.tv_nsec = (long)(file->changed_us % 1000000) * 1000;
    out->st_ctim = out->st_mtim;
    return 0;
}

int __wrap_stat(const char *path, struct stat *out)
{
    return is_simulated(path) ? describe(path, out) : __real_stat(path, out);
}

int __wrap_lstat(const char *path, struct stat *out)
{
    return is_simulated(path) ? describe(path, out) : __real_lstat(path, out);
}

/* All simulated folders are flat and few: the sorted names below `path`. */
int __wrap_scandir(const char *path, struct dirent ***out,
                   int (*filter)(const struct dirent *entry),
                   int (*compare)(const struct dirent **a, const struct dirent **b))
{
    size_t len = strlen(path);
    int count = 0;
    *out = simulation_alloc(FILES_MAX * sizeof **out);
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct dirent entry = {0};
        const char *name = files[i].path + len + 1;
        if (strncmp(files[i].path, path, len) != 0 || files[i].path[len] != '/' ||
            strchr(name, '/') != NULL)
            continue;
        (void)snprintf(entry.d_name, sizeof entry.d_name, "%s", name);
        if (filter != NULL && filter(&entry) == 0)
            continue;
        (*out)[count] = simulation_alloc(sizeof entry);
        *(*out)[count++] = entry;
    }
    qsort(*out, (size_t)count, sizeof **out, (int (*)(const void *, const void *))compare);
    return count;
}
