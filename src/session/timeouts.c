#include "session/timeouts.h"

#include "session/hello_changes.h"
#include "session/lease.h"
#include "session/leaving.h"
#include "session/life.h"
#include "session/merge_again.h"
#include "session/pause.h"
#include "session/pool_rest.h"
#include "session/pooled.h"
#include "session/requests.h"
#include "session/tls_failures.h"

static bool over(int64_t now_ms, int64_t since_ms, int64_t limit_ms)
{
    return limit_ms > 0 && now_ms - since_ms >= limit_ms;
}

/* False after the client left its state, because the server did not accept the connection in time.
 */
static bool check_connecting(struct client *client, int64_t now_ms)
{
    struct error err;
    int64_t limit_ms = client_config(client)->connect_timeout_ms;
    const struct upstream_connection *connection = lease_connection(client);
    if (connection == NULL || connection->connect_since_ms == 0 ||
        !over(now_ms, connection->connect_since_ms, limit_ms))
        return true;
    (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                    "mongosluice cannot reach the upstream server %s: no connection within "
                    "%lld ms (option connect_timeout_ms)",
                    connection->server, (long long)limit_ms);
    client_fail_pending(client, &err, COUNTER_TIMEOUTS_CONNECT);
    return false;
}

/* Bytes that the link does not report yet count as an exchange, too. */
static void note_unreported(struct client *client, int64_t now_ms)
{
    size_t bytes = link_unreported_bytes(&client->link);
    if (bytes > client->unreported_bytes)
        client->progress_ms = now_ms;
    if (bytes > client->unreported_bytes && client->request_seen)
        client->since_ms = now_ms;
    client->unreported_bytes = (uint32_t)bytes;
}

/* Whether its client has begun a request, and more of it is waited for. */
static bool waits_for_rest(const struct client *client)
{
    bool begun = client->stage == REQUEST_FORWARDED || buffer_length(&client->link.in) > 0;
    return begun && client->request_seen && client->link.reading;
}

/* False after the client left its state, because a request did not go on. */
static bool check_progress(struct client *client, int64_t now_ms)
{
    struct error err;
    int64_t limit_ms = client_config(client)->request_timeout_ms;
    if (!waits_for_rest(client))
        client->progress_ms = now_ms;
    if (!over(now_ms, client->progress_ms, limit_ms))
        return true;
    (void)error_set(&err, ERROR_EXCEEDED_TIME_LIMIT,
                    "no byte of the request that was begun came for %lld ms (option "
                    "request_timeout_ms)",
                    (long long)limit_ms);
    if (client->stage == REQUEST_FORWARDED || !pending_is_empty(&client->pending))
        client_fail_pending(client, &err, COUNTER_TIMEOUTS_REQUEST);
    else
        client_fail_begun(client, buffer_begin(&client->link.in), buffer_length(&client->link.in),
                          &err, COUNTER_TIMEOUTS_REQUEST);
    return false;
}

/* A login whose client pauses between two steps. Other logins must not wait for it, and it must not
 * keep its connection for ever. Clients of OIDC may wait for a person. False after the client left
 * its state. */
enum { LOGIN_PAUSE_MS = 1000, LOGIN_CROWDED_MS = 10000, LOGIN_MAX_MS = 6 * 60 * 1000 };

static bool check_conversation(struct client *client, int64_t now_ms)
{
    struct upstream_connection *connection = lease_connection(client);
    if (connection == NULL || !pending_is_empty(&client->pending))
        return true;
    if (over(now_ms, client->conversing_since_ms, LOGIN_MAX_MS)) {
        client_end(client, "the login took longer than six minutes");
        return false;
    }
    if (pool_is_crowded(&connection->entry) &&
        over(now_ms, client->conversing_since_ms, LOGIN_CROWDED_MS)) {
        client_end(client, "the login takes longer than ten seconds, and too many do (half of "
                           "option pool.max_total)");
        return false;
    }
    if (connection->entry.logging_in && over(now_ms, client->since_ms, LOGIN_PAUSE_MS)) {
        pool_end_login(&connection->entry);
        pool_rest_wake(client->worker);
    }
    return true;
}

/* Waiting for a pool, a pin, and a command whose client closed its sending side. False after the
 * client left its state. */
static bool check_sharing(struct client *client, int64_t now_ms)
{
    const struct config *config = client_config(client);
    if (client->conversing && !check_conversation(client, now_ms))
        return false;
    if (client->stage == REQUEST_WAITING && !client->waiting.awaits &&
        over(now_ms, client->waiting.since_ms, config->pool.wait_timeout_ms)) {
        pool_leave(&client->waiting);
        client->waited_too_long = true;
        client->stage = REQUEST_AWAITED;
        requests_resume(client);
    } else if (client->finished && lease_connection(client) != NULL &&
               lease_connection(client)->entry.place == POOL_LEASED &&
               now_ms - client->linger_since_ms >= config->pool.cancel_grace_ms &&
               pool_rest_may_cancel(client->worker)) {
        lease_connection(client)->lost = true;
        client_end(client, "the client closed, and its command goes on (option "
                           "pool.cancel_grace_ms)");
    } else if (client->exchange != NULL && client->waiting.pool != NULL &&
               over(now_ms, client->waiting.since_ms, config->pool.wait_timeout_ms)) {
        counters_add(client_counters(client), COUNTER_TIMEOUTS_POOL, 1);
        client_linger(client, "no connection of the pool for an insert (option "
                              "pool.wait_timeout_ms)");
    } else if (client->unacknowledged) {
        pooled_acknowledge(client);
    }
    return client->state == CLIENT_ACTIVE;
}

void timeouts_check(struct client *client, int64_t now_ms)
{
    const struct config *config = client_config(client);
    struct counters *counters = client_counters(client);
    if (client->state != CLIENT_ACTIVE) {
        if (lease_carries_batch(client))
            (void)check_connecting(client, now_ms);
        else if (over(now_ms, client->linger_since_ms, CLIENT_LINGER_MS))
            client_end(client, "the peer did not finish in time");
        return;
    }
    if (!client->request_seen && over(now_ms, client->since_ms, config->handshake_timeout_ms)) {
        counters_add(counters, COUNTER_TIMEOUTS_HANDSHAKE, 1);
        tls_failures_note_timeout(client);
        client_end(client, "no first message in time (option handshake_timeout_ms)");
        return;
    }
    if (!check_connecting(client, now_ms))
        return;
    note_unreported(client, now_ms);
    if (!check_progress(client, now_ms))
        return;
    if (client->request_seen && pending_is_empty(&client->pending) && client->exchange == NULL &&
        client->hello_wait == NULL && client->checking == NULL && client->stage != REQUEST_HELD &&
        client->stage != REQUEST_WAITING &&
        over(now_ms, client->since_ms, config->client_idle_timeout_ms)) {
        counters_add(counters, COUNTER_TIMEOUTS_IDLE, 1);
        client_end(client, "idle for too long (option client_idle_timeout_ms)");
        return;
    }
    client_check_peer(client);
    if (client->state == CLIENT_ACTIVE && client->hello_wait != NULL)
        hello_changes_check(client, now_ms);
    if (client->state == CLIENT_ACTIVE && client->sharing && !check_sharing(client, now_ms))
        return;
    if (merge_look_again(client))
        requests_resume(client);
    if (client->state == CLIENT_ACTIVE && client->stage == REQUEST_HELD &&
        pause_is_over(client, now_ms))
        requests_resume(client);
    client_end_if_drained(client);
}
