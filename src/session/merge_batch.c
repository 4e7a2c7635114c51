/* Batches of inserts on their way: out on the upstream connection of one of the waiting clients,
 * and each client's own answer back.
 *
 * They are sent at the end of the loop turn (session_merge_pump), so that whatever was read in one
 * turn is gathered, and nothing is sent from within another session's callbacks. */
#include <utlist.h>

#include "base/assert.h"
#include "base/memory.h"
#include "bson/scan.h"
#include "net/clock.h"
#include "session/lease.h"
#include "session/merge_internal.h"

/* A batch on its way, on that connection. */
struct carriage {
    struct carriage *next; /* of the worker's list */
    struct batch *batch;
    struct upstream_connection *carrier; /* NULL: it is lost */
};

/* --- accounts -----------------------------------------------------------------------------------
 */

/* What the coalescer holds counts against memory_max. */
void session_merge_account(struct session_worker *worker)
{
    size_t held = coalesce_held_bytes(worker->coalesce);
    struct budget *budget = &worker->shared->budget;
    if (held < worker->held_bytes) {
        budget_give_back(budget, worker->held_bytes - held);
        worker->held_bytes = held;
    } else if (held > worker->held_bytes && budget_take(budget, held - worker->held_bytes)) {
        worker->held_bytes = held;
    }
}

/* At the end of this loop turn. Not as a time-out: arming the timer would take that back. */
void session_merge_pump_soon(struct session_worker *worker)
{
    event_active(worker->pump_event, EV_WRITE, 0);
}

/* Sessions that need not wait any more read on. */
static void resume_answered(struct session_worker *worker)
{
    while (worker->to_resume != NULL) {
        struct session *session = worker->to_resume;
        LL_DELETE2(worker->to_resume, session, resume_next);
        if (session->state == SESSION_ACTIVE)
            session_client_resume(session);
        if (session->state == SESSION_ACTIVE)
            session_end_if_drained(session);
    }
}

/* --- sending ------------------------------------------------------------------------------------
 */

/* The client's own command as it came, after all: its reply goes to the client as it comes. */
static bool send_own(struct session *session, struct bytes command, struct coalesce_place *ticket)
{
    struct exchange *exchange = session->exchange;
    struct message message = exchange->message;
    uint32_t labels = exchange->error_labels;
    session->exchange = NULL;
    exchange->waiter = NULL;
    session_exchange_free(session, exchange);
    LL_PREPEND2(session->worker->to_resume, session, resume_next);
    return session_send_command(session, &message, command, labels, ticket);
}

/* That of somebody who is still there; the server has said that it is of the batch's users. */
static struct upstream_connection *choose_carrier(const struct batch *batch)
{
    for (struct coalesce_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct session *session = batch_waiter(waiter);
        struct upstream_connection *connection = session != NULL ? lease_connection(session) : NULL;
        if (connection != NULL && session->state == SESSION_ACTIVE &&
            connection->link.state == LINK_OPEN &&
            session_identity_is(connection, batch_identity(batch)))
            return connection;
    }
    return NULL;
}

