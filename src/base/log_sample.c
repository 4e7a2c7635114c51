#include "base/log_sample.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/keyed_hash.h"

enum { SLOTS = 256, PROBES = 8, SHARED_SLOTS = 16, KIND_BYTES = 96 };

/* A kind of line in its period. */
struct sample_slot {
    bool used;
    int id;
    uint64_t kind_hash;
    int64_t began_ms;
    int64_t seen;
    enum log_level level;
    const char *message;
    char kind[KIND_BYTES]; /* as displayed, cut */
};

static struct {
    pthread_mutex_t lock;
    int64_t first;
    int64_t period_ms;
    struct sample_slot slots[SLOTS];
    struct sample_slot shared[SHARED_SLOTS]; /* by id, for kinds without a slot */
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .first = 10, .period_ms = 10000};

void log_sample_configure(int64_t first, int64_t period_ms)
{
    pthread_mutex_lock(&table.lock);
    table.first = first;
    table.period_ms = period_ms;
    pthread_mutex_unlock(&table.lock);
}

/* With the lock held, so that lines appear in the order of their counts. */
static void end_period(struct sample_slot *slot)
{
    int64_t left_out = slot->seen - table.first;
    slot->used = false;
    if (left_out <= 0)
        return;
    LOG_AT(slot->level, LOG_CONTROL, 1080, "log", "Similar lines were left out",
           LOG_INT("id", slot->id), LOG_STR("kind", slot->kind), LOG_STR("msg", slot->message),
           LOG_INT("leftOut", left_out), LOG_INT("written", slot->seen - left_out),
           LOG_INT("periodMs", table.period_ms));
}

static bool is_over(const struct sample_slot *slot, int64_t now_ms)
{
    return now_ms - slot->began_ms >= table.period_ms;
}

static void begin_period(struct sample_slot *slot, int64_t now_ms, int id, uint64_t kind_hash,
                         const char *kind)
{
    *slot =
        (struct sample_slot){.used = true, .id = id, .kind_hash = kind_hash, .began_ms = now_ms};
    (void)snprintf(slot->kind, sizeof slot->kind, "%s", kind);
}

/* The slot of the kind, with a started period; NULL if there is no free slot. */
static struct sample_slot *find_among(struct sample_slot *slots, size_t count, size_t at,
                                      int64_t now_ms, int id, uint64_t kind_hash, const char *kind)
{
    struct sample_slot *free_one = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        struct sample_slot *slot = &slots[(at + i) % count];
        if (slot->used && is_over(slot, now_ms))
            end_period(slot);
        if (slot->used && slot->id == id && slot->kind_hash == kind_hash)
            return slot;
        if (!slot->used && free_one == NULL)
            free_one = slot;
    }
    if (free_one != NULL)
        begin_period(free_one, now_ms, id, kind_hash, kind);
    return free_one;
}

static struct sample_slot *find(int64_t now_ms, int id, const char *kind)
{
    uint64_t hash = keyed_hash(kind, strlen(kind));
    size_t at = (size_t)(hash ^ keyed_hash_pair((uint64_t)id, 0));
    struct sample_slot *slot = find_among(table.slots, SLOTS, at % SLOTS, now_ms, id, hash, kind);
    if (slot != NULL)
        return slot;
    return find_among(table.shared, SHARED_SLOTS, (size_t)id % SHARED_SLOTS, now_ms, id, 0,
                      "others");
}

bool log_sample_take_at(int64_t now_ms, enum log_level level, int id, const char *kind,
                        const char *message)
{
    bool taken = true;
    pthread_mutex_lock(&table.lock);
    struct sample_slot *slot = table.first == 0 ? NULL : find(now_ms, id, kind);
    if (slot != NULL) {
        slot->level = level;
        slot->message = message;
        taken = slot->seen++ < table.first;
    }
    pthread_mutex_unlock(&table.lock);
    return taken;
}

static void flush(struct sample_slot *slots, size_t count, int64_t now_ms, bool all)
{
    for (size_t i = 0; i < count; i++)
        if (slots[i].used && (all || is_over(&slots[i], now_ms)))
            end_period(&slots[i]);
}

void log_sample_flush_at(int64_t now_ms, bool all)
{
    pthread_mutex_lock(&table.lock);
    flush(table.slots, SLOTS, now_ms, all);
    flush(table.shared, SHARED_SLOTS, now_ms, all);
    pthread_mutex_unlock(&table.lock);
}

bool log_sample_take(enum log_level level, int id, const char *kind, const char *message)
{
    return log_sample_take_at(clock_now_ms(), level, id, kind, message);
}

void log_sample_flush(bool all)
{
    log_sample_flush_at(clock_now_ms(), all);
}
