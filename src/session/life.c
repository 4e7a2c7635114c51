#include "session/life.h"

#include <event2/event.h>
#include <utlist.h>

#include "auth/claim.h"
#include "base/memory.h"
#include "session/checking.h"
#include "session/collection_changes.h"
#include "session/exchange.h"
#include "session/hello_wait.h"
#include "session/lease.h"
#include "session/limited_state.h"
#include "session/merge_ties.h"
#include "session/open.h"
#include "session/request.h"
#include "session/sharing.h"
#include "session/spans.h"
#include "session/verified_state.h"

void client_count_out(struct session_worker *worker, bool refused)
{
    struct session_shared *shared = worker->shared;
    atomic_fetch_sub(refused ? &shared->refused_now : &shared->clients_now, 1);
}

/* Drops the pending requests of which others wait for the result. */
static void forget_pending(struct client *client)
{
    for (unsigned i = 0; i < client->pending.count; i++) {
        struct pending *pending = pending_at(&client->pending, i);
        if (pending->permit != NULL)
            merge_finished(client->worker, pending->permit);
        collection_changes_lose(client, pending->change);
        spans_end(client->worker, pending->trail);
        pending->trail = NULL;
        pending->permit = NULL;
        pending->change = 0;
    }
    if (client->worker->next_permit != NULL)
        merge_finished(client->worker, client->worker->next_permit);
    client->worker->next_permit = NULL;
}

/* Ends sending and waiting for replies. */
static void give_upstream_back(struct client *client)
{
    struct upstream_connection *connection = lease_connection(client);
    open_release(client);
    memory_free(client->walk);
    client->walk = NULL;
    checking_free(client);
    memory_free(client->parsed);
    client->parsed = NULL;
    exchange_end(client);
    hello_wait_end(client);
    spans_end(client->worker, spans_take(client));
    forget_pending(client);
    sharing_stop(client);
    if (connection != NULL && connection->sent_batch != NULL)
        connection->lost = true;
    if (connection != NULL)
        merge_lost(connection);
    lease_give_back(client);
}

void client_end(struct client *client, const char *reason)
{
    struct session_worker *worker = client->worker;
    char peer[ADDRESS_TEXT_BYTES];
    if (client->state == CLIENT_ENDED)
        return;
    address_describe_peer(&client->peer, peer);
    client->state = CLIENT_ENDED;
    link_close(&client->link);
    turn_forget(worker_turn(worker->worker), &client->next_turn);
    give_upstream_back(client);
    sharing_end(client);
    verified_end(client);
    limited_end(client);
    if (client->had_transaction)
        transactions_forget_connection(worker->shared->transactions, client->id);
    spans_forget_client(client);
    claim_free(client->claim);
    client->claim = NULL;
    memory_free((void *)client->writer.application);
    client->writer = (struct tally_writer){0};
    if (client->had_bulk_cursor)
        bulk_cursors_forget_connection(worker->shared->bulk_cursors, client->id, clock_now_ms());
    counters_add(&worker->counters, COUNTER_CLIENTS_NOW, (uint64_t)-1);
    client_count_out(worker, client->refused);
    atomic_fetch_sub(&worker->clients, 1);
    DL_DELETE(worker->client_list, client);
    DL_APPEND(worker->ended, client);
    event_active(worker->reap_event, EV_TIMEOUT, 0);
    LOG_I(LOG_NETWORK, 1003, client->context, "Connection ended", LOG_STR("remote", peer),
          LOG_INT("connectionId", (int64_t)client->id),
          LOG_INT("connectionCount", atomic_load(&worker->shared->clients_now)),
          LOG_STR("reason", reason));
}

/* Sends a FIN to the client and discards its further bytes: closing with unread bytes would reset
 * the connection, and the reply would be lost. */
static void finish_client(struct client *client)
{
    link_finish_sending(&client->link);
    link_resume(&client->link);
}

void client_linger(struct client *client, const char *reason)
{
    if (client->link.state != LINK_OPEN) {
        client_end(client, reason);
        return;
    }
    LOG_D(LOG_NETWORK, 1004, client->context, "Closing the client's connection",
          LOG_STR("reason", reason));
    client->state = CLIENT_LINGERING;
    client->linger_since_ms = clock_now_ms();
    give_upstream_back(client);
    buffer_release(&client->link.in, client->link.budget);
    link_settle(&client->link);
    if (!link_is_blocked(&client->link))
        finish_client(client);
}

