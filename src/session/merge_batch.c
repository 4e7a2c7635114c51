#include "session/merge_batch.h"

#include <event2/event.h>
#include <string.h>
#include <utlist.h>

#include "base/assert.h"
#include "merge/merger_internal.h"
#include "session/batch_spans.h"
#include "session/exchange_steps.h"
#include "session/identify.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/merge_retry.h"
#include "session/merge_ties.h"
#include "session/send.h"
#include "session/spans.h"

/* Sends the client's own command unchanged; its reply goes to the client unchanged. */
static bool send_own(struct client *client, struct bytes command, struct merger_permit *permit)
{
    struct exchange *exchange = client->exchange;
    struct message message = exchange->message;
    uint32_t labels = exchange->error_labels;
    exchange->waiter = NULL;
    client->trail = exchange->trail;
    exchange->trail = NULL;
    exchange_end(client);
    LL_PREPEND2(client->worker->to_resume, client, resume_next);
    return send_command(client, &message, command, labels, permit);
}

/* Its insert may have run: as after a lost connection, only a retry finds out. */
static void refuse_to_wait(struct client *client)
{
    client_linger(client, "too many commands wait for the pool (option pool.waiters_max)");
}

/* Does the same, perhaps later: a client of shared mode may have to wait for a connection. */
static void send_own_later(struct client *client, struct bytes command)
{
    struct exchange *exchange = client->exchange;
    exchange->waiter = NULL;
    if (lease_take_or_wait(client) != NULL || !client->sharing) {
        (void)send_own(client, command, NULL);
        return;
    }
    if (client->waiting.pool == NULL) {
        refuse_to_wait(client);
        return;
    }
    exchange->lone_len = bytes_left(&command);
    exchange->lone = memory_alloc(exchange->lone_len);
    if (exchange->lone != NULL)
        memcpy(exchange->lone, command.pos, exchange->lone_len);
    else
        (void)merge_close_client(client);
}

/* Each client asks for its own insert; a client of shared mode may have to wait. */
static void ask_later(struct client *client)
{
    if (lease_take_or_wait(client) != NULL || !client->sharing)
        (void)merge_ask(client);
    else if (client->waiting.pool == NULL)
        refuse_to_wait(client);
}

void merge_go_on(struct client *client)
{
    struct exchange *exchange = client->exchange;
    if (exchange->lone != NULL) {
        uint8_t *lone = exchange->lone;
        exchange->lone = NULL;
        (void)send_own(client, bytes_of(lone, exchange->lone_len), NULL);
        memory_free(lone);
    } else if (exchange->resend != NULL) {
        (void)merge_ask(client);
    }
    merge_pump_soon(client->worker); /* it sends the batch, or lets the client go on reading */
}

/* A client of shared mode waits for a connection of its pool. If too many wait, the batch tries
 * again at each tick. */
static bool may_wait(const struct client *client)
{
    return client->sharing && client->pool != NULL && lease_connection(client) == NULL &&
           !pool_is_hopeless(client->pool);
}

/* Chooses the connection of a present client that, by the server's word, has the batch's users. In
 * shared mode it takes one of their pool. */
static struct upstream_connection *choose_connection(const struct batch *batch, bool *waits)
{
    *waits = false;
    for (struct merger_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct client *client = batch_waiter(waiter);
        if (client == NULL || client->state != CLIENT_ACTIVE)
            continue;
        struct upstream_connection *connection =
            *waits ? lease_connection(client) : lease_take_or_wait(client);
        if (connection != NULL && connection->link.state == LINK_OPEN &&
            connection->sent_batch == NULL && identify_is(connection, batch_identity(batch)))
            return connection;
        *waits = *waits || may_wait(client);
    }
    return NULL;
}

/* The waiters' clients see a closed connection, as on a direct connection. */
static void close_waiters(struct batch *batch, const char *reason)
{
    for (struct merger_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct client *client = batch_waiter(waiter);
        if (client == NULL)
            continue;
        sluice_assert(client->exchange != NULL && client->exchange->waiter == waiter);
        client->exchange->waiter = NULL;
        client_linger(client, reason);
    }
}

