/* The cluster as others see it: its life, its members, and the surviving history. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

bool cluster_is_set(const struct cluster *cluster)
{
    return cluster->plan->topology != PLAN_STANDALONE;
}

int64_t cluster_wall_ms(const struct cluster *cluster)
{
    return SERVER_EPOCH_SECONDS * 1000 + world_now_us(cluster->world) / 1000;
}

struct member *cluster_primary(const struct cluster *cluster)
{
    const struct member *best = NULL;
    for (unsigned i = 0; i < cluster->member_count; i++) {
        const struct member *member = &cluster->members[i];
        if (member->role == MEMBER_PRIMARY && (best == NULL || member->term > best->term))
            best = member;
    }
    return (struct member *)(uintptr_t)best;
}

unsigned cluster_collection(struct cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->collection_count; i++)
        if (strcmp(cluster->collections[i].name, name) == 0)
            return (unsigned)i;
    array_grow((void **)&cluster->collections, &cluster->collection_capacity,
               cluster->collection_count + 1, sizeof *cluster->collections);
    struct collection *made = &cluster->collections[cluster->collection_count];
    (void)snprintf(made->name, sizeof made->name, "%s", name);
    return (unsigned)cluster->collection_count++;
}

/* --- life --- */

static void begin_front(struct cluster *cluster, struct front *front, struct member *member,
                        const char *host, unsigned number)
{
    front->cluster = cluster;
    front->member = member;
    (void)snprintf(front->host, sizeof front->host, "%s", host);
    (void)snprintf(front->address, sizeof front->address, "%s:27017", host);
    front->stream = stream_make(world_seed(cluster->world), "server", number);
    front->topology_counter = 1;
    front_listen(front);
}

static void begin_member(struct cluster *cluster, unsigned number)
{
    struct member *member = &cluster->members[number];
    char host[2] = {(char)('a' + number), 0};
    member->cluster = cluster;
    member->number = number;
    member->primary = -1;
    member->role = MEMBER_SECONDARY;
    begin_front(cluster, &member->front, member, host, number);
}

struct cluster *cluster_create(struct world *world, const struct plan *plan)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL)
        abort();
    cluster->world = world;
    cluster->plan = plan;
    cluster->stream = stream_make(world_seed(world), "cluster", 0);
    cluster->member_count = plan->topology == PLAN_STANDALONE ? 1 : plan->members;
    for (unsigned i = 1; i <= plan->users && i <= SERVER_USERS_MAX; i++)
        cluster->users[i] = (struct user){.incarnation = 1, .incarnations = 1};
    for (unsigned i = 0; i < cluster->member_count; i++)
        begin_member(cluster, i);
    cluster->has_mongos = plan->topology == PLAN_MONGOS;
    if (cluster->has_mongos)
        begin_front(cluster, &cluster->mongos, NULL, "s", PLAN_MEMBERS_MAX);
    cluster_begin_term(cluster);
    if (plan->direct && plan->schemas)
        cluster_set_validator(cluster, APPLICATION_CHECKED, true);
    return cluster;
}

static void end_front(struct front *front)
{
    if (front->is_up)
        world_unlisten(front->cluster->world, front->address);
    front_close_connections(front, true);
    cursors_free_all(front);
}

static void end_member(struct member *member)
{
    struct world *world = member->cluster->world;
    world_cancel(world, member->copying);
    world_cancel(world, member->flush);
    world_cancel(world, member->coming_back);
    member_abort_all(member);
    free(member->log);
    free(member->versions);
    free(member->sessions);
    free(member->locks);
}

void cluster_destroy(struct cluster *cluster)
{
    cluster->follower_count = 0;
    for (unsigned i = 0; i < cluster->member_count; i++)
        end_front(&cluster->members[i].front);
    if (cluster->has_mongos)
        end_front(&cluster->mongos);
    for (unsigned i = 0; i < cluster->member_count; i++)
        end_member(&cluster->members[i]);
    world_cancel(cluster->world, cluster->electing);
    world_cancel(cluster->world, cluster->mongos_back);
    for (unsigned i = 0; i <= SERVER_USERS_MAX; i++)
        world_cancel(cluster->world, cluster->users[i].back);
    free(cluster->slots);
    free(cluster->slot_index);
    free(cluster->sessions);
    free(cluster->session_index);
    free(cluster->collections);
    region_free(&cluster->region);
    free(cluster);
}

/* --- its members --- */

static void view_front(const struct front *front, bool is_primary, struct cluster_view *out)
{
    (void)snprintf(out->members[out->count].address, sizeof out->members[0].address, "%s",
                   front->address);
    out->members[out->count].up = front->is_up;
    out->members[out->count].primary = is_primary;
    out->count++;
}

void cluster_view(const struct cluster *cluster, struct cluster_view *out)
{
    *out = (struct cluster_view){0};
    if (cluster->has_mongos) {
        view_front(&cluster->mongos, cluster->mongos.is_up, out);
        return;
    }
    const struct member *primary = cluster_primary(cluster);
    for (unsigned i = 0; i < cluster->member_count; i++)
        view_front(&cluster->members[i].front, &cluster->members[i] == primary, out);
}

