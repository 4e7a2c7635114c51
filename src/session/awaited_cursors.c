#include "session/awaited_cursors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/keyed_hash.h"
#include "base/memory.h"

/* 8192 cursors. */
enum { SETS = 1024, WAYS = 8 };

struct awaited_cursor {
    uint64_t server; /* its hash */
    int64_t id;      /* 0: unused */
    uint64_t used;   /* the number of its last use */
};

struct awaited_cursors {
    atomic_bool any;      /* a cheap test: no cursor was ever noted */
    pthread_mutex_t lock; /* guards the rest */
    uint64_t uses;
    struct awaited_cursor sets[SETS][WAYS];
};

struct awaited_cursors *awaited_cursors_create(void)
{
    struct awaited_cursors *cursors = memory_zalloc(sizeof *cursors);
    if (cursors != NULL)
        pthread_mutex_init(&cursors->lock, NULL);
    return cursors;
}

void awaited_cursors_destroy(struct awaited_cursors *cursors)
{
    if (cursors == NULL)
        return;
    pthread_mutex_destroy(&cursors->lock);
    memory_free(cursors);
}

/* The place of the cursor; with the lock held. With `make` a new one, otherwise NULL if it is not
 * noted. */
static struct awaited_cursor *find(struct awaited_cursors *cursors, const char *server, int64_t id,
                                   bool make)
{
    uint64_t hash = keyed_hash(server, strlen(server));
    struct awaited_cursor *set = cursors->sets[keyed_hash_pair(hash, (uint64_t)id) % SETS];
    struct awaited_cursor *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].id == id && set[i].server == hash)
            return &set[i];
        if (set[i].used < oldest->used)
            oldest = &set[i];
    }
    if (!make)
        return NULL;
    *oldest = (struct awaited_cursor){.server = hash, .id = id};
    return oldest;
}

static bool use(struct awaited_cursors *cursors, const char *server, int64_t id, bool make)
{
    if (id == 0)
        return false;
    (void)pthread_mutex_lock(&cursors->lock);
    struct awaited_cursor *cursor = find(cursors, server, id, make);
    if (cursor != NULL)
        cursor->used = ++cursors->uses;
    (void)pthread_mutex_unlock(&cursors->lock);
    return cursor != NULL;
}

void awaited_cursors_put(struct awaited_cursors *cursors, const char *server, int64_t id)
{
    if (use(cursors, server, id, true))
        atomic_store_explicit(&cursors->any, true, memory_order_release);
}

bool awaited_cursors_any(const struct awaited_cursors *cursors)
{
    return atomic_load_explicit(&cursors->any, memory_order_acquire);
}

bool awaited_cursors_find(struct awaited_cursors *cursors, const char *server, int64_t id)
{
    return awaited_cursors_any(cursors) && use(cursors, server, id, false);
}
