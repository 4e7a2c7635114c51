#include "admin/readiness.h"

#include "base/clock.h"
#include "session/observe.h"

/* A worker that does not turn its loop for this time is stuck. It ticks ten times a second. */
enum { STALE_TICK_MS = 10000 };

static bool is_reachable(const struct topology_snapshot *topology)
{
    for (size_t i = 0; i < topology->server_count; i++)
        if (topology->servers[i].type != TOPOLOGY_SERVER_UNKNOWN)
            return true;
    return false;
}

size_t readiness_without_port(const struct admin_parts *parts,
                              const struct topology_snapshot *topology, const char **first)
{
    const struct admin_hooks *hooks = &parts->hooks;
    size_t count = 0;
    *first = NULL;
    for (size_t i = 0; i < topology->server_count; i++) {
        if (hooks->port_of_server(hooks->context, topology->servers[i].address) != 0)
            continue;
        if (*first == NULL)
            *first = topology->servers[i].address;
        count++;
    }
    return count;
}

/* Option admin.ready_needs_ports. */
static bool check_ports(const struct admin_parts *parts, const struct config *config,
                        const struct topology_snapshot *topology, struct error *err)
{
    const struct admin_hooks *hooks = &parts->hooks;
    enum config_ready_ports needs = config->admin.ready_needs_ports;
    const char *server;
    if (needs == CONFIG_READY_PORTS_NEVER ||
        (needs == CONFIG_READY_PORTS_START && hooks->had_all_ports(hooks->context)))
        return true;
    size_t missing = readiness_without_port(parts, topology, &server);
    return missing == 0 ||
           error_set(err, ERROR_BAD_VALUE,
                     "%zu of %zu upstream servers have no port (%.200s): raise listen_port_count, "
                     "which is %lld, or see the log (option admin.ready_needs_ports)",
                     missing, topology->server_count, server, (long long)config->listen_port_count);
}

static bool check_upstream(const struct admin_parts *parts, const struct config *config,
                           struct error *err)
{
    const struct admin_hooks *hooks = &parts->hooks;
    struct topology_snapshot topology;
    if (!hooks->topology(hooks->context, &topology))
        return error_no_memory(err, "the topology");
    bool reachable = is_reachable(&topology);
    if (!reachable)
        (void)error_set(err, ERROR_HOST_UNREACHABLE, "no upstream server is reachable: %.400s",
                        topology.cause[0] != 0      ? topology.cause
                        : topology.server_count > 0 ? topology.servers[0].last_error
                                                    : "no server is known yet");
    bool good = reachable && check_ports(parts, config, &topology, err);
    topology_snapshot_free(&topology);
    return good;
}

static bool check_registry(const struct admin_parts *parts, struct error *err)
{
    struct fleet_status status;
    return !parts->hooks.fleet(parts->hooks.context, &status) || status.loaded ||
           error_set(err, ERROR_INTERNAL,
                     "the proxy has not yet read the registry of schemas: "
                     "%.300s",
                     status.error);
}

bool readiness_check(const struct admin_parts *parts, const struct config *config,
                     struct error *err)
{
    if (parts->hooks.state(parts->hooks.context) == ADMIN_DRAINING)
        return error_set(err, ERROR_SHUTDOWN_IN_PROGRESS, "the proxy is draining");
    if (!check_upstream(parts, config, err))
        return false;
    return (catalog_is_loaded(parts->catalog) ||
            error_set(err, ERROR_INTERNAL,
                      "the proxy has not yet read the validators of the upstream's "
                      "collections")) &&
           check_registry(parts, err);
}

static int64_t stalest_tick_ms(const struct admin_parts *parts, int64_t started_ms)
{
    int64_t now_ms = clock_now_ms();
    int64_t stalest_ms = 0;
    for (unsigned i = 0; i < parts->worker_count; i++) {
        int64_t ticked_ms = atomic_load(&session_worker_metrics(parts->workers[i])->ticked_ms);
        int64_t age_ms = now_ms - (ticked_ms == 0 ? started_ms : ticked_ms);
        stalest_ms = age_ms > stalest_ms ? age_ms : stalest_ms;
    }
    return stalest_ms;
}

bool readiness_is_alive(const struct admin_parts *parts, int64_t started_ms, struct error *err)
{
    int64_t age_ms = stalest_tick_ms(parts, started_ms);
    return age_ms < STALE_TICK_MS ||
           error_set(err, ERROR_INTERNAL, "a worker has not answered for %lld ms",
                     (long long)age_ms);
}