static void free_sent_batch(struct session_worker *worker, struct sent_batch *sent_batch)
{
    LL_DELETE(worker->sent_batches, sent_batch);
    spans_end(worker, sent_batch->trail);
    memory_free(sent_batch);
}

static void give_up(struct session_worker *worker, struct sent_batch *sent_batch, bool sent)
{
    batch_lost(worker->merger, sent_batch->batch, sent, clock_now_us());
    close_waiters(sent_batch->batch, "the connection that carried a merged insert was lost");
    batch_end(worker->merger, sent_batch->batch, clock_now_us());
    free_sent_batch(worker, sent_batch);
}

/* Sends a batch of several inserts. False if nothing was sent. */
static bool carry(struct session_worker *worker, struct sent_batch *sent_batch,
                  struct upstream_connection *connection)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    batch_spans_note_sent(sent_batch, worker, connection->server);
    if (!batch_build(sent_batch->batch, batch_spans_context(sent_batch), &payload, &len))
        return false;
    sent_batch->connection = connection;
    sent_batch->waits = false;
    sent_batch->sent = true;
    connection->sent_batch = sent_batch;
    counters_add(&worker->counters, COUNTER_BATCHES, 1);
    /* on failure the session has ended, and the batch is lost with it */
    (void)exchange_send(lease_client(connection), bytes_of(payload, len));
    memory_free(payload);
    return true;
}

/* Sends it, or lets it wait for a connection of its pool. False if neither is possible. */
static bool start(struct session_worker *worker, struct sent_batch *sent_batch)
{
    struct upstream_connection *connection =
        choose_connection(sent_batch->batch, &sent_batch->waits);
    return connection != NULL ? carry(worker, sent_batch, connection) : sent_batch->waits;
}

/* Sends the insert of a batch that has only one. */
static void send_lone(struct session_worker *worker, struct batch *batch)
{
    struct bytes command;
    struct client *client = batch_waiter(batch_first(batch));
    struct merger_permit *permit = batch_go_lone(worker->merger, batch, clock_now_us(), &command);
    (void)send_own(client, command, permit);
}

static bool is_lone(const struct batch *batch)
{
    return batch_inserts(batch) == 1 && batch_waiter(batch_first(batch)) != NULL;
}

static void send_batch(struct session_worker *worker, struct batch *batch)
{
    if (is_lone(batch)) {
        struct client *client = batch_waiter(batch_first(batch));
        if (!client->sharing || lease_take_or_wait(client) != NULL) {
            send_lone(worker, batch);
            return;
        }
    }
    struct sent_batch *sent_batch = memory_zalloc(sizeof *sent_batch);
    if (sent_batch == NULL) {
        batch_lost(worker->merger, batch, false, clock_now_us());
        close_waiters(batch, "out of memory for a merged insert");
        batch_end(worker->merger, batch, clock_now_us());
        return;
    }
    sent_batch->batch = batch;
    LL_PREPEND(worker->sent_batches, sent_batch);
    sent_batch->waits = is_lone(batch);
    if (!sent_batch->waits && !start(worker, sent_batch))
        give_up(worker, sent_batch, false);
}

/* The batch waited for a connection of its pool. */
static void send_waiting(struct session_worker *worker, struct sent_batch *sent_batch)
{
    struct batch *batch = sent_batch->batch;
    if (sent_batch->sent || !is_lone(batch)) {
        if (!start(worker, sent_batch))
            give_up(worker, sent_batch, sent_batch->sent);
        return;
    }
    struct client *client = batch_waiter(batch_first(batch));
    if (lease_take_or_wait(client) != NULL) {
        free_sent_batch(worker, sent_batch);
        send_lone(worker, batch);
    } else if (!may_wait(client)) {
        give_up(worker, sent_batch, false);
    }
}

void merge_send_lost(struct session_worker *worker)
{
    struct sent_batch *sent_batch = NULL;
    struct sent_batch *next = NULL;
    LL_FOREACH_SAFE(worker->sent_batches, sent_batch, next)
    {
        if (sent_batch->connection != NULL)
            continue;
        if (sent_batch->waits)
            send_waiting(worker, sent_batch);
        else if (!batch_may_resend(worker->merger, sent_batch->batch, clock_now_us()) ||
                 !start(worker, sent_batch))
            give_up(worker, sent_batch, true);
    }
}

