#include "session/bulk_cursors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "enforce/enforce.h"

/* A cursor that is not read to its end stays here until others push it out: first what it holds,
 * when all of them hold too much, then that it was one of these. */
enum { BULK_CURSORS_MAX = 1024, BULK_CURSORS_BYTES = 64 * 1024 * 1024 };

struct bulk_cursor {
    int64_t id;
    char *server;                  /* NULL: a free place */
    struct enforce_splice *splice; /* NULL: lost */
    size_t bytes;                  /* of the splice */
    uint64_t number;               /* the order of their coming */
};

struct bulk_cursors {
    struct budget *budget;
    pthread_mutex_t lock; /* of what follows */
    atomic_uint count;    /* places that are not free; read without the lock, too */
    size_t bytes;
    uint64_t last;
    struct bulk_cursor of[BULK_CURSORS_MAX];
};

struct bulk_cursors *bulk_cursors_create(struct budget *budget)
{
    struct bulk_cursors *cursors = memory_zalloc(sizeof *cursors);
    if (cursors == NULL)
        return NULL;
    cursors->budget = budget;
    pthread_mutex_init(&cursors->lock, NULL);
    return cursors;
}

static void lose(struct bulk_cursors *cursors, struct bulk_cursor *cursor)
{
    enforce_splice_free(cursor->splice);
    budget_give_back(cursors->budget, cursor->bytes);
    cursors->bytes -= cursor->bytes;
    cursor->splice = NULL;
    cursor->bytes = 0;
}

static void forget(struct bulk_cursors *cursors, struct bulk_cursor *cursor)
{
    memory_free(cursor->server);
    *cursor = (struct bulk_cursor){.server = NULL};
    atomic_fetch_sub(&cursors->count, 1);
}

void bulk_cursors_destroy(struct bulk_cursors *cursors)
{
    if (cursors == NULL)
        return;
    for (size_t i = 0; i < BULK_CURSORS_MAX; i++) {
        lose(cursors, &cursors->of[i]);
        memory_free(cursors->of[i].server);
    }
    pthread_mutex_destroy(&cursors->lock);
    memory_free(cursors);
}

/* A free place, or that of the oldest one. */
static struct bulk_cursor *place(struct bulk_cursors *cursors)
{
    struct bulk_cursor *oldest = &cursors->of[0];
    for (size_t i = 0; i < BULK_CURSORS_MAX; i++) {
        if (cursors->of[i].server == NULL)
            return &cursors->of[i];
        if (cursors->of[i].number < oldest->number)
            oldest = &cursors->of[i];
    }
    lose(cursors, oldest);
    forget(cursors, oldest);
    return oldest;
}

/* Until `more` bytes fit; the caller's own have no place yet. */
static void make_room(struct bulk_cursors *cursors, size_t more)
{
    while (cursors->bytes > 0 && cursors->bytes + more > BULK_CURSORS_BYTES) {
        struct bulk_cursor *oldest = NULL;
        for (size_t i = 0; i < BULK_CURSORS_MAX; i++) {
            struct bulk_cursor *cursor = &cursors->of[i];
            if (cursor->splice != NULL && (oldest == NULL || cursor->number < oldest->number))
                oldest = cursor;
        }
        sluice_assert(oldest != NULL); /* whose bytes would they be? */
        lose(cursors, oldest);
    }
}

void bulk_cursors_put(struct bulk_cursors *cursors, const char *server, int64_t id,
                      struct enforce_splice *splice)
{
    size_t bytes = enforce_splice_bytes(splice);
    char *copy = memory_copy_string(server);
    if (copy == NULL) {
        enforce_splice_free(splice);
        budget_give_back(cursors->budget, bytes);
        return;
    }
    pthread_mutex_lock(&cursors->lock);
    make_room(cursors, bytes);
    *place(cursors) = (struct bulk_cursor){id, copy, splice, bytes, ++cursors->last};
    cursors->bytes += bytes;
    atomic_fetch_add(&cursors->count, 1);
    pthread_mutex_unlock(&cursors->lock);
}

enum bulk_cursor_state bulk_cursors_take(struct bulk_cursors *cursors, const char *server,
                                         int64_t id, struct enforce_splice **splice)
{
    enum bulk_cursor_state state = BULK_CURSOR_UNKNOWN;
    if (atomic_load_explicit(&cursors->count, memory_order_relaxed) == 0)
        return state;
    pthread_mutex_lock(&cursors->lock);
    for (size_t i = 0; i < BULK_CURSORS_MAX && state == BULK_CURSOR_UNKNOWN; i++) {
        struct bulk_cursor *cursor = &cursors->of[i];
        if (cursor->server == NULL || cursor->id != id || strcmp(cursor->server, server) != 0)
            continue;
        state = cursor->splice == NULL ? BULK_CURSOR_LOST : BULK_CURSOR_KEPT;
        if (state == BULK_CURSOR_LOST)
            break;
        *splice = cursor->splice;
        cursors->bytes -= cursor->bytes;
        forget(cursors, cursor);
    }
    pthread_mutex_unlock(&cursors->lock);
    return state;
}
