#include "session/merge_retry.h"

#include <string.h>

#include "base/memory.h"
#include "session/exchange_steps.h"
#include "session/life.h"
#include "session/merge_ties.h"

enum request_step merge_close_client(struct client *client)
{
    client_linger(client, "out of memory for an insert");
    return STEP_STOP;
}

/* Runs on the thread that carries the insert, under the table's lock. */
static void on_done(void *arg, enum retry_result result, struct bytes reply)
{
    struct waiting_retry *waiting_retry = arg;
    waiting_retry->again = result == RETRY_RESULT_AGAIN;
    if (!waiting_retry->again) {
        waiting_retry->reply_len = bytes_left(&reply);
        waiting_retry->reply = memory_alloc(waiting_retry->reply_len);
        if (waiting_retry->reply != NULL)
            memcpy(waiting_retry->reply, reply.pos, waiting_retry->reply_len);
    }
    atomic_store_explicit(&waiting_retry->told, true, memory_order_release);
}

struct retry_listener merge_listener(struct session_worker *worker)
{
    if (worker->spare_waiting_retry == NULL)
        worker->spare_waiting_retry = memory_zalloc(sizeof *worker->spare_waiting_retry);
    return (struct retry_listener){.arg = worker->spare_waiting_retry, .done = on_done};
}

enum request_step merge_ask(struct client *client)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    if (!merger_resend_payload(client->exchange->resend, &payload, &len))
        return merge_close_client(client);
    bool sent = exchange_send(client, bytes_of(payload, len));
    memory_free(payload);
    return sent ? STEP_TAKEN : STEP_STOP;
}

bool merge_resent(struct client *client, struct bytes document)
{
    struct session_worker *worker = client->worker;
    struct exchange *exchange = client->exchange;
    struct build build;
    struct bytes answer;
    merge_pop_pending(client);
    enum resend_step step =
        merger_resent(worker->merger, exchange->resend, document, clock_now_us(), &build, &answer);
    merge_account(worker);
    if (step == RESEND_ASK) {
        build_free(&build);
        return merge_ask(client) == STEP_TAKEN;
    }
    exchange->resend = NULL;
    if (step != RESEND_ANSWER)
        answer = (struct bytes){0};
    (void)exchange_answer(client, answer, "the result of an insert cannot be found out");
    build_free(&build);
    return client->state == CLIENT_ACTIVE;
}

enum request_step merge_wait_for_first(struct client *client, struct bytes command,
                                       struct retry_waiter *retry_waiter)
{
    struct session_worker *worker = client->worker;
    struct waiting_retry *waiting_retry = worker->spare_waiting_retry;
    worker->spare_waiting_retry = NULL;
    waiting_retry->retry_waiter = retry_waiter;
    client->exchange->waiting_retry = waiting_retry;
    waiting_retry->command_len = bytes_left(&command);
    waiting_retry->command = memory_alloc(waiting_retry->command_len);
    if (waiting_retry->command == NULL)
        return merge_close_client(client);
    memcpy(waiting_retry->command, command.pos, waiting_retry->command_len);
    return STEP_TAKEN;
}
