#include "session/tls_failures.h"

#include "base/log_sample.h"
#include "session/upstream_connection.h"

static void count(struct session_worker *worker, enum session_tls_side side,
                  enum transport_failure failure)
{
    _Atomic uint64_t *counter = &worker->metrics.tls_failures[side][failure];
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void note_client(struct client *client, enum transport_failure failure, const char *reason)
{
    char peer[ADDRESS_TEXT_BYTES];
    address_describe_peer(&client->peer, peer);
    count(client->worker, SESSION_TLS_CLIENT, failure);
    LOG_SAMPLED(LOG_WARNING, LOG_NETWORK, 1085, transport_failure_name(failure), client->context,
                "The TLS handshake with a client failed", LOG_STR("remote", peer),
                LOG_STR("cause", transport_failure_name(failure)), LOG_STR("reason", reason));
}

void tls_failures_note_client(struct client *client, const char *reason)
{
    enum transport_failure failure = client->link.transport.failure;
    if (failure != TRANSPORT_FAILURE_NONE)
        note_client(client, failure, reason);
}

void tls_failures_note_upstream(struct upstream_connection *connection, const char *reason)
{
    enum transport_failure failure = connection->link.transport.failure;
    if (failure == TRANSPORT_FAILURE_NONE)
        return;
    count(connection->worker, SESSION_TLS_UPSTREAM, failure);
    LOG_SAMPLED(LOG_WARNING, LOG_NETWORK, 1086, connection->server, "upstream",
                "The TLS handshake with an upstream server failed",
                LOG_STR("server", connection->server),
                LOG_STR("cause", transport_failure_name(failure)), LOG_STR("reason", reason));
}

void tls_failures_note_timeout(struct client *client)
{
    if (client->link.state == LINK_SHAKING && transport_has_received(&client->link.transport))
        note_client(client, TRANSPORT_FAILURE_TIMEOUT,
                    "the client did not finish the handshake in time (option "
                    "handshake_timeout_ms)");
}