void client_fail(struct client *client, const struct wire_reply_to *to, const struct error *error,
                 uint32_t labels, enum counter counter)
{
    uint8_t *reply = NULL;
    size_t len = 0;
    struct error ignored;
    char peer[ADDRESS_TEXT_BYTES];
    spans_note_refusal(client->trail, error->code);
    address_describe_peer(&client->peer, peer);
    counters_add(client_counters(client), counter, 1);
    LOG_W(LOG_NETWORK, 1005, client->context, "Closing a connection because of an error",
          LOG_STR("remote", peer), LOG_STR("server", client->server),
          LOG_STR("counter", counters_name(counter)), LOG_INT("code", error->code),
          LOG_STR("error", error->message));
    if (to == NULL || client->link.state != LINK_OPEN ||
        !wire_reply_error(*to, error, labels, &reply, &len)) {
        client_end(client, error->message);
        return;
    }
    counters_add(client_counters(client), COUNTER_REPLIES, 1);
    counters_add(client_counters(client), COUNTER_REPLY_BYTES, len);
    bool sent = link_send(&client->link, reply, len, &ignored);
    memory_free(reply);
    if (sent)
        client_linger(client, error->message);
    else
        client_end(client, error->message);
}

void client_fail_pending(struct client *client, const struct error *error, enum counter counter)
{
    const struct pending *first = pending_oldest(&client->pending);
    if (first == NULL || first->streaming) {
        client_fail(client, NULL, error, 0, counter);
        return;
    }
    struct wire_reply_to to = {.request_id = first->request_id, .legacy = first->legacy};
    client_fail(client, &to, error, first->error_labels, counter);
}

/* True if the begun request is known to get no reply (w:0). A driver would take an answer to it for
 * the answer to its next request. */
static bool wants_no_reply(const struct client *client, const uint8_t *data, size_t len)
{
    if (client->parsed != NULL)
        return request_is_silent(client->parsed);
    return len >= WIRE_HEADER_BYTES + 4 && wire_header_read(data).opcode == WIRE_OP_MSG &&
           (bytes_load_u32(data + WIRE_HEADER_BYTES) & WIRE_FLAG_MORE_TO_COME) != 0;
}

void client_fail_begun(struct client *client, const uint8_t *data, size_t len,
                       const struct error *error, enum counter counter)
{
    if (len < WIRE_HEADER_BYTES || wants_no_reply(client, data, len)) {
        client_fail(client, NULL, error, 0, counter);
        return;
    }
    struct wire_header header = wire_header_read(data);
    struct wire_reply_to to = {.request_id = header.request_id,
                               .legacy = header.opcode == WIRE_OP_QUERY};
    bool silent = header.opcode == WIRE_OP_MSG && len >= WIRE_HEADER_BYTES + sizeof(uint32_t) &&
                  (bytes_load_u32(data + WIRE_HEADER_BYTES) & WIRE_FLAG_MORE_TO_COME) != 0;
    bool memory = error->code == ERROR_EXCEEDED_MEMORY_LIMIT;
    uint32_t labels = memory && client->accepts_overload ? WIRE_LABEL_OVERLOADED : 0;
    client_fail(client, silent ? NULL : &to, error, labels, counter);
}

void client_io_failed(struct client *client, struct link *link, const struct error *error)
{
    bool of_client = link == &client->link;
    counters_add(client_counters(client),
                 of_client ? COUNTER_ERRORS_NETWORK_CLIENT : COUNTER_ERRORS_NETWORK_UPSTREAM, 1);
    link->handler->failed(link->arg, error->message);
}

void client_send_failed(struct client *client, struct link *to, const struct error *error)
{
    if (to != &client->link && lease_connection(client) != NULL)
        lease_connection(client)->lost = true; /* a part of a message is missing */
    if (error->code == ERROR_EXCEEDED_MEMORY_LIMIT)
        client_fail_pending(client, error, COUNTER_ERRORS_MEMORY);
    else
        client_io_failed(client, to, error);
}

bool client_runs_command(const struct client *client)
{
    for (unsigned i = 0; i < client->pending.count; i++)
        if (!pending_look_at(&client->pending, i)->awaitable)
            return true;
    return client->stage == REQUEST_FORWARDED || client->exchange != NULL ||
           client->checking != NULL;
}
