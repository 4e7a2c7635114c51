#include "session/merge_again.h"

#include "base/assert.h"
#include "merge/merger_internal.h"
#include "session/exchange_steps.h"
#include "session/lease.h"
#include "session/leaving.h"
#include "session/life.h"
#include "session/merge.h"
#include "session/merge_ties.h"
#include "session/send.h"

static void send_unchanged(struct client *client, const struct message *message,
                           const struct wire_command *request)
{
    struct merger_permit *permit = client->worker->next_permit;
    client->worker->next_permit = NULL;
    (void)send_command(client, message, message->payload, request_error_labels(request), permit);
}

/* The repeated insert did not go, or went under its own number: the retry starts anew. Nothing of
 * the client is pending. */
static void submit_again(struct client *client)
{
    struct error err;
    struct wire_command request;
    struct exchange *exchange = client->exchange;
    struct waiting_retry *waiting_retry = exchange->waiting_retry;
    struct message message = exchange->message;
    exchange->waiting_retry = NULL;
    client->trail = exchange->trail;
    exchange->trail = NULL;
    exchange_end(client);
    message.payload = bytes_of(waiting_retry->command, waiting_retry->command_len);
    message.whole = true;
    if (wire_command_read_whole(message.payload, &request, &err)) {
        enum request_step step = merge_insert(client, &message, &request);
        sluice_assert(step == STEP_PASS || step == STEP_TAKEN || step == STEP_STOP);
        if (step == STEP_PASS)
            send_unchanged(client, &message, &request);
    } else {
        client_linger(client, err.message);
    }
    waiting_retry_free(waiting_retry);
}

/* The connection of the retry may carry a question of the proxy about a w:0 write before it
 * (pooled_acknowledge). */
static bool may_start_anew(struct client *client)
{
    return pending_is_empty(&client->pending) &&
           (!client->sharing || lease_take_or_wait(client) != NULL);
}

/* Without data if there was no memory for it. */
static struct bytes reply_of(const struct waiting_retry *waiting_retry)
{
    if (waiting_retry->reply == NULL)
        return (struct bytes){0};
    return bytes_of(waiting_retry->reply, waiting_retry->reply_len);
}

bool merge_look_again(struct client *client)
{
    struct exchange *exchange = client->exchange;
    if (exchange != NULL && exchange->waiter != NULL && client->finished &&
        merger_is_repeated(exchange->waiter)) {
        client_leave(client, "the client retries on another connection");
        return false;
    }
    if (exchange == NULL || exchange->waiting_retry == NULL ||
        !atomic_load_explicit(&exchange->waiting_retry->told, memory_order_acquire))
        return false;
    const struct waiting_retry *waiting_retry = exchange->waiting_retry;
    if (waiting_retry->again && !may_start_anew(client))
        return false; /* at the next tick, perhaps */
    if (waiting_retry->again)
        submit_again(client);
    else
        (void)exchange_answer(client, reply_of(waiting_retry),
                              "out of memory for the reply to a retried insert");
    return client->state == CLIENT_ACTIVE;
}
