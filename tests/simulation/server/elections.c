/* Roles of members: elections, step-down, rollback, crash and restart. */
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

/* --- listening --- */

void front_topology_changed(struct front *front)
{
    front->topology_counter++;
    cluster_wake(front->cluster);
}

void member_set_role(struct member *member, enum member_role role, int primary)
{
    static const char *const names[] = {"down", "secondary", "primary", "rollback"};
    enum member_role before = member->role;
    if (before == role && member->primary == primary)
        return;
    member->role = role;
    member->primary = primary;
    world_trace(member->cluster->world, member->front.address, "is %s in term %lld, primary %d",
                names[role], (long long)member->term, primary);
    if (before == MEMBER_PRIMARY) {
        member_abort_all(member);
        member_kill_operations(member, role == MEMBER_DOWN ? 6 : 11602);
    }
    if (role == MEMBER_ROLLBACK)
        member_kill_operations(member, 11602);
    front_topology_changed(&member->front);
    cluster_changed(member->cluster);
}

/* --- elections --- */

static bool is_more_recent(const struct member *a, const struct member *b)
{
    const struct entry *x = member_last(a);
    const struct entry *y = member_last(b);
    if (x == NULL || y == NULL)
        return x != NULL;
    return x->term != y->term ? x->term > y->term : x->index > y->index;
}

static bool has_majority(const struct member *member)
{
    const struct cluster *cluster = member->cluster;
    unsigned count = 0;
    for (unsigned i = 0; i < cluster->member_count; i++)
        count += member_hears(member, &cluster->members[i]);
    return count * 2 > cluster->member_count;
}

/* The member with the newest log among those that hear each other, if they are a majority. Every
 * entry that a majority has on disk is in its log. */
static struct member *choose(struct cluster *cluster)
{
    struct member *best = NULL;
    unsigned first = stream_below(&cluster->stream, cluster->member_count);
    for (unsigned i = 0; i < cluster->member_count; i++) {
        struct member *member = &cluster->members[(first + i) % cluster->member_count];
        if (has_majority(member) && (best == NULL || is_more_recent(member, best)))
            best = member;
    }
    return best == NULL || best->role == MEMBER_ROLLBACK ? NULL : best;
}

static void win(struct cluster *cluster, struct member *member)
{
    member->term = ++cluster->term;
    memset(member->acknowledged, 0, sizeof member->acknowledged);
    member->primary = -1;
    member_set_role(member, MEMBER_PRIMARY, (int)member->number);
    (void)member_append(member, ENTRY_NOTHING, -1, 0, NULL, NULL, 0);
}

static void elect(void *arg)
{
    struct cluster *cluster = arg;
    struct member *primary = cluster_primary(cluster);
    cluster->electing = NULL;
    if (primary != NULL && has_majority(primary))
        return;
    struct member *winner = choose(cluster);
    if (winner != NULL)
        win(cluster, winner);
}

void cluster_elect_soon(struct cluster *cluster)
{
    if (cluster->electing != NULL)
        return;
    int64_t delay_us = stream_skewed(&cluster->stream, 20000, 1500000);
    cluster->electing = world_after(cluster->world, delay_us, elect, cluster);
}

/* --- rollback --- */

/* After a change of who hears whom. A primary that hears of a newer one steps down. */
static void hear_anew(struct cluster *cluster)
{
    const struct member *newest = cluster_primary(cluster);
    for (unsigned i = 0; newest != NULL && i < cluster->member_count; i++) {
        struct member *member = &cluster->members[i];
        if (member != newest && member->role == MEMBER_PRIMARY && member_hears(member, newest))
            member_set_role(member, MEMBER_SECONDARY, -1);
    }
    cluster_copy_soon(cluster);
    if (newest == NULL || !has_majority(newest))
        cluster_elect_soon(cluster);
}

static void rolled_back(void *arg)
{
    struct member *member = arg;
    member->coming_back = NULL;
    member_set_role(member, MEMBER_SECONDARY, -1);
    hear_anew(member->cluster);
}

void member_roll_back(struct member *member, int64_t keep)
{
    world_trace(member->cluster->world, member->front.address, "rolls back from %zu to %lld",
                member->log_count, (long long)keep);
    member_set_role(member, MEMBER_ROLLBACK, -1);
    member_truncate(member, keep);
    cursors_free_all(&member->front);
    member->coming_back =
        world_after(member->cluster->world, 5000 + stream_below(&member->front.stream, 50000),
                    rolled_back, member);
}

/* --- step-down --- */

