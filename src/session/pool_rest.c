#include "session/pool_rest.h"

#include <event2/event.h>
#include <string.h>
#include <utlist.h>

#include "auth/verifier.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/server_limits.h"
#include "session/pool_queue.h"
#include "session/question.h"
#include "session/saved_hello.h"
#include "session/session_worker.h"
#include "session/tls_failures.h"
#include "session/whole_reply.h"

enum { CANCELS_PER_TICK = 10 };

static const struct link_handler rest_handler;

void pool_rest_wake(struct session_worker *worker)
{
    event_active(worker->pool_event, EV_WRITE, 0);
}

static void close_for(struct upstream_connection *connection, const char *reason)
{
    LOG_D(LOG_NETWORK, 1101, "pool", "Closing a shared connection",
          LOG_STR("server", connection->server), LOG_STR("reason", reason));
    upstream_connection_close(connection);
}

/* Nobody holds it from now on. */
static void rest(struct upstream_connection *connection, enum rest how)
{
    connection->rest = how;
    connection->rest_since_ms = clock_now_ms();
    connection->link.handler = &rest_handler;
    link_resume(&connection->link);
}

static void become_idle(struct upstream_connection *connection)
{
    connection->reply_more = false;
    struct session_worker *worker = connection->worker;
    rest(connection, REST_IDLE);
    if (worker->joining != NULL || pools_have_work(worker->pools))
        pool_rest_wake(worker);
}

void pool_rest_put(struct upstream_connection *connection)
{
    if (connection->doubtful) {
        (void)pool_rest_ask(connection);
    } else if (pool_put(&connection->entry, clock_now_ms())) {
        become_idle(connection);
    } else {
        close_for(connection, "it makes room for others, or is too old (option "
                              "pool.max_lifetime_ms)");
    }
}

bool pool_rest_join(struct upstream_connection *connection, struct pool *pool)
{
    struct pool_entry *victim = pool_victim_of(pool);
    if (victim != NULL)
        close_for(upstream_connection_of(victim), "another application of its users needs room");
    if (!pool_join(pool, &connection->entry, clock_now_ms())) {
        counters_add(&connection->worker->counters, COUNTER_POOL_FULL, 1);
        close_for(connection, "its pool is full (option pool.max_size)");
        return false;
    }
    become_idle(connection);
    return true;
}

void pool_rest_abandon(struct upstream_connection *connection)
{
    rest(connection, REST_ABANDONED);
}

bool pool_rest_ask(struct upstream_connection *connection)
{
    struct scan_element version;
    struct error err;
    uint8_t *question = NULL;
    size_t len = 0;
    void *hello = *pool_data(connection->entry.pool);
    bool versioned = saved_hello_api_version(hello, &version);
    connection->asked_us = clock_now_us();
    bool sent = question_build(versioned ? &version : NULL, &question, &len) &&
                link_send(&connection->link, question, len, &err);
    memory_free(question);
    if (!sent) {
        close_for(connection, "the question for its identity cannot be sent");
        return false;
    }
    counters_add(&connection->worker->counters, COUNTER_IDENTITY_QUESTIONS, 1);
    counters_add(&connection->worker->counters, COUNTER_UPSTREAM_REQUESTS, 1);
    rest(connection, REST_ASKED);
    return true;
}

/* The connection returns to its pool if its user is the one of its credential. */
static void take_verified_answer(struct upstream_connection *connection,
                                 const struct identity *identity)
{
    if (identity == NULL || !verifier_is_of(connection->verifier, identity)) {
        close_for(connection, "the server does not name the user that logged in");
        return;
    }
    buffer_consume(&connection->link.in, connection->link.budget,
                   buffer_length(&connection->link.in));
    connection->doubtful = false;
    pool_rest_put(connection);
}

/* The answer names other users than before, if the login was lost. */
static void read_answer(struct upstream_connection *connection)
{
    struct session_worker *worker = connection->worker;
    struct buffer *in = &connection->link.in;
    struct identity identity;
    struct bytes document;
    const struct principal *before = connection->shared_as.principal;
    enum whole_reply read = whole_reply_read(&connection->link, &document);
    if (read == WHOLE_REPLY_PART)
        return;
    bool clear = read == WHOLE_REPLY_READ && identity_read(document, &identity);
    if (connection->verifier != NULL) {
        take_verified_answer(connection, clear ? &identity : NULL);
        return;
    }
    if (clear)
        memcpy(identity.rights, identity.users, sizeof identity.rights);
    (void)standing_learn(worker->share_standings, &connection->shared_as, clear ? &identity : NULL,
                         connection->server, connection->asked_us);
    if (connection->shared_as.principal != before) {
        close_for(connection, "the server does not name its users as before");
        return;
    }
    buffer_consume(in, connection->link.budget, buffer_length(in));
    connection->doubtful = false;
    pool_rest_put(connection);
}

