/* The faults of a plan: each begins at its time, lasts, and ends. A fault without a target at its
 * time does nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model.h"

enum {
    NAME_BYTES = 16,
    CONNECTIONS_LOOKED_AT = 64,
    DRAIN_LOOK_US = 20 * 1000,
    DRAIN_MOST_US = 10 * 1000 * 1000,
    MEMORY_LEAST_BYTES = 64 * 1024
};

struct faults;

/* One fault under way. */
struct fault {
    struct faults *faults;
    const struct plan_fault *plan;
    struct timer *timer;                   /* NULL: it has ended */
    unsigned connection;                   /* of a slow reader; 0: none */
    char slow_host[NAME_BYTES];            /* its host */
    char from[NAME_BYTES], to[NAME_BYTES]; /* of a partition */
    int64_t drain_until_us;
};

struct faults {
    struct world *world;
    const struct plan *plan;
    struct cluster *cluster;
    struct simulated_proxy **proxy;
    unsigned under_way;
    struct fault of[PLAN_FAULTS_MAX];
};

/* --- targets ---
 */

static void name_member(const struct faults *faults, uint32_t which, char out[NAME_BYTES])
{
    if (faults->plan->topology == PLAN_MONGOS)
        (void)snprintf(out, NAME_BYTES, "s");
    else
        (void)snprintf(out, NAME_BYTES, "%c", 'a' + (int)(which % faults->plan->members));
}

static void name_client(const struct faults *faults, uint32_t which, char out[NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "c%u", which % faults->plan->client_count + 1);
}

static struct end *nth_connection(struct world *world, const char *a, const char *b, uint32_t which)
{
    unsigned count = 0;
    while (count < CONNECTIONS_LOOKED_AT && world_connection(world, a, b, count) != NULL)
        count++;
    return count == 0 ? NULL : world_connection(world, a, b, which % count);
}

/* A connection of a client, or of the proxy to a server. The end whose peer sends the cut bytes is
 * drawn from the amount. */
static struct end *target_connection(const struct faults *faults, const struct plan_fault *plan,
                                     bool upstream)
{
    char host[NAME_BYTES];
    if (upstream && !faults->plan->direct)
        name_member(faults, plan->which, host);
    else
        name_client(faults, plan->which, host);
    bool at_host = plan->amount % 2 == 0;
    const char *other = faults->plan->direct ? NULL : "p";
    if (at_host || other == NULL)
        return nth_connection(faults->world, host, other, plan->which / 7);
    return nth_connection(faults->world, other, host, plan->which / 7);
}

/* --- the network ---
 */

static void cut(struct fault *fault, bool upstream)
{
    const struct plan_fault *plan = fault->plan;
    struct end *end = target_connection(fault->faults, plan, upstream);
    if (end == NULL)
        return;
    world_trace(fault->faults->world, "fault", "connection %u breaks after %u more bytes",
                end_connection(end), plan->amount / 2);
    end_cut(end, plan->amount / 2);
}

static void half_open(struct fault *fault)
{
    const struct plan_fault *plan = fault->plan;
    struct end *end = target_connection(fault->faults, plan, plan->which % 3 == 0);
    if (end == NULL)
        return;
    world_trace(fault->faults->world, "fault", "connection %u is half open", end_connection(end));
    end_half_open(end);
}

static void read_slowly(struct fault *fault)
{
    const struct plan_fault *plan = fault->plan;
    struct faults *faults = fault->faults;
    bool server = plan->which % 3 == 0;
    if (server)
        name_member(faults, plan->which / 3, fault->slow_host);
    else
        name_client(faults, plan->which / 3, fault->slow_host);
    struct end *end = nth_connection(faults->world, fault->slow_host, NULL, plan->amount);
    if (end == NULL)
        return;
    fault->connection = end_connection(end);
    world_trace(faults->world, "fault", "%s does not read connection %u", fault->slow_host,
                fault->connection);
    end_read(end, false);
}

static void read_again(struct fault *fault)
{
    struct world *world = fault->faults->world;
    struct end *end = NULL;
    for (unsigned i = 0; (end = world_connection(world, fault->slow_host, NULL, i)) != NULL; i++)
        if (end_connection(end) == fault->connection) {
            world_trace(world, "fault", "%s reads connection %u again", fault->slow_host,
                        fault->connection);
            end_read(end, true);
            return;
        }
}

static bool parts_members(const struct fault *fault)
{
    return fault->faults->plan->members > 1 && fault->plan->which % 3 == 0;
}

