#include "session/bulk_cursors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "enforce/enforce.h"

/* A cursor that is not read to its end stays here until others push it out. */
enum { BULK_CURSORS_MAX = 256 };

struct bulk_cursor {
    int64_t id;
    char *server;
    struct enforce_splice *splice; /* NULL: a free place */
    uint64_t number;               /* the order of their coming */
};

struct bulk_cursors {
    pthread_mutex_t lock;
    atomic_uint count;
    uint64_t last;
    struct bulk_cursor of[BULK_CURSORS_MAX];
};

struct bulk_cursors *bulk_cursors_create(void)
{
    struct bulk_cursors *cursors = memory_zalloc(sizeof *cursors);
    if (cursors != NULL)
        pthread_mutex_init(&cursors->lock, NULL);
    return cursors;
}

static void forget(struct bulk_cursors *cursors, struct bulk_cursor *cursor)
{
    memory_free(cursor->server);
    *cursor = (struct bulk_cursor){0};
    atomic_fetch_sub(&cursors->count, 1);
}

void bulk_cursors_destroy(struct bulk_cursors *cursors)
{
    if (cursors == NULL)
        return;
    for (size_t i = 0; i < BULK_CURSORS_MAX; i++) {
        enforce_splice_free(cursors->of[i].splice);
        memory_free(cursors->of[i].server);
    }
    pthread_mutex_destroy(&cursors->lock);
    memory_free(cursors);
}

/* A free place, or the oldest one. */
static struct bulk_cursor *place(struct bulk_cursors *cursors)
{
    struct bulk_cursor *oldest = &cursors->of[0];
    for (size_t i = 0; i < BULK_CURSORS_MAX; i++) {
        if (cursors->of[i].splice == NULL)
            return &cursors->of[i];
        if (cursors->of[i].number < oldest->number)
            oldest = &cursors->of[i];
    }
    enforce_splice_free(oldest->splice);
    forget(cursors, oldest);
    return oldest;
}

void bulk_cursors_put(struct bulk_cursors *cursors, const char *server, int64_t id,
                      struct enforce_splice *splice)
{
    char *copy = memory_copy_string(server);
    if (copy == NULL) {
        enforce_splice_free(splice);
        return;
    }
    pthread_mutex_lock(&cursors->lock);
    *place(cursors) = (struct bulk_cursor){id, copy, splice, ++cursors->last};
    atomic_fetch_add(&cursors->count, 1);
    pthread_mutex_unlock(&cursors->lock);
}

struct enforce_splice *bulk_cursors_take(struct bulk_cursors *cursors, const char *server,
                                         int64_t id)
{
    struct enforce_splice *splice = NULL;
    if (atomic_load_explicit(&cursors->count, memory_order_relaxed) == 0)
        return NULL;
    pthread_mutex_lock(&cursors->lock);
    for (size_t i = 0; i < BULK_CURSORS_MAX && splice == NULL; i++) {
        struct bulk_cursor *cursor = &cursors->of[i];
        if (cursor->splice == NULL || cursor->id != id || strcmp(cursor->server, server) != 0)
            continue;
        splice = cursor->splice;
        forget(cursors, cursor);
    }
    pthread_mutex_unlock(&cursors->lock);
    return splice;
}
