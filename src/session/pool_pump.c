#include "session/pool_pump.h"
#include "auth/verifier.h"

#include <utlist.h>

#include "auth/standing.h"
#include "session/connect.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/merge_batch.h"
#include "session/merge_ties.h"
#include "session/pool_opening.h"
#include "session/pool_rest.h"
#include "session/pooled.h"
#include "session/requests.h"
#include "session/saved_hello.h"
#include "session/sharing.h"
#include "session/verified_state.h"

/* The client has a lease now: its request goes on. */
static void go_on(struct client *client)
{
    if (client->stage == REQUEST_WAITING)
        client->stage = REQUEST_AWAITED;
    requests_resume(client);
}

static void serve(struct client *client, struct upstream_connection *connection)
{
    if (!lease_fits(client, connection)) {
        pool_rest_put(connection);
        client_linger(client, "no connection is certainly of the client's users any more");
        return;
    }
    lease_give(client, connection);
    if (client->exchange != NULL)
        merge_go_on(client);
    else
        go_on(client);
}

/* Opens a connection of the client's own; its first request is sent on it. */
static void open_own(struct client *client, struct pool *logins)
{
    struct upstream_connection *connection =
        upstream_connection_new_shared(client->worker, client->server);
    if (connection == NULL) {
        client_end(client, "out of memory for an upstream connection");
        return;
    }
    pool_open_own(logins, &connection->entry, clock_now_ms());
    lease_give(client, connection);
    go_on(client);
}

static bool open_next(struct session_worker *worker)
{
    struct pool_entry *victim = NULL;
    struct pool_waiter *waiter = NULL;
    struct pool *pool = pools_next_to_open(worker->pools, &victim, &waiter);
    if (pool == NULL)
        return false;
    if (victim != NULL)
        upstream_connection_close(upstream_connection_of(victim));
    if (waiter == NULL)
        return pool_opening_start(worker, pool);
    open_own(client_of_waiter(waiter), pool);
    return true;
}

/* Only a login could refill the client's pool: its driver logs in again when it sees a closed
 * connection. */
static void end_without_hope(struct client *client)
{
    if (verified_waits(client)) { /* it refuses the login */
        go_on(client);
        return;
    }
    counters_add(client_counters(client), COUNTER_POOL_EMPTY, 1);
    client_linger(client, "the pool of the client's users is empty, and only a login refills it");
}

static void end_hopeless(struct session_worker *worker)
{
    struct client *client = NULL;
    struct client *next = NULL;
    worker->pool_lost = false;
    DL_FOREACH_SAFE(worker->client_list, client, next)
    {
        if (client->pool == NULL || client->leased != NULL || client->state != CLIENT_ACTIVE ||
            !pool_is_hopeless(client->pool))
            continue;
        end_without_hope(client);
    }
}

static void pump(evutil_socket_t fd, short what, void *arg)
{
    struct session_worker *worker = arg;
    struct pool_entry *entry = NULL;
    struct pool_waiter *waiter = NULL;
    struct client *client = NULL;
    (void)fd;
    (void)what;
    while ((client = sharing_next_joined(worker)) != NULL)
        pooled_settle(client);
    while ((waiter = pools_next(worker->pools, &entry)) != NULL)
        serve(client_of_waiter(waiter), upstream_connection_of(entry));
    requests_resume_answered(worker); /* before ended clients are freed */
    while ((waiter = pools_next_hopeless(worker->pools)) != NULL)
        end_without_hope(client_of_waiter(waiter));
    if (worker->pool_lost)
        end_hopeless(worker);
    while (open_next(worker))
        ;
}

static struct pool_limits limits_of(const struct session_worker *worker)
{
    const struct config *config = worker->settings->config;
    unsigned workers = worker->shared->workers > 0 ? worker->shared->workers : 1;
    struct pool_limits limits = {.max_size = pool_share_of(config->pool.max_size, workers, 1),
                                 .max_total = pool_share_of(config->pool.max_total, workers, 2),
                                 .min_idle = (uint32_t)config->pool.min_idle,
                                 .waiters_max = pool_share_of(config->pool.waiters_max, workers, 1),
                                 .logins_max =
                                     pool_share_of(config->pool.login_concurrency, workers, 1),
                                 .idle_timeout_ms = config->pool.idle_timeout_ms,
                                 .max_lifetime_ms = config->pool.max_lifetime_ms};
    int64_t awaits = (int64_t)limits.max_size * config->pool.await_share / 100;
    limits.await_max = awaits > 0 ? (uint32_t)awaits : 1;
    return limits;
}

static void free_hello(void *data)
{
    saved_hello_release(data);
}

static void free_credential(void *credential)
{
    verifier_release(credential);
}

bool pool_pump_start(struct session_worker *worker)
{
    struct pool_limits limits = limits_of(worker);
    worker->pools = pools_create(&limits);
    worker->share_standings = standings_create();
    worker->pool_event = event_new(worker_base(worker->worker), -1, 0, pump, worker);
    if (worker->pools != NULL)
        pools_on_end(worker->pools, free_hello, free_credential);
    return worker->pools != NULL && worker->share_standings != NULL && worker->pool_event != NULL;
}

void pool_pump_configure(struct session_worker *worker)
{
    struct pool_limits limits = limits_of(worker);
    pools_configure(worker->pools, &limits);
    pool_rest_wake(worker);
}

void pool_pump_tick(struct session_worker *worker, int64_t now_ms)
{
    pools_look_again(worker->pools);
    if (worker->shared_connections != NULL) {
        pool_opening_tick(worker, now_ms);
        pool_rest_tick(worker, now_ms);
    }
    if (worker->joining != NULL || pools_have_work(worker->pools))
        pool_rest_wake(worker);
    if (worker->sent_batches != NULL)
        merge_pump_soon(worker); /* a batch may wait although its client could not */
}

void pool_pump_stop(struct session_worker *worker)
{
    pool_rest_close_all(worker);
    pools_destroy(worker->pools);
    standings_destroy(worker->share_standings);
    if (worker->pool_event != NULL)
        event_free(worker->pool_event);
}