static void part(struct fault *fault)
{
    struct faults *faults = fault->faults;
    uint32_t which = fault->plan->which;
    bool members = parts_members(fault);
    name_member(faults, which / 3, fault->to);
    if (members) {
        unsigned first = which / 3 % faults->plan->members;
        unsigned second = (first + 1) % faults->plan->members;
        (void)snprintf(fault->from, sizeof fault->from, "%c", 'a' + (int)second);
        (void)snprintf(fault->to, sizeof fault->to, "%c", 'a' + (int)first);
        cluster_part_members(faults->cluster, first, second, true);
    } else if (faults->plan->direct || which % 3 == 1)
        name_client(faults, which / 9, fault->from);
    else
        (void)snprintf(fault->from, sizeof fault->from, "p");
    if (!members && which % 3 == 1 && !faults->plan->direct)
        (void)snprintf(fault->to, sizeof fault->to, "p");
    world_trace(faults->world, "fault", "nothing passes between %s and %s", fault->from, fault->to);
    world_partition(faults->world, fault->from, fault->to, true);
}

static void heal(struct fault *fault)
{
    world_trace(fault->faults->world, "fault", "%s and %s reach each other again", fault->from,
                fault->to);
    world_partition(fault->faults->world, fault->from, fault->to, false);
    if (parts_members(fault))
        cluster_part_members(fault->faults->cluster, (unsigned)(fault->from[0] - 'a'),
                             (unsigned)(fault->to[0] - 'a'), false);
}

static void delay(struct fault *fault)
{
    int64_t most_us = 1000 + fault->plan->amount % 400000;
    world_trace(fault->faults->world, "fault", "latency is up to %lld us", (long long)most_us);
    world_latency(fault->faults->world, most_us / 8, most_us);
}

/* --- the proxy ---
 */

static bool start_proxy(struct faults *faults)
{
    memory_fail_never();
    *faults->proxy = simulated_proxy_start(faults->world, faults->plan, faults->cluster);
    return *faults->proxy != NULL;
}

static void stop_proxy(struct faults *faults)
{
    memory_fail_never();
    simulated_proxy_stop(*faults->proxy);
    *faults->proxy = NULL;
}

static void crash_proxy(struct fault *fault)
{
    struct faults *faults = fault->faults;
    world_trace(faults->world, "fault", "the proxy crashes");
    world_crash_host(faults->world, "p");
    stop_proxy(faults);
}

static void limit_memory(struct fault *fault)
{
    uint64_t bytes = MEMORY_LEAST_BYTES + fault->plan->amount % (1024 * 1024);
    world_trace(fault->faults->world, "fault", "memory_max is %llu", (unsigned long long)bytes);
    simulated_proxy_memory_max(*fault->faults->proxy, bytes);
}

static void fail_memory(struct fault *fault)
{
    long number = 1 + (long)(fault->plan->amount % 200);
    world_trace(fault->faults->world, "fault", "allocation %ld from now fails, and all later ones",
                number);
    memory_fail_after(number);
}

static bool is_by_operator(const struct fault *fault)
{
    return fault->faults->plan->operated && fault->plan->which % 4 != 0;
}

static void pause_proxy(struct fault *fault, bool pause)
{
    struct simulated_proxy *proxy = *fault->faults->proxy;
    if (is_by_operator(fault))
        simulated_proxy_command(proxy, pause ? OPERATOR_PAUSES : OPERATOR_RESUMES, false);
    else
        simulated_proxy_pause(proxy, pause);
}

/* To the strict or the loose one, or to none. */
static void change_schemas(struct fault *fault)
{
    struct simulated_proxy *proxy = *fault->faults->proxy;
    bool strict = fault->plan->amount % 2 == 0;
    bool none = !strict && fault->plan->which / 4 % 2 == 0;
    world_trace(fault->faults->world, "fault", "the schemas change");
    if (is_by_operator(fault))
        simulated_proxy_command(proxy, none ? OPERATOR_DELETES_SCHEMA : OPERATOR_PUTS_SCHEMA,
                                strict);
    else
        simulated_proxy_schemas(proxy, strict);
}

/* --- beginning and end of one fault ---
 */

static bool needs_proxy(enum plan_fault_kind kind)
{
    switch (kind) {
    case FAULT_PROXY_RESTART:
    case FAULT_PROXY_DRAIN:
    case FAULT_PROXY_PAUSE:
    case FAULT_PROXY_RELOAD:
    case FAULT_MEMORY:
    case FAULT_MEMORY_MAX:
    case FAULT_SCHEMA:
    case FAULT_CLOCK_STAND:
    case FAULT_CLOCK_LEAP:
    case FAULT_PROXY_SLEEP:
        return true;
    default:
        return false;
    }
}

