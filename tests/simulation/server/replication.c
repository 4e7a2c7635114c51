/* Logs of members: writing, applying, copying, disks, and what a majority has. */
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

struct entry *member_last(const struct member *member)
{
    return member->log_count == 0 ? NULL : member->log[member->log_count - 1];
}

/* --- the state that a log means --- */

static void apply_version(struct member *member, struct version *version)
{
    if (version->slot >= member->version_capacity)
        array_grow((void **)&member->versions, &member->version_capacity, version->slot + 1,
                   sizeof(struct version *));
    member->versions[version->slot] = version;
    member->cluster->collections[member->cluster->slots[version->slot].collection].exists = true;
}

static void apply(struct member *member, struct entry *entry)
{
    for (unsigned i = 0; i < entry->version_count; i++)
        apply_version(member, entry->versions[i]);
    if (entry->session < 0)
        return;
    struct session_state *state = member_session(member, entry->session);
    state->number = entry->number;
    state->is_transaction = entry->kind == ENTRY_COMMIT;
    state->is_committed = entry->kind == ENTRY_COMMIT;
    state->statements = entry->statements;
}

static void push_entry(struct member *member, struct entry *entry)
{
    array_grow((void **)&member->log, &member->log_capacity, member->log_count + 1,
               sizeof(struct entry *));
    member->log[member->log_count++] = entry;
    apply(member, entry);
}

static void clear(void *array, size_t bytes)
{
    if (bytes > 0)
        memset(array, 0, bytes);
}

void member_truncate(struct member *member, int64_t keep)
{
    size_t count = (size_t)keep;
    member->log_count = 0;
    clear(member->versions, member->version_capacity * sizeof(struct version *));
    clear(member->sessions, member->session_capacity * sizeof *member->sessions);
    clear(member->locks, member->lock_capacity * sizeof(struct transaction *));
    for (size_t i = 0; i < count; i++)
        push_entry(member, member->log[i]);
    if (member->durable > keep)
        member->durable = keep;
    if (member->flushing > keep)
        member->flushing = keep;
}

/* --- time --- */

static void tick(struct cluster *cluster)
{
    uint32_t now = (uint32_t)(SERVER_EPOCH_SECONDS + world_now_us(cluster->world) / 1000000);
    if (now > cluster->seconds) {
        cluster->seconds = now;
        cluster->increment = 0;
    }
    cluster->increment++;
}

/* --- a primary writes --- */

static void link_versions(struct member *member, struct entry *entry)
{
    for (unsigned i = 0; i < entry->version_count; i++) {
        struct version *version = entry->versions[i];
        struct slot *slot = &member->cluster->slots[version->slot];
        version->by = entry;
        version->made_before = slot->made;
        slot->made = version;
    }
}

struct entry *member_append(struct member *member, enum entry_kind kind, int session,
                            int64_t number, struct statement *statement, struct version **versions,
                            unsigned count)
{
    struct cluster *cluster = member->cluster;
    struct entry *entry = region_take(&cluster->region, sizeof *entry);
    tick(cluster);
    *entry = (struct entry){.index = (int64_t)member->log_count + 1,
                            .term = member->term,
                            .seconds = cluster->seconds,
                            .increment = cluster->increment,
                            .kind = kind,
                            .session = session,
                            .number = number,
                            .statements = statement,
                            .version_count = count};
    if (count == 1) {
        entry->only = versions[0];
        entry->versions = &entry->only;
    } else if (count > 1) {
        entry->versions = region_copy(&cluster->region, versions, count * sizeof(struct version *));
    }
    link_versions(member, entry);
    push_entry(member, entry);
    member_flush(member);
    cluster_copy_soon(cluster);
    return entry;
}

/* --- what a majority has --- */

