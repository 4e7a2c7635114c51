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

/* The thread of the one who carries the insert, under the table's lock. */
static void on_done(void *arg, enum retry_result result, struct bytes reply)
{
    struct attached *attached = arg;
    attached->again = result == RETRY_RESULT_AGAIN;
    if (!attached->again) {
        attached->reply_len = bytes_left(&reply);
        attached->reply = memory_alloc(attached->reply_len);
        if (attached->reply != NULL)
            memcpy(attached->reply, reply.pos, attached->reply_len);
    }
    atomic_store_explicit(&attached->told, true, memory_order_release);
}

struct retry_listener merge_listener(struct session_worker *worker)
{
    if (worker->spare_attached == NULL)
        worker->spare_attached = memory_zalloc(sizeof *worker->spare_attached);
    return (struct retry_listener){.arg = worker->spare_attached, .done = on_done};
}

enum request_step merge_ask(struct client *client)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    if (!coalesce_resend_payload(client->exchange->resend, &payload, &len))
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
    enum resend_step step = coalesce_resent(worker->coalesce, exchange->resend, document,
                                            clock_now_us(), &build, &answer);
    merge_account(worker);
    if (step == RESEND_ASK) {
        build_free(&build);
        return merge_ask(client) == STEP_TAKEN;
    }
    exchange->resend = NULL;
    if (step != RESEND_ANSWER)
        answer = (struct bytes){0};
    (void)exchange_answer(client, answer, "what became of an insert cannot be found out");
    build_free(&build);
    return client->state == CLIENT_ACTIVE;
}

enum request_step merge_attach(struct client *client, struct bytes command,
                               struct retry_attachment *attachment)
{
    struct session_worker *worker = client->worker;
    struct attached *attached = worker->spare_attached;
    worker->spare_attached = NULL;
    attached->attachment = attachment;
    client->exchange->attached = attached;
    attached->command_len = bytes_left(&command);
    attached->command = memory_alloc(attached->command_len);
    if (attached->command == NULL)
        return merge_close_client(client);
    memcpy(attached->command, command.pos, attached->command_len);
    return STEP_TAKEN;
}