static void begin_at_server(struct fault *fault)
{
    const struct plan_fault *plan = fault->plan;
    struct faults *faults = fault->faults;
    unsigned member = plan->which % faults->plan->members;
    switch (plan->kind) {
    case FAULT_SERVER_RESTART:
        if (faults->plan->topology == PLAN_MONGOS) /* the mongos is one more */
            member = plan->which % (faults->plan->members + 1);
        world_trace(faults->world, "fault", "member %u restarts", member);
        cluster_restart_member(faults->cluster, member, plan->lasts_us);
        return;
    case FAULT_LOST_ANSWER:
        world_trace(faults->world, "fault", "servers lose connections before answers");
        cluster_lose_answers(faults->cluster, 20 + plan->amount % 400, plan->lasts_us);
        return;
    case FAULT_DISK_FULL:
        world_trace(faults->world, "fault", "the disks are full");
        cluster_fill_disks(faults->cluster, 20 + plan->amount % 500, plan->lasts_us);
        return;
    case FAULT_OVERLOAD:
        world_trace(faults->world, "fault", "the servers are overloaded");
        cluster_overload(faults->cluster, 100 + plan->amount % 800, plan->lasts_us);
        return;
    case FAULT_STEP_DOWN:
        world_trace(faults->world, "fault", "the primary steps down");
        cluster_step_down(faults->cluster, plan->amount % 2 == 0);
        return;
    case FAULT_SLOW_DISK:
        world_trace(faults->world, "fault", "the disk of member %c is slow", 'a' + (int)member);
        cluster_slow_disk(faults->cluster, member, plan->amount % 200000);
        return;
    case FAULT_USER:
        if (faults->plan->users == 0)
            return;
        world_trace(faults->world, "fault", "user %u is dropped",
                    plan->which % faults->plan->users + 1);
        cluster_drop_user(faults->cluster, plan->which % faults->plan->users + 1,
                          world_now_us(faults->world) + plan->lasts_us);
        return;
    default:
        return;
    }
}

static void begin_at_clock(struct fault *fault)
{
    const struct plan_fault *plan = fault->plan;
    struct world *world = fault->faults->world;
    struct simulated_proxy *proxy = *fault->faults->proxy;
    bool catches_up = plan_clock_catches_up(plan);
    switch (plan->kind) {
    case FAULT_CLOCK_STAND:
        world_trace(world, "fault", "the proxy's clock stands still%s",
                    catches_up ? ", and catches up" : "");
        simulated_proxy_stop_clock(proxy, plan->lasts_us, catches_up);
        return;
    case FAULT_CLOCK_LEAP:
        world_trace(world, "fault", "the proxy's clock leaps by %lld ms",
                    (long long)plan_leap_us(plan) / 1000);
        simulated_proxy_leap_clock(proxy, plan_leap_us(plan));
        return;
    case FAULT_PROXY_SLEEP:
        world_trace(world, "fault", "the proxy's machine sleeps");
        simulated_proxy_suspend(proxy, plan->lasts_us);
        return;
    default:
        return;
    }
}

static void begin_at_proxy(struct fault *fault)
{
    struct faults *faults = fault->faults;
    struct simulated_proxy *proxy = *faults->proxy;
    switch (fault->plan->kind) {
    case FAULT_PROXY_RESTART:
        crash_proxy(fault);
        return;
    case FAULT_PROXY_DRAIN:
        world_trace(faults->world, "fault", "the proxy drains");
        if (is_by_operator(fault))
            simulated_proxy_command(proxy, OPERATOR_DRAINS, false);
        else
            simulated_proxy_drain(proxy);
        fault->drain_until_us = world_now_us(faults->world) + DRAIN_MOST_US;
        return;
    case FAULT_PROXY_PAUSE:
        world_trace(faults->world, "fault", "the proxy pauses");
        pause_proxy(fault, true);
        return;
    case FAULT_PROXY_RELOAD:
        world_trace(faults->world, "fault", "the proxy reloads, options %u", fault->plan->amount);
        simulated_proxy_reload(proxy, fault->plan->amount);
        return;
    case FAULT_MEMORY:
        fail_memory(fault);
        return;
    case FAULT_MEMORY_MAX:
        limit_memory(fault);
        return;
    case FAULT_SCHEMA:
        change_schemas(fault);
        return;
    default:
        return;
    }
}

