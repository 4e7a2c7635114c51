#include "session/pause.h"

bool pause_holds(const struct client *client, const struct wire_command *request)
{
    return client->worker->paused && (!request->in_transaction || request->starts_transaction);
}

bool pause_hold(struct client *client)
{
    int64_t now_ms = clock_now_ms();
    int64_t limit_ms = client_config(client)->query_wait_timeout_ms;
    if (client->hold_since_ms == 0)
        client->hold_since_ms = now_ms;
    if (limit_ms != 0 && now_ms - client->hold_since_ms >= limit_ms)
        return false;
    client->stage = REQUEST_HELD;
    return true;
}

bool pause_is_over(struct client *client, int64_t now_ms)
{
    int64_t limit_ms = client_config(client)->query_wait_timeout_ms;
    if (limit_ms == 0 || now_ms - client->hold_since_ms < limit_ms)
        return false;
    client->stage = REQUEST_AWAITED;
    return true;
}

bool pause_let_go(struct client *client)
{
    client->hold_since_ms = 0;
    if (client->stage != REQUEST_HELD)
        return false;
    client->stage = REQUEST_AWAITED;
    return true;
}
