/* A folder of the test's own, with one configuration file in it. */
#ifndef SLUICE_TESTS_CONFIG_FOLDER_H
#define SLUICE_TESTS_CONFIG_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../cmocka_all.h"

struct folder {
    char path[32];
    char file[64];
};

static inline void folder_write(const struct folder *folder, const char *yaml)
{
    FILE *file = fopen(folder->file, "w");
    assert_non_null(file);
    assert_true(fputs(yaml, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline int folder_make(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    assert_non_null(folder);
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/sluice-config-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    (void)snprintf(folder->file, sizeof folder->file, "%s/sluice.yaml", folder->path);
    *state = folder;
    return 0;
}

static inline int folder_end(void **state)
{
    struct folder *folder = *state;
    (void)unlink(folder->file);
    int result = rmdir(folder->path);
    free(folder);
    return result;
}

#endif
