#include "session/merge_ties.h"

#include <event2/event.h>

#include "coalesce/coalesce_internal.h"
#include "session/upstream_connection.h"

void attached_free(struct attached *attached)
{
    if (attached == NULL)
        return;
    if (attached->attachment != NULL)
        retry_detach(attached->attachment);
    memory_free(attached->command);
    memory_free(attached->reply);
    memory_free(attached);
}

void merge_account(struct session_worker *worker)
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

void merge_pump_soon(struct session_worker *worker)
{
    /* not as a time-out: arming the timer would take that back */
    event_active(worker->pump_event, EV_WRITE, 0);
}

void merge_leave(struct session_worker *worker, struct coalesce_waiter *waiter)
{
    coalesce_leave(worker->coalesce, waiter, clock_now_us());
    merge_pump_soon(worker);
}

void merge_resend_lost(struct session_worker *worker, struct coalesce_resend *resend)
{
    coalesce_resend_lost(worker->coalesce, resend, clock_now_us());
}

void merge_finished(struct session_worker *worker, struct coalesce_place *ticket)
{
    coalesce_finished(worker->coalesce, ticket, clock_now_us());
    if (coalesce_next_due_us(worker->coalesce) !=
        INT64_MAX) /* a client alone has nobody behind it */
        merge_pump_soon(worker);
}

void merge_lost(struct upstream_connection *connection)
{
    if (connection->carriage == NULL)
        return;
    connection->carriage->carrier = NULL;
    connection->carriage = NULL;
    merge_pump_soon(connection->worker);
}

void merge_pop_pending(struct client *client)
{
    struct coalesce_place *ticket = pending_pop(&client->pending).ticket;
    if (ticket != NULL)
        merge_finished(client->worker, ticket);
}