void cluster_follow(struct cluster *cluster, void (*changed)(void *arg), void *arg)
{
    if (changed == NULL) {
        cluster->follower_count = 0;
        return;
    }
    if (cluster->follower_count == sizeof cluster->followers / sizeof cluster->followers[0])
        abort();
    cluster->followers[cluster->follower_count++] = (struct follower){changed, arg};
}

void cluster_changed(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->follower_count; i++)
        cluster->followers[i].changed(cluster->followers[i].arg);
}

/* --- faults without a file of their own --- */

void cluster_slow_disk(struct cluster *cluster, unsigned member, int64_t delay_us)
{
    cluster->members[member % cluster->member_count].disk_us = delay_us;
}

void cluster_set_validator(struct cluster *cluster, const char *collection, bool strict)
{
    char name[SERVER_NAMESPACE_BYTES];
    (void)snprintf(name, sizeof name, APPLICATION_DATABASE ".%s", collection);
    unsigned number = cluster_collection(cluster, name);
    struct collection *found = &cluster->collections[number];
    found->strict = strict;
    found->exists = true;
}

void cluster_overload(struct cluster *cluster, unsigned per_mille, int64_t lasts_us)
{
    cluster->overload_per_mille = per_mille;
    cluster->overload_until_us = world_now_us(cluster->world) + lasts_us;
}

void cluster_fill_disks(struct cluster *cluster, unsigned per_mille, int64_t lasts_us)
{
    cluster->full_per_mille = per_mille;
    cluster->full_until_us = world_now_us(cluster->world) + lasts_us;
}

void cluster_lose_answers(struct cluster *cluster, unsigned per_mille, int64_t lasts_us)
{
    cluster->losing_per_mille = per_mille;
    cluster->losing_until_us = world_now_us(cluster->world) + lasts_us;
}

/* --- the surviving history --- */

static const struct member *survivor(const struct cluster *cluster)
{
    const struct member *best = cluster_primary(cluster);
    for (unsigned i = 0; best == NULL && i < cluster->member_count; i++)
        if (cluster->members[i].role != MEMBER_DOWN)
            best = &cluster->members[i];
    return best == NULL ? &cluster->members[0] : best;
}

static bool survives(const struct member *member, const struct entry *entry)
{
    return entry != NULL && entry->index <= (int64_t)member->log_count &&
           member->log[entry->index - 1] == entry;
}

static void describe(const struct member *member, uint32_t slot, struct cluster_document *out)
{
    const struct slot *of = &member->cluster->slots[slot];
    const struct version *version = member_version(member, slot);
    *out = (struct cluster_document){.token = of->key, .duplicates = of->duplicates};
    for (const struct version *each = of->made; each != NULL; each = each->made_before)
        out->rolled_back += !survives(member, each->by);
    if (version == NULL)
        return;
    out->user = version->user;
    out->writers = version->writers;
    out->written = version->written;
    out->increments = version->increments;
    out->is_deleted = version->is_deleted;
    out->breaks_schema = version->breaks_schema;
    while (version->previous != NULL && !version->previous->is_deleted)
        version = version->previous;
    out->inserted_us = version->made_us;
}

static bool find_collection(const struct cluster *cluster, const char *collection, unsigned *out)
{
    char name[SERVER_NAMESPACE_BYTES];
    (void)snprintf(name, sizeof name, APPLICATION_DATABASE ".%s", collection);
    for (size_t i = 0; i < cluster->collection_count; i++) {
        if (strcmp(cluster->collections[i].name, name) == 0) {
            *out = (unsigned)i;
            return true;
        }
    }
    return false;
}

bool cluster_find(const struct cluster *cluster, const char *collection, int64_t token,
                  struct cluster_document *out)
{
    unsigned number = 0;
    uint32_t slot = 0;
    *out = (struct cluster_document){.token = token};
    if (!find_collection(cluster, collection, &number) || !slot_find(cluster, number, token, &slot))
        return false;
    describe(survivor(cluster), slot, out);
    return out->written > 0 && !out->is_deleted;
}

void cluster_each(const struct cluster *cluster, const char *collection,
                  void (*each)(void *arg, const struct cluster_document *document), void *arg)
{
    unsigned number = 0;
    const struct member *member = survivor(cluster);
    if (!find_collection(cluster, collection, &number))
        return;
    for (uint32_t i = 0; i < cluster->slot_count; i++) {
        struct cluster_document document;
        const struct version *version = member_version(member, i);
        if (cluster->slots[i].collection != number || version == NULL || version->is_deleted)
            continue;
        describe(member, i, &document);
        each(arg, &document);
    }
}

uint64_t cluster_commands(const struct cluster *cluster, const char *name)
{
    for (unsigned i = 0; i < cluster->count_count; i++)
        if (strcmp(cluster->counts[i].name, name) == 0)
            return cluster->counts[i].count;
    return 0;
}
