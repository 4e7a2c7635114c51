/* The real proxy in a simulated world: its start, its main thread, its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../net/process.h"
#include "application.h"
#include "base/clock.h"
#include "base/keyed_hash.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "main/proxy.h"
#include "main/proxy_parts.h"
#include "parts.h"
#include "simulated_proxy.h"
#include "upstream/runtime.h"
#include "world_internal.h"

/* The options of the next load: sources_read_file gets them instead of the file. */
static void put_options(const struct plan *plan, uint32_t number)
{
    char text[4096];
    struct text out = text_over(text, sizeof text);
    options_write(plan, number, &out);
    files_put(OPTIONS_FILE, text);
}

static void put_schema(struct world *world, bool strict)
{
    char text[SCHEMA_FILE_BYTES];
    (void)schema_file_write(world, strict, text);
    files_put(SCHEMA_FILE, text);
}

bool __real_sources_read_file(const char *path, size_t max, struct text *out, struct error *err);
bool __wrap_sources_read_file(const char *path, size_t max, struct text *out, struct error *err);

bool __wrap_sources_read_file(const char *path, size_t max, struct text *out, struct error *err)
{
    const char *text = files_find(path);
    if (text == NULL)
        return __real_sources_read_file(path, max, out, err);
    text_add(out, text);
    return !out->cut || error_no_memory(err, "the configuration");
}

static void set_hash_key(void)
{
    uint8_t key[KEYED_HASH_KEY_BYTES] = {42};
    keyed_hash_set_key(key);
}

/* The main thread. */
static void tick(void *arg)
{
    struct simulated_proxy *simulated = arg;
    struct error err;
    int wait_ms = proxy_tick(simulated->proxy, &err);
    simulated->tick = NULL;
    if (wait_ms < 0)
        world_fail(simulated->world, "proxy runs", "%s", err.message);
    else
        simulated->tick = world_after(simulated->world, wait_ms * INT64_C(1000), tick, simulated);
}

/* The main thread after the signal TERM. */
static void end_on_signal(void *arg)
{
    struct simulated_proxy *simulated = arg;
    simulated->signal = NULL;
    simulated_proxy_drain(simulated);
}

static void told_to_end(void *arg)
{
    struct simulated_proxy *simulated = arg;
    if (simulated->signal == NULL)
        simulated->signal = world_after(simulated->world, 1, end_on_signal, simulated);
}

static struct proxy *start(struct error *err)
{
    char *argv[] = {(char *)"mongosluice", (char *)"--config=" OPTIONS_FILE, NULL};
    struct config *config = NULL;
    enum config_command what = CONFIG_RUN;
    if (!config_load(2, argv, &config, &what, err))
        return NULL;
    return proxy_start(config, err);
}

struct simulated_proxy *simulated_proxy_start(struct world *world, const struct plan *plan,
                                              struct cluster *cluster)
{
    unsigned number = ++world->proxy_count;
    struct simulated_proxy *simulated = simulation_alloc(sizeof *simulated);
    struct error err = {0};
    if (number == 1)
        files_clear();
    simulated->world = world;
    simulated->plan = plan;
    set_hash_key();
    runtime_start(); /* once: it draws random bytes */
    process_begin(world, "p", number);
    simulated->blocks_before = memory_live_blocks();
    topology_set_cluster(cluster, plan);
    verifier_source_set_cluster(cluster, plan);
    put_options(plan, 0);
    if (plan->has_token)
        files_put(TOKEN_FILE, ADMIN_TOKEN "\n");
    the_process->told_to_end = told_to_end;
    the_process->told_to_end_arg = simulated;
    if (plan->schemas && files_find(SCHEMA_FILE) == NULL)
        put_schema(world, true);
    simulated->proxy = start(&err);
    if (simulated->proxy == NULL) {
        world_fail(world, "proxy starts", "%s", err.message);
        return simulated;
    }
    world_trace(world, "proxy", "started");
    simulated->tick = world_after(world, 1, tick, simulated);
    return simulated;
}

void simulated_proxy_drain(struct simulated_proxy *simulated)
{
    proxy_drain(simulated->proxy);
}

bool simulated_proxy_drains(const struct simulated_proxy *simulated)
{
    return atomic_load(&simulated->proxy->draining);
}

bool simulated_proxy_is_empty(const struct simulated_proxy *simulated)
{
    return proxy_clients(simulated->proxy) == 0;
}

void simulated_proxy_pause(struct simulated_proxy *simulated, bool pause)
{
    if (pause)
        proxy_pause(simulated->proxy);
    else
        proxy_resume(simulated->proxy);
}

void simulated_proxy_reload(struct simulated_proxy *simulated, uint32_t number)
{
    put_options(simulated->plan, number);
    proxy_reload(simulated->proxy);
}

void simulated_proxy_schemas(struct simulated_proxy *simulated, bool strict)
{
    put_schema(simulated->world, strict); /* its control thread looks at the folder */
}

void simulated_proxy_stop_clock(struct simulated_proxy *simulated, int64_t lasts_us,
                                bool catches_up)
{
    (void)simulated; /* there is one process */
    process_clock_stand(lasts_us, catches_up);
}

void simulated_proxy_leap_clock(struct simulated_proxy *simulated, int64_t by_us)
{
    (void)simulated;
    process_clock_leap(by_us);
}

void simulated_proxy_suspend(struct simulated_proxy *simulated, int64_t lasts_us)
{
    (void)simulated;
    loops_suspend(lasts_us);
}

void simulated_proxy_memory_max(struct simulated_proxy *simulated, uint64_t bytes)
{
    if (bytes == 0)
        bytes = (uint64_t)simulated->proxy->settings->config->memory_max;
    atomic_store(&simulated->proxy->shared.budget.limit_bytes, (size_t)bytes);
}

static void check_ended(struct simulated_proxy *simulated)
{
    long blocks = memory_live_blocks() - simulated->blocks_before;
    if (blocks != 0)
        world_fail(simulated->world, "memory returns", "%ld blocks of the proxy are left", blocks);
    unsigned open = process_open_count();
    if (open != 0)
        world_fail(simulated->world, "descriptors return", "%u descriptors of the proxy are left",
                   open);
}

void simulated_proxy_stop(struct simulated_proxy *simulated)
{
    world_cancel(simulated->world, simulated->tick);
    world_cancel(simulated->world, simulated->signal);
    memory_fail_never();
    if (simulated->proxy != NULL) {
        proxy_stop(simulated->proxy);
        log_sample_flush(true);
        check_ended(simulated);
    }
    world_trace(simulated->world, "proxy", "ended");
    process_end(false);
    free(simulated->series);
    free(simulated);
}

void simulated_proxy_crash(struct simulated_proxy *simulated)
{
    world_crash_host(simulated->world, "p");
    simulated_proxy_stop(simulated);
}