/* A primary that steps down in order waits until another one has all that it has. */
static void hand_over(struct cluster *cluster, struct member *primary)
{
    for (unsigned i = 0; i < cluster->member_count; i++) {
        struct member *other = &cluster->members[i];
        if (other == primary || other->role != MEMBER_SECONDARY || other->isolated)
            continue;
        size_t count = 0;
        while (count < other->log_count && count < primary->log_count &&
               other->log[count] == primary->log[count])
            count++;
        if (count < other->log_count)
            continue; /* it has to roll back first */
        array_grow((void **)&other->log, &other->log_capacity, primary->log_count,
                   sizeof(struct entry *));
        memcpy(other->log, primary->log, primary->log_count * sizeof(struct entry *));
        member_truncate(other, (int64_t)primary->log_count);
        member_flush(other);
        return;
    }
}

static void notice_loss(void *arg)
{
    struct member *member = arg;
    member->coming_back = NULL;
    if (member->role == MEMBER_PRIMARY)
        member_set_role(member, MEMBER_SECONDARY, -1);
    member->isolated = false;
    hear_anew(member->cluster);
}

/* The others hear nothing of the primary and elect another one. It goes on for a while. */
static void isolate(struct cluster *cluster, struct member *primary)
{
    primary->isolated = true;
    world_trace(cluster->world, primary->front.address, "is cut off from the other members");
    cluster_elect_soon(cluster);
    int64_t notices_us = 100000 + stream_skewed(&cluster->stream, 0, 3000000);
    primary->coming_back = world_after(cluster->world, notices_us, notice_loss, primary);
}

void cluster_step_down(struct cluster *cluster, bool orderly)
{
    struct member *primary = cluster_primary(cluster);
    if (primary == NULL || !cluster_is_set(cluster) || primary->coming_back != NULL)
        return;
    if (!orderly && cluster->member_count > 1) {
        isolate(cluster, primary);
        return;
    }
    hand_over(cluster, primary);
    member_set_role(primary, MEMBER_SECONDARY, -1);
    cluster_elect_soon(cluster);
}

/* --- partitions between members --- */

void cluster_part_members(struct cluster *cluster, unsigned a, unsigned b, bool parted)
{
    a %= cluster->member_count;
    b %= cluster->member_count;
    if (a == b)
        return;
    cluster->parted[a][b] += parted ? 1U : -1U;
    cluster->parted[b][a] = cluster->parted[a][b];
    if (!parted)
        hear_anew(cluster);
    else if (cluster_is_set(cluster))
        cluster_elect_soon(cluster);
}

/* --- crash and restart --- */

static void start_member(void *arg)
{
    struct member *member = arg;
    struct cluster *cluster = member->cluster;
    member->coming_back = NULL;
    front_listen(&member->front);
    member_set_role(member, MEMBER_SECONDARY, -1);
    if (!cluster_is_set(cluster)) {
        win(cluster, member);
        return;
    }
    hear_anew(cluster);
}

static void stop_timers(struct member *member)
{
    struct world *world = member->cluster->world;
    world_cancel(world, member->copying);
    world_cancel(world, member->flush);
    world_cancel(world, member->coming_back);
    member->copying = NULL;
    member->flush = NULL;
    member->coming_back = NULL;
    member->flushing = 0;
}

static void stop_front(struct front *front)
{
    front->is_up = false;
    world_unlisten(front->cluster->world, front->address);
    front_close_connections(front, true);
    world_crash_host(front->cluster->world, front->host);
    cursors_free_all(front);
}

static void start_mongos(void *arg)
{
    struct front *front = arg;
    front->cluster->mongos_back = NULL;
    front_listen(front);
    cluster_changed(front->cluster);
}

void cluster_restart_member(struct cluster *cluster, unsigned number, int64_t down_us)
{
    if (cluster->has_mongos && number >= cluster->member_count) {
        if (!cluster->mongos.is_up)
            return;
        stop_front(&cluster->mongos);
        cluster_changed(cluster);
        cluster->mongos_back = world_after(cluster->world, down_us, start_mongos, &cluster->mongos);
        return;
    }
    struct member *member = &cluster->members[number % cluster->member_count];
    if (member->role == MEMBER_DOWN)
        return;
    bool was_primary = member->role == MEMBER_PRIMARY;
    stop_timers(member);
    member->isolated = false;
    stop_front(&member->front);
    member_set_role(member, MEMBER_DOWN, -1);
    member_truncate(member, member->durable);
    member->committed = member->committed < member->durable ? member->committed : member->durable;
    member->coming_back = world_after(cluster->world, down_us, start_member, member);
    if (was_primary && cluster_is_set(cluster))
        cluster_elect_soon(cluster);
}

void cluster_begin_term(struct cluster *cluster)
{
    win(cluster, &cluster->members[0]);
}