/* Drops the bytes of the reply that nobody waits for. */
static void read_abandoned(struct upstream_connection *connection)
{
    struct buffer *in = &connection->link.in;
    while (buffer_length(in) > 0) {
        if (connection->reply_left == 0) {
            if (buffer_length(in) < WIRE_HEADER_BYTES)
                return;
            struct wire_header header = wire_header_read(buffer_begin(in));
            if (!wire_header_check(&header, SERVER_MESSAGE_BYTES, NULL)) {
                close_for(connection, "it sent no MongoDB reply");
                return;
            }
            connection->reply_left = (uint32_t)header.length;
        }
        size_t len = buffer_length(in);
        if (len > connection->reply_left)
            len = connection->reply_left;
        connection->reply_left -= (uint32_t)len;
        buffer_consume(in, connection->link.budget, len);
        if (connection->reply_left > 0)
            continue;
        if (buffer_length(in) > 0)
            close_for(connection, "it sent an unexpected reply");
        else
            pool_rest_put(connection);
        return;
    }
}

static void rest_ended(void *arg)
{
    struct upstream_connection *connection = arg;
    counters_add(&connection->worker->counters, COUNTER_UPSTREAM_CLOSED, 1);
    close_for(connection, "the server closed it");
}

static void rest_failed(void *arg, const char *cause)
{
    tls_failures_note_upstream(arg, cause);
    close_for(arg, cause);
}

static void rest_readable(void *arg)
{
    struct upstream_connection *connection = arg;
    if (!whole_reply_gather(&connection->link, worker_scratch(connection->worker->worker),
                            WORKER_SCRATCH_BYTES))
        return;
    if (connection->rest == REST_IDLE)
        close_for(connection, "it sent a message without a request");
    else if (connection->rest == REST_ASKED)
        read_answer(connection);
    else
        read_abandoned(connection);
}

static void rest_opened(void *arg)
{
    (void)arg;
}

static void rest_drained(void *arg)
{
    (void)arg;
}

static const struct link_handler rest_handler = {.opened = rest_opened,
                                                 .readable = rest_readable,
                                                 .drained = rest_drained,
                                                 .ended = rest_ended,
                                                 .failed = rest_failed};

bool pool_rest_may_cancel(struct session_worker *worker)
{
    if (worker->pool_cancels >= CANCELS_PER_TICK)
        return false;
    worker->pool_cancels++;
    counters_add(&worker->counters, COUNTER_POOL_CANCELLED, 1);
    return true;
}

void pool_rest_tick(struct session_worker *worker, int64_t now_ms)
{
    const struct config *config = worker->settings->config;
    struct upstream_connection *connection = NULL;
    struct upstream_connection *next = NULL;
    struct pool_entry *expired = NULL;
    worker->pool_cancels = 0;
    for (connection = worker->shared_connections; connection != NULL; connection = next) {
        next = connection->next_shared;
        int64_t rests_ms = now_ms - connection->rest_since_ms;
        if (connection->rest == REST_ASKED && rests_ms >= config->connect_timeout_ms) {
            close_for(connection, "it does not answer the question for its identity");
        } else if (connection->rest == REST_ABANDONED && rests_ms >= config->pool.cancel_grace_ms &&
                   pool_rest_may_cancel(worker)) {
            close_for(connection, "its client left, and the command goes on (option "
                                  "pool.cancel_grace_ms)");
        }
    }
    while ((expired = pools_next_expired(worker->pools, now_ms)) != NULL)
        close_for(upstream_connection_of(expired),
                  "its time is over (options pool.idle_timeout_ms, pool.max_lifetime_ms)");
}

void pool_rest_close_all(struct session_worker *worker)
{
    struct upstream_connection *connection = NULL;
    struct upstream_connection *next = NULL;
    for (connection = worker->shared_connections; connection != NULL; connection = next) {
        next = connection->next_shared;
        if (connection->holder == NULL)
            upstream_connection_close(connection);
    }
}
