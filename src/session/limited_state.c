#include "session/limited_state.h"

#include "base/memory.h"

void limited_release(struct client *client)
{
    struct limits_held *held = &client->limited->held;
    for (size_t i = 0; i < held->count; i++)
        limits_release(client->worker->shared->limits, held->of[i]);
    held->count = 0;
}

void limited_end(struct client *client)
{
    if (client->limited == NULL)
        return;
    limited_release(client);
    memory_free(client->limited);
    client->limited = NULL;
}

void limited_decided(struct client *client)
{
    if (client->limited != NULL)
        client->limited->taken = false;
}
