#include "session/upstream_connection.h"

#include <event2/event.h>
#include <string.h>
#include <utlist.h>

#include "base/assert.h"
#include "base/memory.h"
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
    standing_forget(worker->standings, &connection->standing);
    LL_PREPEND(worker->closed_connections, connection);
    event_active(worker->reap_event, EV_TIMEOUT, 0);
}

void upstream_connection_reap(struct session_worker *worker)
{
    while (worker->closed_connections != NULL) {
        struct upstream_connection *connection = worker->closed_connections;
        LL_DELETE(worker->closed_connections, connection);
        memory_free(connection);
    }
}