void merge_let_go(struct session_worker *worker)
{
    struct sent_batch *sent_batch = NULL;
    LL_FOREACH(worker->sent_batches, sent_batch)
    batch_let_go(worker->merger, sent_batch->batch, clock_now_us());
}

void merge_arm_timer(struct session_worker *worker)
{
    merge_account(worker);
    int64_t due_us = merger_next_due_us(worker->merger);
    int64_t now_us = clock_now_us();
    struct timeval wait = {0};
    if (due_us == INT64_MAX)
        return;
    if (due_us > now_us)
        wait = (struct timeval){.tv_sec = (due_us - now_us) / 1000000,
                                .tv_usec = (due_us - now_us) % 1000000};
    event_add(worker->pump_event, &wait);
}

void merge_send_due(struct session_worker *worker)
{
    struct batch *batch = NULL;
    merge_send_lost(worker);
    while ((batch = merger_take(worker->merger, clock_now_us())) != NULL)
        send_batch(worker, batch);
}

/* Called for each waiter. The merger must not be called here, so the client continues reading
 * later. */
static void answer_waiter(void *arg, void *waiter, struct bytes reply)
{
    struct session_worker *worker = arg;
    struct client *client = waiter;
    struct exchange *exchange = client->exchange;
    sluice_assert(exchange != NULL && exchange->waiter != NULL);
    exchange->waiter = NULL;
    (void)exchange_answer(client, reply, "out of memory for the reply to a merged insert");
    LL_PREPEND2(worker->to_resume, client, resume_next);
}

static void send_all_alone(struct session_worker *worker, struct batch *batch, struct bytes reply)
{
    bool forgets = identity_is_doubted(reply);
    for (struct merger_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct client *client = batch_waiter(waiter);
        if (client == NULL || client->state != CLIENT_ACTIVE)
            continue;
        if (forgets && lease_connection(client) != NULL)
            standing_forget(worker->standings, &lease_connection(client)->standing);
        send_own_later(client, batch_command(waiter));
    }
}

/* Each client asks for its own insert, on its own connection. */
static void find_out_all(struct batch *batch)
{
    struct merger_waiter *waiter = NULL;
    struct merger_waiter *next = NULL;
    for (waiter = batch_first(batch); waiter != NULL; waiter = next) {
        struct client *client = batch_waiter(waiter);
        next = batch_next(waiter);
        if (client == NULL)
            continue;
        sluice_assert(client->exchange != NULL && client->exchange->waiter == waiter);
        client->exchange->waiter = NULL;
        client->exchange->resend = batch_take_resend(waiter);
        if (client->exchange->resend != NULL)
            ask_later(client);
        else
            (void)merge_close_client(client);
    }
}

void merge_reply(struct upstream_connection *connection, struct bytes document)
{
    struct session_worker *worker = connection->worker;
    struct sent_batch *sent_batch = connection->sent_batch;
    struct batch *batch = sent_batch->batch;
    connection->sent_batch = NULL;
    merge_pop_pending(lease_client(connection));
    batch_spans_note_reply(sent_batch, document);
    free_sent_batch(worker, sent_batch);
    switch (batch_answer(worker->merger, batch, document, answer_waiter, worker, clock_now_us())) {
    case BATCH_ANSWERED:
        break;
    case BATCH_SEND_ALONE:
        send_all_alone(worker, batch, document);
        break;
    case BATCH_FIND_OUT:
        find_out_all(batch);
        break;
    case BATCH_UNCERTAIN:
        close_waiters(batch,
                      "the upstream failed a merged insert, possibly after a part of it ran");
        break;
    case BATCH_UNREADABLE:
        close_waiters(batch, "the upstream's reply to a merged insert is malformed");
        break;
    }
    batch_end(worker->merger, batch, clock_now_us());
    merge_pump_soon(worker);
}
