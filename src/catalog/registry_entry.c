/* Entries of the registry: their hash, their counters, and their last refusals. */
#include "catalog/registry_entry.h"

#include "base/memory.h"

/* --- what was counted --- */

static struct registry_stats *stats_new(void)
{
    struct registry_stats *stats = memory_zalloc(sizeof *stats);
    if (stats == NULL)
        return NULL;
    if (pthread_mutex_init(&stats->lock, NULL) != 0) {
        memory_free(stats);
        return NULL;
    }
    atomic_init(&stats->references, 1);
    return stats;
}

static void stats_release(struct registry_stats *stats)
{
    if (stats == NULL || atomic_fetch_sub(&stats->references, 1) > 1)
        return;
    for (size_t i = 0; i < REGISTRY_REFUSALS_KEPT; i++)
        memory_free(stats->last[i].info);
    (void)pthread_mutex_destroy(&stats->lock);
    memory_free(stats);
}

void registry_entry_adopt_stats(struct registry_entry *entry, const struct registry_entry *older)
{
    if (entry->stats == older->stats)
        return;
    (void)atomic_fetch_add(&older->stats->references, 1);
    stats_release(entry->stats);
    entry->stats = older->stats;
}

static uint8_t *copy_info(const uint8_t *info, size_t len)
{
    uint8_t *copy = len == 0 || len > REGISTRY_INFO_BYTES ? NULL : memory_alloc(len);
    if (copy != NULL)
        memcpy(copy, info, len);
    return copy;
}

void registry_note_refusal(const struct registry_entry *entry, int64_t at_ms, bool warned,
                           const char *reason, struct bytes info)
{
    struct registry_stats *stats = entry->stats;
    uint8_t *copy = copy_info(info.pos, bytes_left(&info));
    size_t len = strnlen(reason, REGISTRY_REASON_BYTES - 1);
    (void)pthread_mutex_lock(&stats->lock);
    struct registry_refusal *place = &stats->last[stats->refusals % REGISTRY_REFUSALS_KEPT];
    uint8_t *older = place->info;
    *place = (struct registry_refusal){.at_ms = at_ms,
                                       .number = ++stats->refusals,
                                       .warned = warned,
                                       .info = copy,
                                       .info_len = copy == NULL ? 0 : bytes_left(&info)};
    memcpy(place->reason, reason, len);
    (void)pthread_mutex_unlock(&stats->lock);
    memory_free(older);
}

size_t registry_last_refusals(const struct registry_entry *entry,
                              struct registry_refusal out[REGISTRY_REFUSALS_KEPT])
{
    struct registry_stats *stats = entry->stats;
    size_t count = 0;
    (void)pthread_mutex_lock(&stats->lock);
    while (count < REGISTRY_REFUSALS_KEPT && count < stats->refusals) {
        size_t at = (size_t)((stats->refusals - 1 - count) % REGISTRY_REFUSALS_KEPT);
        out[count] = stats->last[at];
        out[count].info = copy_info(stats->last[at].info, stats->last[at].info_len);
        if (out[count].info == NULL)
            out[count].info_len = 0;
        count++;
    }
    (void)pthread_mutex_unlock(&stats->lock);
    return count;
}

/* --- entries --- */

struct registry_entry *registry_entry_new(struct schema_file *file, enum registry_origin origin,
                                          const char *source)
{
    struct registry_entry *entry = memory_zalloc(sizeof *entry);
    if (entry == NULL) {
        schema_file_release(file);
        return NULL;
    }
    atomic_init(&entry->references, 1);
    entry->origin = origin;
    entry->file = *file;
    entry->ns_len = strlen(file->ns);
    *file = (struct schema_file){.ns = NULL};
    entry->source = memory_copy_string(source);
    entry->stats = stats_new();
    if (entry->source == NULL || entry->stats == NULL) {
        registry_entry_release(entry);
        return NULL;
    }
    return entry;
}

struct registry_entry *registry_entry_retain(struct registry_entry *entry)
{
    (void)atomic_fetch_add(&entry->references, 1);
    return entry;
}

void registry_entry_release(struct registry_entry *entry)
{
    if (entry == NULL || atomic_fetch_sub(&entry->references, 1) > 1)
        return;
    stats_release(entry->stats);
    schema_file_release(&entry->file);
    memory_free(entry->source);
    memory_free(entry);
}

static bool is_same_version(const struct schema_version *a, const struct schema_version *b)
{
    return schema_version_is_same(a, b) && a->accepted_until_ms == b->accepted_until_ms &&
           strcmp(a->name != NULL ? a->name : "", b->name != NULL ? b->name : "") == 0;
}

bool registry_entry_is_same(const struct registry_entry *a, const struct registry_entry *b)
{
    const struct schema_file *one = &a->file;
    const struct schema_file *other = &b->file;
    if (one->version_count != other->version_count ||
        !is_same_version(&one->candidate, &other->candidate))
        return false;
    for (size_t i = 0; i < one->version_count; i++)
        if (!is_same_version(&one->versions[i], &other->versions[i]))
            return false;
    return strcmp(one->ns, other->ns) == 0 && one->level == other->level &&
           one->action == other->action && one->reject_unproved == other->reject_unproved &&
           one->allow_bypass == other->allow_bypass;
}
