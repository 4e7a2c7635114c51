#include "session/pool_opening.h"

#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "session/connect.h"
#include "session/life.h"
#include "session/pool_login.h"
#include "session/pool_rest.h"
#include "session/saved_hello.h"
#include "session/tls_failures.h"
#include "session/whole_reply.h"
#include "wire/hello.h"
#include "wire/reply.h"

/* The clients that wait for the pool see the error that they would see on a direct connection. */
static void fail_waiters(struct pool *pool, const struct error *err, enum counter counter)
{
    struct pool_waiter *waiter = NULL;
    while ((waiter = pool_oldest_waiter(pool)) != NULL) {
        struct client *client = client_of_waiter(waiter);
        size_t len = buffer_length(&client->link.in); /* 0: its insert waits in a batch */
        pool_leave(waiter);
        client_fail_begun(client, len > 0 ? buffer_begin(&client->link.in) : NULL, len, err,
                          counter);
    }
}

static void fail(struct upstream_connection *connection, const struct error *err,
                 enum counter counter)
{
    struct pool *pool = connection->entry.pool;
    LOG_W(LOG_NETWORK, 1102, "pool", "Cannot open a shared connection",
          LOG_STR("server", connection->server), LOG_STR("error", err->message));
    pool_retain(pool);
    upstream_connection_close(connection);
    if (pool_is_empty(pool))
        fail_waiters(pool, err, counter);
    pool_hold_off(pool);
    pool_release(pool);
}

static void failed(void *arg, const char *cause)
{
    struct upstream_connection *connection = arg;
    struct error err;
    tls_failures_note_upstream(connection, cause);
    (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                    "mongosluice cannot reach the upstream server %s: %.300s", connection->server,
                    cause);
    fail(connection, &err, COUNTER_UPSTREAM_CONNECT_FAILURES);
}

static void ended(void *arg)
{
    failed(arg, "it closed the connection before it answered hello");
}

static void become_ready(struct upstream_connection *connection)
{
    connection->connect_since_ms = 0;
    counters_add(&connection->worker->counters, COUNTER_POOL_REFILLS, 1);
    (void)pool_rest_join(connection, connection->entry.pool);
}

static void drop_reply(struct upstream_connection *connection)
{
    buffer_consume(&connection->link.in, connection->link.budget,
                   buffer_length(&connection->link.in));
}

/* Nobody can open connections with this credential any more. */
static void give_up_credential(struct upstream_connection *connection, const struct error *err)
{
    struct pool *pool = connection->entry.pool;
    LOG_W(LOG_ACCESS, 1103, "pool",
          "The server refuses a credential that the proxy has checked: it has changed",
          LOG_STR("server", connection->server), LOG_STR("error", err->message));
    pool_retain(pool);
    upstream_connection_close(connection);
    pool_set_refillable(pool, false);
    pool_rest_wake(connection->worker);
    pool_release(pool);
}

static void go_on_login(struct upstream_connection *connection, enum pool_login_step step,
                        const struct error *err)
{
    switch (step) {
    case POOL_LOGIN_MORE:
        break;
    case POOL_LOGIN_DONE:
        become_ready(connection);
        break;
    case POOL_LOGIN_STALE:
        give_up_credential(connection, err);
        break;
    case POOL_LOGIN_FAILED:
        fail(connection, err, COUNTER_ERRORS_PROTOCOL_UPSTREAM);
        break;
    }
}

/* Logs in as the pool's user, if the proxy knows its credential. */
static void log_in(struct upstream_connection *connection)
{
    struct verifier *credential = *pool_credential(connection->entry.pool);
    struct error err;
    if (credential == NULL)
        become_ready(connection);
    else
        go_on_login(connection, pool_login_begin(connection, credential, &err), &err);
}

