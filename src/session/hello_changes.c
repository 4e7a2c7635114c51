#include "session/hello_changes.h"

#include <utlist.h>

#include "base/clock.h"
#include "session/hello_answers.h"
#include "session/hello_wait.h"
#include "session/leaving.h"
#include "session/requests.h"

/* Further requests of the client may wait behind its hello. */
static void settle(struct client *client, int64_t now_ms)
{
    if (hello_answers_settle(client, now_ms) && client->hello_wait == NULL)
        requests_resume(client);
    if (client->state == CLIENT_ACTIVE)
        client_end_if_drained(client);
}

static void look_at(struct hello_source *source)
{
    struct hello_wait *wait = NULL;
    struct hello_wait *next = NULL;
    int64_t now_ms = clock_now_ms();
    (void)hello_board_read(source->server, &source->held);
    if (source->held == NULL || source->held->number == source->looked)
        return;
    source->looked = source->held->number;
    DL_FOREACH_SAFE(source->waits, wait, next)
    settle(wait->client, now_ms);
}

void hello_changes_look(struct session_worker *worker)
{
    struct hello_source *source = NULL;
    LL_FOREACH(worker->hello_sources, source)
    look_at(source);
}

void hello_changes_check(struct client *client, int64_t now_ms)
{
    const struct hello_wait *wait = client->hello_wait;
    struct hello_source *source = wait->source;
    atomic_store_explicit(&source->server->used_ms, now_ms, memory_order_relaxed);
    if (wait->request.has_version && now_ms < wait->expires_ms)
        return;
    (void)hello_board_read(source->server, &source->held);
    settle(client, now_ms);
}
