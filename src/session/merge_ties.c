#include "session/merge_ties.h"

#include <event2/event.h>

#include "merge/merger_internal.h"
#include "session/spans.h"
#include "session/upstream_connection.h"

void waiting_retry_free(struct waiting_retry *waiting_retry)
{
    if (waiting_retry == NULL)
        return;
    if (waiting_retry->retry_waiter != NULL)
        retry_stop_waiting(waiting_retry->retry_waiter);
    memory_free(waiting_retry->command);
    memory_free(waiting_retry->reply);
    memory_free(waiting_retry);
}

void merge_account(struct session_worker *worker)
{
    size_t held = merger_held_bytes(worker->merger);
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
    /* not as a timeout, because arming the timer would cancel it */
    event_active(worker->pump_event, EV_WRITE, 0);
}

void merge_leave(struct session_worker *worker, struct merger_waiter *waiter)
{
    merger_leave(worker->merger, waiter, clock_now_us());
    merge_pump_soon(worker);
}

void merge_resend_lost(struct session_worker *worker, struct merger_resend *resend)
{
    merger_resend_lost(worker->merger, resend, clock_now_us());
}

void merge_finished(struct session_worker *worker, struct merger_permit *permit)
{
    merger_finished(worker->merger, permit, clock_now_us());
    if (merger_next_due_us(worker->merger) !=
        INT64_MAX) /* a client that is alone has nobody behind it */
        merge_pump_soon(worker);
}

void merge_lost(struct upstream_connection *connection)
{
    if (connection->sent_batch == NULL)
        return;
    connection->sent_batch->connection = NULL;
    connection->sent_batch = NULL;
    merge_pump_soon(connection->worker);
}

void merge_pop_pending(struct client *client)
{
    struct pending popped = pending_pop(&client->pending);
    spans_end(client->worker, popped.trail);
    if (popped.permit != NULL)
        merge_finished(client->worker, popped.permit);
}
