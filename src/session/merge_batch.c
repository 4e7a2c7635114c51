#include "session/merge_batch.h"

#include <event2/event.h>
#include <utlist.h>

#include "base/assert.h"
#include "coalesce/coalesce_internal.h"
#include "session/exchange_steps.h"
#include "session/identify.h"
#include "session/lease.h"
#include "session/life.h"
#include "session/merge_retry.h"
#include "session/merge_ties.h"
#include "session/send.h"

/* The client's own command as it came, after all: its reply goes to the client as it comes. */
static bool send_own(struct client *client, struct bytes command, struct coalesce_place *ticket)
{
    struct exchange *exchange = client->exchange;
    struct message message = exchange->message;
    uint32_t labels = exchange->error_labels;
    exchange->waiter = NULL;
    exchange_end(client);
    LL_PREPEND2(client->worker->to_resume, client, resume_next);
    return send_command(client, &message, command, labels, ticket);
}

/* That of somebody who is still there; the server has said that it is of the batch's users. */
static struct upstream_connection *choose_carrier(const struct batch *batch)
{
    for (struct coalesce_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct client *client = batch_waiter(waiter);
        struct upstream_connection *connection = client != NULL ? lease_connection(client) : NULL;
        if (connection != NULL && client->state == CLIENT_ACTIVE &&
            connection->link.state == LINK_OPEN && identify_is(connection, batch_identity(batch)))
            return connection;
    }
    return NULL;
}

/* The waiters' clients see what they would have seen directly: a connection that closes. */
static void close_waiters(struct batch *batch, const char *reason)
{
    for (struct coalesce_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct client *client = batch_waiter(waiter);
        if (client == NULL)
            continue;
        sluice_assert(client->exchange != NULL && client->exchange->waiter == waiter);
        client->exchange->waiter = NULL;
        client_linger(client, reason);
    }
}

static void free_carriage(struct session_worker *worker, struct carriage *carriage)
{
    LL_DELETE(worker->carriages, carriage);
    memory_free(carriage);
}

static void give_up(struct session_worker *worker, struct carriage *carriage, bool sent)
{
    batch_lost(worker->coalesce, carriage->batch, sent, clock_now_us());
    close_waiters(carriage->batch, "the connection that carried a merged insert was lost");
    batch_end(worker->coalesce, carriage->batch, clock_now_us());
    free_carriage(worker, carriage);
}

/* False when it went nowhere. */
static bool carry(struct session_worker *worker, struct carriage *carriage)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    struct upstream_connection *carrier = choose_carrier(carriage->batch);
    if (carrier == NULL || !batch_build(carriage->batch, &payload, &len))
        return false;
    carriage->carrier = carrier;
    carrier->carriage = carriage;
    counters_add(&worker->counters, COUNTER_BATCHES, 1);
    /* where that fails the session has ended, and with it lost the batch */
    (void)exchange_send(lease_client(carrier), bytes_of(payload, len));
    memory_free(payload);
    return true;
}

static void send_batch(struct session_worker *worker, struct batch *batch)
{
    struct bytes command;
    if (batch_inserts(batch) == 1) {
        struct client *client = batch_waiter(batch_first(batch));
        struct coalesce_place *ticket =
            batch_go_lone(worker->coalesce, batch, clock_now_us(), &command);
        (void)send_own(client, command, ticket);
        return;
    }
    struct carriage *carriage = memory_zalloc(sizeof *carriage);
    if (carriage == NULL) {
        batch_lost(worker->coalesce, batch, false, clock_now_us());
        close_waiters(batch, "out of memory for a merged insert");
        batch_end(worker->coalesce, batch, clock_now_us());
        return;
    }
    carriage->batch = batch;
    LL_PREPEND(worker->carriages, carriage);
    if (!carry(worker, carriage))
        give_up(worker, carriage, false);
}

void merge_send_lost(struct session_worker *worker)
{
    struct carriage *carriage = NULL;
    struct carriage *next = NULL;
    LL_FOREACH_SAFE(worker->carriages, carriage, next)
    {
        if (carriage->carrier != NULL)
            continue;
        if (!batch_may_resend(worker->coalesce, carriage->batch, clock_now_us()) ||
            !carry(worker, carriage))
            give_up(worker, carriage, true);
    }
}

void merge_let_go(struct session_worker *worker)
{
    struct carriage *carriage = NULL;
    LL_FOREACH(worker->carriages, carriage)
    batch_let_go(worker->coalesce, carriage->batch, clock_now_us());
}

void merge_arm_timer(struct session_worker *worker)
{
    merge_account(worker);
    int64_t due_us = coalesce_next_due_us(worker->coalesce);
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
    while ((batch = coalesce_take(worker->coalesce, clock_now_us())) != NULL)
        send_batch(worker, batch);
}

/* Called for each waiter; the coalescer must not be called, so its session reads on later. */
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

/* The server has refused the batch because of who sent it. */
static bool is_of_identity(struct bytes reply)
{
    enum { UNAUTHORIZED = 13, REAUTHENTICATION_REQUIRED = 391 };
    struct scan_element element;
    int64_t code = 0;
    return scan_find(reply, "code", &element) && scan_as_int64(&element, &code) &&
           (code == UNAUTHORIZED || code == REAUTHENTICATION_REQUIRED);
}

static void send_all_alone(struct session_worker *worker, struct batch *batch, struct bytes reply)
{
    bool forgets = is_of_identity(reply);
    for (struct coalesce_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct client *client = batch_waiter(waiter);
        if (client == NULL || client->state != CLIENT_ACTIVE)
            continue;
        if (forgets && lease_connection(client) != NULL)
            standing_forget(worker->standings, &lease_connection(client)->standing);
        (void)send_own(client, batch_command(waiter), NULL);
    }
}

/* Each asks for its own, on its own connection. */
static void find_out_all(struct batch *batch)
{
    struct coalesce_waiter *waiter = NULL;
    struct coalesce_waiter *next = NULL;
    for (waiter = batch_first(batch); waiter != NULL; waiter = next) {
        struct client *client = batch_waiter(waiter);
        next = batch_next(waiter);
        if (client == NULL)
            continue;
        sluice_assert(client->exchange != NULL && client->exchange->waiter == waiter);
        client->exchange->waiter = NULL;
        client->exchange->resend = batch_take_resend(waiter);
        if (client->exchange->resend != NULL)
            (void)merge_ask(client);
        else
            (void)merge_close_client(client);
    }
}

void merge_reply(struct upstream_connection *connection, struct bytes document)
{
    struct session_worker *worker = connection->worker;
    struct carriage *carriage = connection->carriage;
    struct batch *batch = carriage->batch;
    connection->carriage = NULL;
    merge_pop_pending(lease_client(connection));
    free_carriage(worker, carriage);
    switch (
        batch_answer(worker->coalesce, batch, document, answer_waiter, worker, clock_now_us())) {
    case BATCH_ANSWERED:
        break;
    case BATCH_SEND_ALONE:
        send_all_alone(worker, batch, document);
        break;
    case BATCH_FIND_OUT:
        find_out_all(batch);
        break;
    case BATCH_UNCERTAIN:
        close_waiters(batch, "the upstream failed a merged insert, perhaps in the middle of it");
        break;
    case BATCH_UNREADABLE:
        close_waiters(batch, "the upstream's reply to a merged insert cannot be read");
        break;
    }
    batch_end(worker->coalesce, batch, clock_now_us());
    merge_pump_soon(worker);
}
