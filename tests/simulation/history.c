#include "history.h"

#include <stdio.h>

#include "model.h"

/* A history ends long before this, whatever its faults do. */
enum { LONGEST_S = 3600 };

/* The time in which answers that are under way arrive, and the proxy sees who has left. */
enum { SETTLE_US = 2 * 1000 * 1000 };

/* The time after which the proxy has found out about every client that is gone without a word. */
enum { QUIET_US = WORLD_KEEP_ALIVE_US + SETTLE_US };

struct history {
    const struct plan *plan;
    struct world *world;
    struct cluster *cluster;
    struct simulated_proxy *proxy; /* NULL: the control, or between two proxies */
    struct drivers *drivers;
    struct faults *faults;
    struct operator* operator;
};

static void run_for(struct world *world, int64_t us)
{
    int64_t until_us = world_now_us(world) + us;
    while (world_now_us(world) < until_us && world_step(world)) {
    }
}

static bool is_over(const struct history *history)
{
    return drivers_are_done(history->drivers) && faults_have_ceased(history->faults);
}

static void run(struct history *history)
{
    struct world *world = history->world;
    while (!is_over(history) && world_step(world))
        if (world_now_us(world) > LONGEST_S * INT64_C(1000000))
            world_fail(world, "history ends", "after %d s it still goes on", LONGEST_S);
    if (!world_failed(world) && !is_over(history))
        world_fail(world, "history ends", "nothing is left to happen, but it is not done");
    run_for(world, SETTLE_US);
}

static void check(struct history *history)
{
    if (world_failed(history->world))
        return;
    if (history->proxy != NULL && history->plan->operated) {
        simulated_proxy_look_at_figures(history->proxy);
        run_for(history->world, SETTLE_US);
    }
    check_end(history->world, history->plan, history->drivers, history->cluster);
    if (history->proxy != NULL && !world_failed(history->world))
        simulated_proxy_check(history->proxy, history->drivers, history->cluster);
}

static const char *address_of(const struct plan *plan)
{
    if (!plan->direct)
        return "p:27017";
    return plan->topology == PLAN_MONGOS ? "s:27017" : "a:27017";
}

bool history_measure(const struct plan *plan, void *trace, struct history_outcome *out)
{
    struct history history = {.plan = plan, .world = world_create(plan->seed, trace)};
    struct world *world = history.world;
    history.cluster = cluster_create(world, plan);
    if (!plan->direct)
        history.proxy = simulated_proxy_start(world, plan, history.cluster);
    history.drivers = drivers_create(world, plan, address_of(plan));
    history.faults = faults_begin(world, plan, history.cluster, &history.proxy);
    history.operator= operator_begin(world, plan, &history.proxy);
    run(&history);
    check(&history);
    faults_end(history.faults);
    operator_end(history.operator);
    int64_t left_us = world_now_us(world);
    drivers_destroy(history.drivers);
    run_for(world, SETTLE_US);
    while (history.proxy != NULL && !simulated_proxy_is_quiet(history.proxy) &&
           world_now_us(world) < left_us + QUIET_US && world_step(world)) {
    }
    if (history.proxy != NULL && !world_failed(world))
        simulated_proxy_check_quiet(history.proxy);
    if (history.proxy != NULL)
        simulated_proxy_stop(history.proxy);
    cluster_destroy(history.cluster);
    *out = (struct history_outcome){.failure = *world_failure(world),
                                    .hash = world_hash(world),
                                    .events = world_event_count(world),
                                    .lasted_us = world_now_us(world)};
    world_destroy(world);
    return out->failure.check == NULL;
}

bool history_run(const struct plan *plan, void *trace, struct world_failure *failure)
{
    struct history_outcome outcome;
    bool held = history_measure(plan, trace, &outcome);
    *failure = outcome.failure;
    return held;
}
