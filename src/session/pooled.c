#include "session/pooled.h"

#include "auth/verifier.h"
#include "base/assert.h"
#include "base/log_sample.h"
#include "base/memory.h"
#include "session/answer.h"
#include "session/awaiting.h"
#include "session/exchange.h"
#include "session/hello_answers.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/pool_rest.h"
#include "session/question.h"
#include "session/request.h"
#include "session/route.h"
#include "session/saved_hello.h"
#include "session/send.h"
#include "session/sharing.h"
#include "session/verified_state.h"
#include "wire/hello_request.h"

/* A request of up to this length waits for its bytes before it takes a connection. Otherwise slow
 * clients could hold all connections. */
enum { GATHERED_BYTES_MAX = 64 * 1024 };

enum need {
    NEED_NOTHING, /* the proxy answers it */
    NEED_LEASE,
    NEED_OWN,  /* a connection that is the client's own from then on */
    NEED_FRESH /* a new one of its own, for its first hello */
};

enum identity_effect pooled_effect(const struct wire_command *request, enum identity_effect effect)
{
    struct wire_hello_request hello;
    if (wire_hello_is_command(request->known)) {
        bool plain = wire_hello_request_read(request, &hello) == WIRE_HELLO_PLAIN;
        return plain ? IDENTITY_STAYS : IDENTITY_CHANGES;
    }
    /* a known command without a row */
    if (effect == IDENTITY_MAY_CHANGE && route_keeps_identity(request->known))
        return IDENTITY_STAYS;
    return effect;
}

static enum need need_of_hello(const struct client *client, const struct wire_command *request)
{
    struct wire_hello_request hello;
    if (hello_answers_may_take(client, request))
        return NEED_NOTHING;
    if (!client->hello_seen && client->leased == NULL && !client->may_be_logged_in)
        return NEED_FRESH;
    if (wire_hello_request_read(request, &hello) != WIRE_HELLO_PLAIN || hello.has_metadata ||
        hello.compressor_count > 0)
        return NEED_OWN;
    return NEED_LEASE;
}

static enum need need_of(const struct client *client, const struct wire_command *request)
{
    const struct route *route = route_of(request->known);
    if (request->known == COMMAND_MONGOSLUICE)
        return NEED_NOTHING;
    if (wire_hello_is_command(request->known) && !client->keeps_own)
        return need_of_hello(client, request);
    if (client->keeps_own && client->leased == NULL)
        return NEED_FRESH;
    return pooled_effect(request, route->identity) == IDENTITY_STAYS ? NEED_LEASE : NEED_OWN;
}

/* The limits of the pools refuse the request. */
static enum request_step refuse(struct client *client, const struct message *message,
                                const struct wire_command *request, const struct error *err,
                                enum counter counter)
{
    uint32_t labels = client->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
    return answer_refusal(client, message, request, err, labels, counter) ? STEP_TAKEN : STEP_STOP;
}

static enum request_step refuse_full(struct client *client, const struct message *message,
                                     const struct wire_command *request)
{
    struct error err;
    (void)error_set(&err, client->accepts_overload ? ERROR_OVERLOADED : ERROR_EXCEEDED_TIME_LIMIT,
                    "mongosluice's connection pool for %s has too many waiting commands (option "
                    "pool.waiters_max)",
                    client->server);
    return refuse(client, message, request, &err, COUNTER_POOL_REFUSED);
}

static enum request_step refuse_late(struct client *client, const struct message *message,
                                     const struct wire_command *request)
{
    struct error err;
    client->waited_too_long = false;
    (void)error_set(&err, client->accepts_overload ? ERROR_OVERLOADED : ERROR_EXCEEDED_TIME_LIMIT,
                    "no connection of mongosluice's pool for %s became free within %lld ms "
                    "(options pool.wait_timeout_ms, pool.max_size)",
                    client->server, (long long)client_config(client)->pool.wait_timeout_ms);
    return refuse(client, message, request, &err, COUNTER_TIMEOUTS_POOL);
}

