/* Retries of inserts that were merged: they wait for the one that they repeat, or ask for it under
 * the numbers of its batch. So do inserts of a batch whose answer leaves open what became of them.
 */
#include "base/memory.h"
#include "bson/build.h"
#include "net/clock.h"
#include "session/merge_internal.h"

/* A retry that waits for the insert it repeats, which another session, perhaps of another worker,
 * carries. Looked at from tick to tick: it is rare, and its client has lost a connection before. */
struct attached {
    struct retry_attachment *attachment;
    uint8_t *command; /* to submit it again; a payload */
    size_t command_len;
    atomic_bool told; /* set last, by the other's thread */
    bool again;
    uint8_t *reply; /* NULL though told, and not again: no memory */
    size_t reply_len;
};

/* --- retries ------------------------------------------------------------------------------------
 */

void session_attached_free(struct attached *attached)
{
    if (attached == NULL)
        return;
    if (attached->attachment != NULL)
        retry_detach(attached->attachment);
    memory_free(attached->command);
    memory_free(attached->reply);
    memory_free(attached);
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

/* The insert that it repeats did not go, or went under its own number: the retry begins anew. */
static void submit_again(struct session *session)
{
    struct error err;
    struct request request;
    struct exchange *exchange = session->exchange;
    struct attached *attached = exchange->attached;
    struct message message = exchange->message;
    struct bytes body;
    uint32_t flags = 0;
    session->exchange = NULL;
    exchange->attached = NULL;
    session_exchange_free(session, exchange);
    message.payload = bytes_of(attached->command, attached->command_len);
    message.whole = true;
    if (!wire_sections_find_body(message.payload, &body, &flags, &err) ||
        !request_read(body, flags, &request, &err)) {
        session_linger(session, err.message);
    } else if (session_merge(session, &message, &request) == WRITE_PASS) {
        struct coalesce_place *ticket = session->next_ticket;
        session->next_ticket = NULL;
        (void)session_send_command(session, &message, message.payload,
                                   request_error_labels(&request), ticket);
    }
    session_attached_free(attached);
}

void session_merge_tick(struct session *session)
{
    struct exchange *exchange = session->exchange;
    if (exchange != NULL && exchange->waiter != NULL && session->client_finished &&
        coalesce_is_repeated(exchange->waiter)) {
        session_client_leave(session, "the client asks again on another connection");
        return;
    }
    if (exchange == NULL || exchange->attached == NULL ||
        !atomic_load_explicit(&exchange->attached->told, memory_order_acquire))
        return;
    struct attached *attached = exchange->attached;
    if (attached->again) {
        submit_again(session);
    } else {
        session->exchange = NULL;
        if (attached->reply == NULL)
            session_linger(session, "out of memory for the reply to a retried insert");
        else
            (void)session_answer(session, &exchange->message,
                                 bytes_of(attached->reply, attached->reply_len));
        session_exchange_free(session, exchange);
    }
    if (session->state == SESSION_ACTIVE)
        session_client_resume(session);
}

/* --- inserts of a batch that are asked for ------------------------------------------------------
 */

enum write_step session_merge_ask(struct session *session)
{
    uint8_t *payload = NULL;
    size_t len = 0;
    if (!coalesce_resend_payload(session->exchange->resend, &payload, &len))
        return session_merge_close_client(session);
    bool sent = session_exchange_send(session, bytes_of(payload, len));
    memory_free(payload);
    return sent ? WRITE_TAKEN : WRITE_ENDED;
}

bool session_merge_resent(struct session *session, struct bytes document)
{
    struct session_worker *worker = session->worker;
    struct exchange *exchange = session->exchange;
    struct build build;
    struct bytes answer;
    session_pop_pending(session);
    enum resend_step step = coalesce_resent(worker->coalesce, exchange->resend, document,
                                            clock_now_us(), &build, &answer);
    session_merge_account(worker);
    if (step == RESEND_ASK) {
        build_free(&build);
        return session_merge_ask(session) == WRITE_TAKEN;
    }
    exchange->resend = NULL;
    session->exchange = NULL;
    if (step == RESEND_ANSWER)
        (void)session_answer(session, &exchange->message, answer);
    else
        session_linger(session, "what became of an insert cannot be found out");
    build_free(&build);
    session_exchange_free(session, exchange);
    return session->state == SESSION_ACTIVE;
}

enum write_step session_merge_attach(struct session *session, struct bytes command,
                                     struct retry_attachment *attachment)
{
    struct session_worker *worker = session->worker;
    struct attached *attached = worker->spare_attached;
    worker->spare_attached = NULL;
    attached->attachment = attachment;
    session->exchange->attached = attached;
    attached->command_len = bytes_left(&command);
    attached->command = memory_alloc(attached->command_len);
    if (attached->command == NULL)
        return session_merge_close_client(session);
    memcpy(attached->command, command.pos, attached->command_len);
    return WRITE_TAKEN;
}

struct retry_listener session_merge_listener(struct session_worker *worker)
{
    if (worker->spare_attached == NULL)
        worker->spare_attached = memory_zalloc(sizeof *worker->spare_attached);
    return (struct retry_listener){.arg = worker->spare_attached, .done = on_done};
}
