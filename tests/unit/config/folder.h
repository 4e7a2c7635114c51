/* A folder of the test's own, with one configuration file in it. */
#ifndef SLUICE_TESTS_CONFIG_FOLDER_H
#define SLUICE_TESTS_CONFIG_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/memory.h"
#include "config/config.h"

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

/* Loads the configuration again and again; each time a later allocation fails, until none does. */
static inline void folder_fail_each_allocation(int argc, char **argv)
{
    bool ok = false;
    for (long i = 1; !ok; i++) {
        struct config *c = NULL;
        enum config_command what = CONFIG_RUN;
        struct error err = {0};
        assert_in_range(i, 1, 1000);
        memory_fail_after(i);
        ok = config_load(argc, argv, &c, &what, &err);
        memory_fail_never();
        assert_int_equal(c != NULL, ok);
        assert_int_equal(err.code, ok ? ERROR_NONE : ERROR_EXCEEDED_MEMORY_LIMIT);
        config_release(c);
    }
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