static enum request_step wait_in(struct client *client, const struct message *message,
                                 const struct wire_command *request, struct pool *pool, bool awaits)
{
    if (!pool_wait(pool, &client->waiting, awaits, clock_now_ms()))
        return refuse_full(client, message, request);
    client->stage = REQUEST_WAITING;
    pool_rest_wake(client->worker);
    return STEP_LEASE;
}

enum request_step pooled_wait(struct client *client, const struct message *message,
                              const struct wire_command *request)
{
    return client->waited_too_long ? refuse_late(client, message, request)
                                   : wait_in(client, message, request, client->pool, false);
}

static enum request_step stop_without_memory(struct client *client)
{
    client_end(client, "out of memory for a pool");
    return STEP_STOP;
}

/* Waits for the permission to open a connection. */
static enum request_step wait_for_fresh(struct client *client, const struct message *message,
                                        const struct wire_command *request)
{
    sharing_leave_pool(client);
    client->pool = pool_hold_logins(client->worker->pools, client->server);
    if (client->pool == NULL)
        return stop_without_memory(client);
    return wait_in(client, message, request, client->pool, false);
}

static enum request_step end_without_hope(struct client *client)
{
    counters_add(client_counters(client), COUNTER_POOL_EMPTY, 1);
    client_linger(client, "the pool of the client's users is empty, and only a login refills it");
    return STEP_STOP;
}

static enum request_step take_lease(struct client *client, const struct message *message,
                                    const struct wire_command *request)
{
    bool awaits = awaiting_is(client, request);
    if (client->pool == NULL || pool_is_of_logins(client->pool))
        if (sharing_enter_pool(client) == NULL)
            return stop_without_memory(client);
    struct pool_entry *entry =
        pool_may_overtake(client->pool, awaits) ? pool_take(client->pool, awaits) : NULL;
    if (entry == NULL)
        return pool_is_hopeless(client->pool)
                   ? end_without_hope(client)
                   : wait_in(client, message, request, client->pool, awaits);
    struct upstream_connection *connection = upstream_connection_of(entry);
    if (lease_fits(client, connection)) {
        lease_give(client, connection);
        return STEP_PASS;
    }
    pool_rest_put(connection);
    client_linger(client, "no connection is certainly of the client's users any more");
    return STEP_STOP;
}

enum request_step pooled_admit(struct client *client, const struct message *message,
                               const struct wire_command *request)
{
    enum need need = need_of(client, request);
    if (need == NEED_NOTHING)
        return STEP_PASS;
    if (!pending_is_empty(&client->pending))
        return STEP_WAIT;
    if (!message->whole && message->header.length <= GATHERED_BYTES_MAX)
        return STEP_GATHER;
    if (client->waited_too_long)
        return refuse_late(client, message, request);
    if (client->leased == NULL) {
        enum request_step step = need == NEED_FRESH ? wait_for_fresh(client, message, request)
                                                    : take_lease(client, message, request);
        if (step != STEP_PASS)
            return step;
    }
    /* an identity changes only while the client holds no connection of a pool */
    sluice_assert(client->leased->entry.place != POOL_LEASED ||
                  verifier_equal(verified_as(client), client->leased->verifier));
    if (need == NEED_OWN && client->leased->entry.place == POOL_LEASED)
        pool_detach(&client->leased->entry);
    else if (need == NEED_OWN && client->leased->entry.place == POOL_OWN)
        pool_count(&client->leased->entry, true);
    return STEP_PASS;
}