/* The waiters' clients see what they would have seen directly: a connection that closes. */
static void close_waiters(struct batch *batch, const char *reason)
{
    for (struct coalesce_waiter *waiter = batch_first(batch); waiter != NULL;
         waiter = batch_next(waiter)) {
        struct session *session = batch_waiter(waiter);
        if (session == NULL)
            continue;
        sluice_assert(session->exchange != NULL && session->exchange->waiter == waiter);
        session->exchange->waiter = NULL;
        session_linger(session, reason);
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
    (void)session_exchange_send(lease_client(carrier), bytes_of(payload, len));
    memory_free(payload);
    return true;
}

static void send_batch(struct session_worker *worker, struct batch *batch)
{
    struct bytes command;
    if (batch_inserts(batch) == 1) {
        struct session *session = batch_waiter(batch_first(batch));
        struct coalesce_place *ticket =
            batch_go_lone(worker->coalesce, batch, clock_now_us(), &command);
        (void)send_own(session, command, ticket);
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

/* Batches whose connection was lost go once more, or their waiters see the loss. */
void session_merge_send_lost(struct session_worker *worker)
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

void session_merge_let_go(struct session_worker *worker)
{
    struct carriage *carriage = NULL;
    LL_FOREACH(worker->carriages, carriage)
    batch_let_go(worker->coalesce, carriage->batch, clock_now_us());
}

static void arm_timer(struct session_worker *worker)
{
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

void session_merge_pump(evutil_socket_t fd, short what, void *arg)
{
    struct session_worker *worker = arg;
    struct batch *batch = NULL;
    (void)fd;
    (void)what;
    session_merge_send_lost(worker);
    while ((batch = coalesce_take(worker->coalesce, clock_now_us())) != NULL)
        send_batch(worker, batch);
    resume_answered(worker);
    session_merge_account(worker);
    arm_timer(worker);
}

/* --- replies ------------------------------------------------------------------------------------
 */

/* Called for each waiter; the coalescer must not be called, so its session reads on later. */
static void answer_waiter(void *arg, void *waiter, struct bytes reply)
{
    struct session_worker *worker = arg;
    struct session *session = waiter;
    struct exchange *exchange = session->exchange;
    sluice_assert(exchange != NULL && exchange->waiter != NULL);
    exchange->waiter = NULL;
    session->exchange = NULL;
    if (bytes_left(&reply) == 0)
        session_linger(session, "out of memory for the reply to a merged insert");
    else
        (void)session_answer(session, &exchange->message, reply);
    session_exchange_free(session, exchange);
    LL_PREPEND2(worker->to_resume, session, resume_next);
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
        struct session *session = batch_waiter(waiter);
        if (session == NULL || session->state != SESSION_ACTIVE)
            continue;
        if (forgets && lease_connection(session) != NULL)
            standing_forget(worker->standings, &lease_connection(session)->standing);
        (void)send_own(session, batch_command(waiter), NULL);
    }
}

/* Each asks for its own, on its own connection. */
static void find_out_all(struct batch *batch)
{
    struct coalesce_waiter *waiter = NULL;
    struct coalesce_waiter *next = NULL;
    for (waiter = batch_first(batch); waiter != NULL; waiter = next) {
        struct session *session = batch_waiter(waiter);
        next = batch_next(waiter);
        if (session == NULL)
            continue;
        sluice_assert(session->exchange != NULL && session->exchange->waiter == waiter);
        session->exchange->waiter = NULL;
        session->exchange->resend = batch_take_resend(waiter);
        if (session->exchange->resend != NULL)
            (void)session_merge_ask(session);
        else
            (void)session_merge_close_client(session);
    }
}

bool session_merge_reply(struct upstream_connection *connection, struct bytes document)
{
    struct session *session = lease_client(connection);
    struct session_worker *worker = connection->worker;
    struct carriage *carriage = connection->carriage;
    struct batch *batch = carriage->batch;
    connection->carriage = NULL;
    session_pop_pending(session);
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
    session_merge_pump_soon(worker);
    resume_answered(worker);
    if (session->state == SESSION_LEAVING)
        session_end(session, "the client closed");
    return session->state == SESSION_ACTIVE;
}

void session_merge_lost(struct upstream_connection *connection)
{
    if (connection->carriage == NULL)
        return;
    connection->carriage->carrier = NULL;
    connection->carriage = NULL;
    session_merge_pump_soon(connection->worker);
}

void session_merge_finished(struct session *session, struct coalesce_place *ticket)
{
    struct coalesce *coalesce = session->worker->coalesce;
    coalesce_finished(coalesce, ticket, clock_now_us());
    if (coalesce_next_due_us(coalesce) != INT64_MAX) /* a client alone has nobody behind it */
        session_merge_pump_soon(session->worker);
}
