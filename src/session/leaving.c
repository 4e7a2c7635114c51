#include "session/leaving.h"

#include <stdio.h>

#include "session/exchange.h"
#include "session/hello_wait.h"
#include "session/lease.h"
#include "session/life.h"

bool client_is_idle(const struct client *client)
{
    return client->state == CLIENT_ACTIVE && !client_runs_command(client) &&
           buffer_length(&client->link.in) == 0 && !link_is_blocked(&client->link) &&
           !lease_is_blocked(client) &&
           !transactions_open_for_peer(client->worker->shared->transactions,
                                       address_peer_key(&client->peer));
}

/* Its upstream connection carries inserts of others too: they get their answers first. */
static void leave_behind(struct client *client)
{
    counters_add(client_counters(client), COUNTER_CLIENTS_VANISHED, 1);
    client->state = CLIENT_LEAVING;
    client->linger_since_ms = clock_now_ms();
    link_close(&client->link);
    exchange_end(client);
}

void client_leave(struct client *client, const char *reason)
{
    char in_command[SESSION_CAUSE_BYTES];
    if (client->state == CLIENT_ACTIVE && lease_carries_batch(client)) {
        leave_behind(client);
        return;
    }
    if (client->state == CLIENT_ACTIVE && client_runs_command(client)) {
        counters_add(client_counters(client), COUNTER_CLIENTS_VANISHED, 1);
        (void)snprintf(in_command, sizeof in_command,
                       "the client left while a command was running: %.300s", reason);
        reason = in_command;
    }
    client_end(client, reason);
}

/* Closes the client and sends its waiting bytes to the server. */
static void leave_writing(struct client *client)
{
    client->state = CLIENT_LEAVING;
    client->linger_since_ms = clock_now_ms();
    link_close(&client->link);
}

/* True if a complete request is left. A request that a pause holds was not sent, and is dropped. */
static bool has_whole_request(const struct client *client)
{
    const struct buffer *in = &client->link.in;
    size_t len = buffer_length(in);
    return client->stage != REQUEST_HELD && len >= WIRE_HEADER_BYTES &&
           len >= bytes_load_u32(buffer_begin(in));
}

/* True if more must be sent for it, or for others on its connection. */
static bool sends_more(const struct client *client)
{
    const struct exchange *exchange = client->exchange;
    return lease_carries_batch(client) || client->checking != NULL ||
           client->stage == REQUEST_LEFT || has_whole_request(client) ||
           (exchange != NULL && (exchange->abort_message != NULL || exchange->waiter != NULL ||
                                 exchange->waiting_retry != NULL || exchange->resend != NULL));
}

static bool awaits_answers(const struct client *client)
{
    /* a monitor that closes awaits nothing more: a server ends its awaitable hello, too */
    bool hello = client->hello_wait != NULL && !client->hello_wait->request.has_version;
    return hello || !pending_is_empty(&client->pending) || client->exchange != NULL ||
           sends_more(client);
}

/* Both directions write what they hold: whether bytes wait decides on the end. */
static void settle(struct client *client)
{
    link_settle(&client->link);
    if (lease_connection(client) != NULL)
        link_settle(&lease_connection(client)->link);
}

void client_wind_up(struct client *client)
{
    if (client->state != CLIENT_ACTIVE)
        return;
    settle(client);
    if (!awaits_answers(client)) {
        if (link_is_blocked(&client->link))
            client_linger(client, "the client closed");
        else if (lease_is_blocked(client))
            leave_writing(client);
        else
            client_end(client, "the client closed");
        return;
    }
    struct upstream_connection *connection = lease_connection(client);
    if (client->sharing && connection != NULL && connection->entry.place == POOL_LEASED)
        return; /* others use it later: see pool.cancel_grace_ms */
    if (sends_more(client) || connection == NULL || connection->finished ||
        connection->link.state != LINK_OPEN || link_is_blocked(&connection->link))
        return;
    connection->finished = true;
    link_finish_sending(&connection->link);
}

void client_finish(struct client *client)
{
    settle(client);
    if (client->state == CLIENT_ACTIVE && awaits_answers(client)) {
        if (client_runs_command(client))
            counters_add(client_counters(client), COUNTER_CLIENTS_VANISHED, 1);
        client->finished = true;
        client->linger_since_ms = clock_now_ms();
        link_pause(&client->link);
        client_wind_up(client);
    } else if (client->state == CLIENT_LINGERING || !lease_is_blocked(client) ||
               client->stage == REQUEST_FORWARDED) {
        client_leave(client, "the client closed");
    } else {
        leave_writing(client);
    }
}

void client_check_peer(struct client *client)
{
    bool waits = client->stage == REQUEST_HELD || client->stage == REQUEST_WAITING ||
                 client->hello_wait != NULL || awaits_answers(client);
    if (!waits || client->link.reading)
        return;
    switch (link_look_at_peer(&client->link)) {
    case LINK_PEER_THERE:
        break;
    case LINK_PEER_ENDED:
        if (!client->finished)
            client_finish(client);
        break;
    case LINK_PEER_LOST:
        client_leave(client, "the client's connection was reset");
        break;
    }
}

void client_end_if_drained(struct client *client)
{
    if (client->finished)
        client_wind_up(client);
    if (!client->worker->draining)
        return;
    settle(client);
    if (client_is_idle(client))
        client_end(client, "the proxy is draining");
}