static int compare_counts(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

void member_commit(struct member *member)
{
    struct cluster *cluster = member->cluster;
    int64_t have[PLAN_MEMBERS_MAX];
    if (member->role != MEMBER_PRIMARY)
        return;
    member->acknowledged[member->number] = member->durable;
    memcpy(have, member->acknowledged, sizeof have);
    qsort(have, cluster->member_count, sizeof have[0], compare_counts);
    int64_t majority = have[cluster->member_count / 2];
    if (majority > member->committed && member->log[majority - 1]->term == member->term) {
        member->committed = majority;
        cluster_copy_soon(cluster); /* the others hear of it */
    }
    cluster_wake(cluster);
}

/* --- disks --- */

static void flushed(void *arg)
{
    struct member *member = arg;
    member->flush = NULL;
    if (member->flushing > member->durable)
        member->durable = member->flushing;
    member->flushing = 0;
    if (member->durable < (int64_t)member->log_count)
        member_flush(member);
    if (member->role == MEMBER_PRIMARY)
        member_commit(member);
    else
        member_copy_soon(member);
}

/* A group commit: one write of the disk takes all entries that are there when it begins. */
void member_flush(struct member *member)
{
    if (member->flush != NULL || member->role == MEMBER_DOWN)
        return;
    member->flushing = (int64_t)member->log_count;
    int64_t disk_us = 1000 + stream_below(&member->front.stream, 2000) + member->disk_us;
    member->flush = world_after(member->cluster->world, disk_us, flushed, member);
}

/* --- secondaries copy --- */

static bool is_reachable(const struct member *member)
{
    return member->role != MEMBER_DOWN && !member->isolated;
}

bool member_hears(const struct member *member, const struct member *other)
{
    const struct cluster *cluster = member->cluster;
    unsigned a = member->number;
    unsigned b = other->number;
    if (!is_reachable(member) || !is_reachable(other))
        return false;
    if (a == b || cluster->parted[a][b] == 0)
        return true;
    for (unsigned i = 0; i < cluster->member_count; i++)
        if (i != a && i != b && is_reachable(&cluster->members[i]) && cluster->parted[a][i] == 0 &&
            cluster->parted[i][b] == 0)
            return true;
    return false;
}

static int64_t common_prefix(const struct member *a, const struct member *b)
{
    size_t count = a->log_count < b->log_count ? a->log_count : b->log_count;
    while (count > 0 && a->log[count - 1] != b->log[count - 1])
        count--;
    return (int64_t)count;
}

static void report(struct member *member, struct member *primary)
{
    int64_t common = common_prefix(member, primary);
    int64_t durable = member->durable < common ? member->durable : common;
    if (durable <= primary->acknowledged[member->number])
        return;
    primary->acknowledged[member->number] = durable;
    member_commit(primary);
}

static void copy(void *arg)
{
    struct member *member = arg;
    struct cluster *cluster = member->cluster;
    struct member *primary = cluster_primary(cluster);
    member->copying = NULL;
    if (primary == NULL || primary == member || member->role != MEMBER_SECONDARY ||
        !member_hears(member, primary))
        return;
    int64_t common = common_prefix(member, primary);
    if (common < (int64_t)member->log_count) {
        member_roll_back(member, common);
        return;
    }
    member->term = primary->term;
    if (member->primary != (int)primary->number)
        member_set_role(member, MEMBER_SECONDARY, (int)primary->number);
    for (size_t i = member->log_count; i < primary->log_count; i++)
        push_entry(member, primary->log[i]);
    if (primary->committed > member->committed)
        member->committed = primary->committed;
    if (member->durable < (int64_t)member->log_count)
        member_flush(member);
    report(member, primary);
    cluster_wake(cluster);
}

void member_copy_soon(struct member *member)
{
    if (member->copying != NULL || member->role != MEMBER_SECONDARY || member->isolated)
        return;
    int64_t delay_us = stream_skewed(&member->front.stream, 100, 3000);
    if (stream_chance(&member->front.stream, 20))
        delay_us += stream_below(&member->front.stream, 50000);
    member->copying = world_after(member->cluster->world, delay_us, copy, member);
}

void cluster_copy_soon(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->member_count; i++)
        member_copy_soon(&cluster->members[i]);
}
