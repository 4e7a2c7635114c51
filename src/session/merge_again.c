#include "session/merge_again.h"

#include "coalesce/coalesce_internal.h"
#include "session/exchange_steps.h"
#include "session/leaving.h"
#include "session/life.h"
#include "session/merge.h"
#include "session/merge_ties.h"
#include "session/send.h"

/* The insert that it repeats did not go, or went under its own number: the retry begins anew. */
static void submit_again(struct client *client)
{
    struct error err;
    struct wire_command request;
    struct exchange *exchange = client->exchange;
    struct attached *attached = exchange->attached;
    struct message message = exchange->message;
    exchange->attached = NULL;
    exchange_end(client);
    message.payload = bytes_of(attached->command, attached->command_len);
    message.whole = true;
    if (!wire_command_read_whole(message.payload, &request, &err)) {
        client_linger(client, err.message);
    } else if (merge_insert(client, &message, &request) == STEP_PASS) {
        struct coalesce_place *ticket = client->worker->next_ticket;
        client->worker->next_ticket = NULL;
        (void)send_command(client, &message, message.payload, request_error_labels(&request),
                           ticket);
    }
    attached_free(attached);
}

bool merge_look_again(struct client *client)
{
    struct exchange *exchange = client->exchange;
    if (exchange != NULL && exchange->waiter != NULL && client->finished &&
        coalesce_is_repeated(exchange->waiter)) {
        client_leave(client, "the client asks again on another connection");
        return false;
    }
    if (exchange == NULL || exchange->attached == NULL ||
        !atomic_load_explicit(&exchange->attached->told, memory_order_acquire))
        return false;
    const struct attached *attached = exchange->attached;
    if (attached->again)
        submit_again(client);
    else
        (void)exchange_answer(
            client, bytes_of(attached->reply, attached->reply != NULL ? attached->reply_len : 0),
            "out of memory for the reply to a retried insert");
    return client->state == CLIENT_ACTIVE;
}
