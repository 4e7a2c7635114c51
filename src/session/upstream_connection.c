#include "session/upstream_connection.h"

#include <event2/event.h>
#include <string.h>
#include <utlist.h>

#include "base/assert.h"
#include "base/memory.h"
#include "session/pool.h"
#include "session/pool_login_state.h"
#include "session/session_worker.h"

struct upstream_connection *upstream_connection_new(struct session_worker *worker,
                                                    const char *server)
{
    size_t server_bytes = strlen(server) + 1;
    struct upstream_connection *connection = memory_zalloc(sizeof *connection + server_bytes);
    if (connection == NULL)
        return NULL;
    connection->worker = worker;
    memcpy(connection->server, server, server_bytes);
    connection->latency = session_metrics_server(&worker->metrics, server);
    link_init(&connection->link, &worker->shared->budget, worker_turn(worker->worker),
              worker->connection_handler, connection);
    return connection;
}

struct upstream_connection *upstream_connection_new_shared(struct session_worker *worker,
                                                           const char *server)
{
    struct upstream_connection *connection = upstream_connection_new(worker, server);
    if (connection != NULL)
        DL_APPEND2(worker->shared_connections, connection, previous_shared, next_shared);
    return connection;
}

void upstream_connection_leave_shared(struct upstream_connection *connection)
{
    struct session_worker *worker = connection->worker;
    if (connection->previous_shared == NULL)
        return;
    DL_DELETE2(worker->shared_connections, connection, previous_shared, next_shared);
    connection->previous_shared = NULL;
    connection->next_shared = NULL;
    standing_forget(worker->share_standings, &connection->shared_as);
    struct pool *pool = connection->entry.pool;
    if (pool != NULL) {
        pool_retain(pool);
        pool_drop(&connection->entry);
        worker->pool_lost = worker->pool_lost || pool_is_hopeless(pool);
        pool_release(pool);
    }
    event_active(worker->pool_event, EV_WRITE, 0); /* others may open one, or have lost theirs */
}

void upstream_connection_close(struct upstream_connection *connection)
{
    struct session_worker *worker = connection->worker;
    sluice_assert(connection->holder == NULL && connection->sent_batch == NULL);
    if (connection->connector != NULL)
        connector_cancel(connection->connector);
    connection->connector = NULL;
    link_close(&connection->link);
    if (connection->opened)
        counters_add(&worker->counters, COUNTER_UPSTREAM_NOW, (uint64_t)-1);
    pool_login_free(connection->login);
    connection->login = NULL;
    standing_forget(worker->standings, &connection->standing);
    upstream_connection_leave_shared(connection);
    LL_PREPEND(worker->closed_connections, connection);
    event_active(worker->reap_event, EV_TIMEOUT, 0);
}

void upstream_connection_reap(struct session_worker *worker)
{
    while (worker->closed_connections != NULL) {
        struct upstream_connection *connection = worker->closed_connections;
        LL_DELETE(worker->closed_connections, connection);
        verifier_release(connection->verifier);
        memory_free(connection);
    }
}