static bool send_hello(struct upstream_connection *connection, struct saved_hello *hello,
                       struct error *err)
{
    uint8_t *message = NULL;
    size_t len = 0;
    if (!wire_reply_frame((struct wire_reply_to){0}, 1, 0, saved_hello_document(hello), &message,
                          &len))
        return error_no_memory(err, "a hello");
    counters_add(&connection->worker->counters, COUNTER_UPSTREAM_REQUESTS, 1);
    bool sent = link_send(&connection->link, message, len, err);
    memory_free(message);
    return sent;
}

static void opened(void *arg)
{
    struct upstream_connection *connection = arg;
    struct saved_hello *hello = *pool_data(connection->entry.pool);
    struct error err;
    connect_note_opened(connection);
    connection->connect_since_ms = clock_now_ms(); /* until the reply to hello */
    if (hello == NULL)
        log_in(connection);
    else if (!send_hello(connection, hello, &err))
        failed(connection, err.message);
}

static void refuse(struct upstream_connection *connection, const char *why)
{
    struct error err;
    (void)error_set(&err, ERROR_PROTOCOL,
                    "the upstream server %s does not answer the hello of a shared connection as "
                    "it answered the client's: %s",
                    connection->server, why);
    fail(connection, &err, COUNTER_ERRORS_PROTOCOL_UPSTREAM);
}

static void take_hello(struct upstream_connection *connection, struct bytes document)
{
    struct scan_element ok;
    connection->compressors = wire_hello_compressors(document);
    if (!scan_find(document, "ok", &ok) || !scan_is_true(&ok)) {
        refuse(connection, "it answers an error");
        return;
    }
    if (connection->compressors != pool_key_of(connection->entry.pool).compressors) {
        refuse(connection, "it takes other compressors");
        return;
    }
    drop_reply(connection);
    log_in(connection);
}

static void take_login(struct upstream_connection *connection, struct bytes document)
{
    struct error err;
    enum pool_login_step step = pool_login_take(connection, document, &err);
    if (step == POOL_LOGIN_MORE || step == POOL_LOGIN_DONE)
        drop_reply(connection);
    go_on_login(connection, step, &err);
}

static void readable(void *arg)
{
    struct upstream_connection *connection = arg;
    struct bytes document;
    if (!whole_reply_gather(&connection->link, worker_scratch(connection->worker->worker),
                            WORKER_SCRATCH_BYTES))
        return;
    switch (whole_reply_read(&connection->link, &document)) {
    case WHOLE_REPLY_PART:
        break;
    case WHOLE_REPLY_BROKEN:
        refuse(connection, "its reply is malformed");
        break;
    case WHOLE_REPLY_READ:
        if (connection->login != NULL)
            take_login(connection, document);
        else
            take_hello(connection, document);
        break;
    }
}

static void drained(void *arg)
{
    (void)arg;
}

static const struct link_handler opening_handler = {
    .opened = opened, .readable = readable, .drained = drained, .ended = ended, .failed = failed};

bool pool_opening_start(struct session_worker *worker, struct pool *pool)
{
    struct upstream_connection *connection =
        upstream_connection_new_shared(worker, pool_key_of(pool).server);
    if (connection == NULL)
        return false;
    connection->link.handler = &opening_handler;
    pool_open(pool, &connection->entry, clock_now_ms());
    connect_start(connection);
    return true;
}

void pool_opening_tick(struct session_worker *worker, int64_t now_ms)
{
    int64_t limit_ms = worker->settings->config->connect_timeout_ms;
    struct upstream_connection *connection = NULL;
    struct upstream_connection *next = NULL;
    for (connection = worker->shared_connections; connection != NULL; connection = next) {
        next = connection->next_shared;
        if (connection->entry.place != POOL_OPENING ||
            now_ms - connection->connect_since_ms < limit_ms)
            continue;
        struct error err;
        (void)error_set(&err, ERROR_HOST_UNREACHABLE,
                        "mongosluice cannot reach the upstream server %s: no connection within "
                        "%lld ms (option connect_timeout_ms)",
                        connection->server, (long long)limit_ms);
        fail(connection, &err, COUNTER_TIMEOUTS_CONNECT);
    }
}