/* True while the client or the connection is in the midst of something. */
static bool is_busy(const struct client *client, const struct upstream_connection *connection)
{
    /* an insert that waits for its batch or for its first try needs no connection */
    bool exchanges = client->exchange != NULL && client->exchange->waiter == NULL &&
                     client->exchange->waiting_retry == NULL;
    return !pending_is_empty(&client->pending) || exchanges || client->checking != NULL ||
           client->stage == REQUEST_QUEUED ||
           (client->stage == REQUEST_LEFT && !verified_yields(client)) ||
           client->stage == REQUEST_FORWARDED || connection->sent_batch != NULL ||
           connection->reply_left > 0 || connection->link.state != LINK_OPEN ||
           link_is_blocked(&connection->link) || buffer_length(&connection->link.in) > 0;
}

static enum pool_pin pin_of(const struct client *client,
                            const struct upstream_connection *connection)
{
    if (connection->entry.place == POOL_OWN)
        return PIN_LOGIN;
    if (pending_is_empty(&client->pending))
        return client->unacknowledged ? PIN_UNACKNOWLEDGED : PIN_COMMAND;
    return pending_look_at(&client->pending, 0)->repeated ? PIN_EXHAUST : PIN_COMMAND;
}

/* Asks the server on the leased connection, without a request of the client. */
static bool ask(struct client *client)
{
    struct scan_element version;
    uint8_t *question = NULL;
    size_t len = 0;
    bool versioned = saved_hello_api_version(client->hello, &version);
    if (!question_build(versioned ? &version : NULL, &question, &len)) {
        client_end(client, "out of memory for a request");
        return false;
    }
    counters_add(client_counters(client), COUNTER_IDENTITY_QUESTIONS, 1);
    client->unacknowledged = false; /* the answer comes after the writes */
    bool sent = send_unasked_question(client, question, len);
    memory_free(question);
    return sent;
}

/* The client's own connection joins the pool of its identity. */
static void join(struct client *client)
{
    struct pool *pool = sharing_enter_pool(client);
    struct upstream_connection *connection = lease_release(client);
    if (pool == NULL)
        upstream_connection_close(connection);
    else if (pool_rest_join(connection, pool))
        counters_add(client_counters(client), COUNTER_POOL_LOGINS, client->may_be_logged_in);
}

static void settle_own(struct client *client, struct upstream_connection *connection)
{
    if (!client->conversing && connection->entry.logging_in) {
        pool_end_login(&connection->entry);
        pool_rest_wake(client->worker);
    }
    if (client->conversing || client->joining != NULL || client->unacknowledged)
        return;
    if (client->may_be_logged_in && !client->keeps_own && !standing_is_known(&client->shared_as)) {
        (void)ask(client);
    } else if (!client->keeps_own) {
        join(client);
    } else if (!client->may_be_logged_in) {
        pool_count(&connection->entry, false); /* in session mode without a login */
    }
}

/* True if the client's identity has session mode: its connection is not shared any more. */
static bool leaves_sharing(const struct client *client)
{
    return client->keeps_own && client->may_be_logged_in;
}

void pooled_settle(struct client *client)
{
    struct upstream_connection *connection = client->leased;
    if (!client->sharing || connection == NULL || client->state != CLIENT_ACTIVE ||
        client->worker->replying == connection)
        return;
    if (is_busy(client, connection)) {
        if (connection->entry.pin != pin_of(client, connection))
            pool_set_pin(&connection->entry, pin_of(client, connection));
        return;
    }
    if (connection->lost) {
        client_linger(client, "the server does not name the connection's users as before");
    } else if (connection->entry.place == POOL_OWN) {
        if (leaves_sharing(client)) {
            client->sharing = false;
            sharing_end(client);
            upstream_connection_leave_shared(connection);
        } else {
            settle_own(client, connection);
        }
    } else if (client->unacknowledged) {
        pool_set_pin(&connection->entry, PIN_UNACKNOWLEDGED);
    } else {
        pool_rest_put(lease_release(client));
    }
}

void pooled_acknowledge(struct client *client)
{
    const struct upstream_connection *connection = client->leased;
    if (connection != NULL && client->state == CLIENT_ACTIVE && !client->conversing &&
        !is_busy(client, connection))
        (void)ask(client);
}