static void begin_in_network(struct fault *fault)
{
    switch (fault->plan->kind) {
    case FAULT_CUT_CLIENT:
    case FAULT_CUT_UPSTREAM:
        cut(fault, fault->plan->kind == FAULT_CUT_UPSTREAM);
        return;
    case FAULT_HALF_OPEN:
        half_open(fault);
        return;
    case FAULT_PARTITION:
        part(fault);
        return;
    case FAULT_LATENCY:
        delay(fault);
        return;
    case FAULT_SLOW_READER:
        read_slowly(fault);
        return;
    case FAULT_CLOCK_JUMP:
        world_jump_wall_clock(fault->faults->world,
                              (int64_t)fault->plan->amount * 1000 - (int64_t)UINT32_MAX / 2 * 1000);
        return;
    default:
        return;
    }
}

static void end_fault(struct fault *fault)
{
    struct faults *faults = fault->faults;
    struct simulated_proxy *proxy = *faults->proxy;
    switch (fault->plan->kind) {
    case FAULT_PARTITION:
        heal(fault);
        break;
    case FAULT_LATENCY:
        world_latency(faults->world, 0, 0);
        break;
    case FAULT_SLOW_READER:
        if (fault->connection != 0)
            read_again(fault);
        break;
    case FAULT_SLOW_DISK:
        cluster_slow_disk(faults->cluster, fault->plan->which % faults->plan->members, 0);
        break;
    case FAULT_PROXY_RESTART:
    case FAULT_PROXY_DRAIN:
        if (proxy == NULL && !start_proxy(faults))
            world_fail(faults->world, "the proxy starts", "a new proxy does not start");
        break;
    case FAULT_PROXY_PAUSE:
        if (proxy != NULL)
            pause_proxy(fault, false);
        break;
    case FAULT_MEMORY:
        memory_fail_never();
        break;
    case FAULT_MEMORY_MAX:
        if (proxy != NULL)
            simulated_proxy_memory_max(proxy, 0);
        break;
    default:
        break;
    }
    fault->timer = NULL;
    faults->under_way--;
}

/* --- timers ---
 */

static void time_is_up(void *arg)
{
    end_fault(arg);
}

/* The proxy ends when its last client has left. */
static void look_at_drain(void *arg)
{
    struct fault *fault = arg;
    struct faults *faults = fault->faults;
    struct simulated_proxy *proxy = *faults->proxy;
    bool over = world_now_us(faults->world) >= fault->drain_until_us;
    bool drained =
        proxy == NULL || (simulated_proxy_drains(proxy) && simulated_proxy_is_empty(proxy));
    if (!over && !drained) {
        fault->timer = world_after(faults->world, DRAIN_LOOK_US, look_at_drain, fault);
        return;
    }
    if (proxy != NULL)
        stop_proxy(faults);
    fault->timer = world_after(faults->world, fault->plan->lasts_us, time_is_up, fault);
}

static void begin(void *arg)
{
    struct fault *fault = arg;
    struct faults *faults = fault->faults;
    enum plan_fault_kind kind = fault->plan->kind;
    if (needs_proxy(kind) && *faults->proxy == NULL) { /* the control, or it is down just now */
        fault->timer = NULL;
        faults->under_way--;
        return;
    }
    begin_in_network(fault);
    begin_at_server(fault);
    begin_at_proxy(fault);
    begin_at_clock(fault);
    bool drains = kind == FAULT_PROXY_DRAIN;
    fault->timer = world_after(faults->world, drains ? 0 : fault->plan->lasts_us,
                               drains ? look_at_drain : time_is_up, fault);
}

struct faults *faults_begin(struct world *world, const struct plan *plan, struct cluster *cluster,
                            struct simulated_proxy **proxy)
{
    struct faults *faults = calloc(1, sizeof *faults);
    if (faults == NULL)
        abort();
    *faults = (struct faults){.world = world, .plan = plan, .cluster = cluster, .proxy = proxy};
    for (unsigned i = 0; i < plan->fault_count; i++) {
        struct fault *fault = &faults->of[i];
        *fault = (struct fault){.faults = faults, .plan = &plan->faults[i]};
        if (plan->faults[i].leaves_out)
            continue;
        faults->under_way++;
        fault->timer = world_after(world, plan->faults[i].at_us, begin, fault);
    }
    return faults;
}

bool faults_have_ceased(const struct faults *faults)
{
    return faults->under_way == 0;
}

void faults_end(struct faults *faults)
{
    for (unsigned i = 0; i < faults->plan->fault_count; i++)
        world_cancel(faults->world, faults->of[i].timer);
    memory_fail_never();
    free(faults);
}
