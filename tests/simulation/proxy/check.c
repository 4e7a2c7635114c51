/* The proxy's counters against what went through its sockets. */
#include <inttypes.h>

#include "../net/process.h"
#include "main/proxy.h"
#include "main/proxy_parts.h"
#include "metrics/counters.h"
#include "session/session_worker.h"
#include "simulated_proxy.h"

struct expected {
    enum counter counter;
    uint64_t value;
};

static bool has_faults(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->fault_count; i++)
        if (!plan->faults[i].leaves_out)
            return true;
    return false;
}

/* A client that left stays counted while its connection to the server carries the inserts of
 * others, and a half-open connection carries them until keep-alive ends it. */
static bool may_linger(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->fault_count; i++)
        if (plan->faults[i].kind == FAULT_HALF_OPEN && !plan->faults[i].leaves_out)
            return plan->merging;
    return false;
}

static bool has_deaths(const struct plan *plan)
{
    for (unsigned i = 0; i < plan->client_count; i++)
        for (unsigned j = 0; j < plan->clients[i].operation_count; j++)
            if (plan->clients[i].operations[j].kind == PLAN_DIE)
                return true;
    return false;
}

static void compare(struct world *world, const uint64_t *values, const struct expected *expected,
                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[expected[i].counter] != expected[i].value)
            world_fail(world, "counters", "%s is %" PRIu64 ", but %" PRIu64 " were counted",
                       counters_name(expected[i].counter), values[expected[i].counter],
                       expected[i].value);
}

/* A worker that has work may still have to free what ended. */
static bool is_still(const struct proxy *proxy)
{
    for (unsigned i = 0; i < proxy->worker_count; i++)
        if (worker_base(proxy->workers[i]->worker)->turn != NULL)
            return false;
    return true;
}

void simulated_proxy_check(struct simulated_proxy *simulated, const struct drivers *drivers,
                           const struct cluster *cluster)
{
    const struct process *process = the_process;
    uint64_t values[COUNTER_COUNT] = {0};
    (void)drivers;
    (void)cluster;
    for (unsigned i = 0; i < simulated->proxy->worker_count; i++)
        counters_sum(session_worker_counters(simulated->proxy->workers[i]), values);
    uint64_t clients = process_socket_count(SOCKET_CLIENT);
    if (may_linger(simulated->plan) && values[COUNTER_CLIENTS_NOW] > clients)
        clients = values[COUNTER_CLIENTS_NOW];
    const struct expected now[] = {
        {COUNTER_CLIENTS_NOW, clients},
        {COUNTER_UPSTREAM_NOW, process_socket_count(SOCKET_UPSTREAM)},
    };
    if (is_still(simulated->proxy))
        compare(simulated->world, values, now, sizeof now / sizeof now[0]);
    if (has_faults(simulated->plan) || has_deaths(simulated->plan))
        return;
    const struct expected all[] = {
        {COUNTER_CLIENTS_ACCEPTED, process->accepted},
        {COUNTER_REQUESTS, process->in[SOCKET_CLIENT].messages},
        {COUNTER_REQUEST_BYTES, process->in[SOCKET_CLIENT].bytes},
        {COUNTER_UPSTREAM_REQUESTS, process->out[SOCKET_UPSTREAM].messages},
    };
    compare(simulated->world, values, all, sizeof all / sizeof all[0]);
    /* a client may leave while a reply to it is under way */
    if (values[COUNTER_REPLIES] < process->out[SOCKET_CLIENT].messages ||
        values[COUNTER_REPLIES] > process->in[SOCKET_UPSTREAM].messages + values[COUNTER_REQUESTS])
        world_fail(simulated->world, "counters",
                   "replies is %" PRIu64 ", but %" PRIu64 " were sent", values[COUNTER_REPLIES],
                   process->out[SOCKET_CLIENT].messages);
}

static size_t kept_bytes(const struct proxy *proxy)
{
    size_t used = atomic_load(&proxy->shared.budget.used_bytes);
    for (unsigned i = 0; i < proxy->worker_count; i++)
        used -= proxy->workers[i]->held_bytes;                    /* spare batches of the mergers */
    return process_socket_count(SOCKET_UPSTREAM) == 0 ? used : 0; /* pools keep a hello */
}

bool simulated_proxy_is_quiet(const struct simulated_proxy *simulated)
{
    return proxy_clients(simulated->proxy) == 0 && kept_bytes(simulated->proxy) == 0;
}

void simulated_proxy_check_quiet(struct simulated_proxy *simulated)
{
    struct proxy *proxy = simulated->proxy;
    size_t used = kept_bytes(proxy);
    if (proxy_clients(proxy) != 0)
        world_fail(simulated->world, "clients leave", "%u clients are left, and no driver",
                   proxy_clients(proxy));
    else if (used != 0)
        world_fail(simulated->world, "memory accounting", "%zu bytes are taken for nobody", used);
}
