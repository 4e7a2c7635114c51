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

/* Has the waiting clients look at the state, in portions: thousands may wait. A wait that has
 * looked stands behind those that have not. */
static void look_at(void *arg)
{
    struct hello_source *source = arg;
    int64_t now_ms = clock_now_ms();
    (void)hello_board_read(source->server, &source->held);
    while (source->held != NULL && source->waits != NULL &&
           source->waits->looked != source->held->number) {
        struct hello_wait *wait = source->waits;
        struct turn *turn = worker_turn(wait->client->worker->worker);
        if (!turn_may_go_on(turn)) {
            turn_wait(turn, &source->turn);
            return;
        }
        wait->looked = source->held->number;
        DL_DELETE(source->waits, wait);
        DL_APPEND(source->waits, wait);
        settle(wait->client, now_ms);
    }
}

static void schedule(struct hello_source *source, struct session_worker *worker)
{
    source->turn.run = look_at;
    source->turn.arg = source;
    if (!source->turn.waits)
        turn_wait(worker_turn(worker->worker), &source->turn);
}

void hello_changes_look(struct session_worker *worker)
{
    struct hello_source *source = NULL;
    LL_FOREACH(worker->hello_sources, source)
    schedule(source, worker);
}

void hello_changes_check(struct client *client, int64_t now_ms)
{
    struct hello_wait *wait = client->hello_wait;
    struct hello_source *source = wait->source;
    atomic_store_explicit(&source->server->used_ms, now_ms, memory_order_relaxed);
    hello_answers_remind(client, now_ms);
    if (wait->request.has_version && now_ms < wait->expires_ms && !wait->blocked)
        return;
    wait->looked = 0;
    DL_DELETE(source->waits, wait);
    DL_PREPEND(source->waits, wait);
    schedule(source, client->worker);
}
