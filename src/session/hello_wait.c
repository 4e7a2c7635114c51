#include "session/hello_wait.h"

#include <utlist.h>

#include "base/memory.h"

struct hello_source *hello_wait_source(struct client *client)
{
    struct session_worker *worker = client->worker;
    struct hello_source *source = NULL;
    LL_FOREACH(worker->hello_sources, source)
    {
        if (strcmp(source->server->address, client->server) == 0)
            return source;
    }
    struct hello_server *server = hello_board_server(&worker->shared->hello_board, client->server);
    source = server == NULL ? NULL : memory_zalloc(sizeof *source);
    if (source == NULL)
        return NULL;
    source->server = server;
    LL_PREPEND(worker->hello_sources, source);
    return source;
}

struct hello_wait *hello_wait_begin(struct client *client, struct hello_source *source,
                                    struct bytes extra)
{
    size_t extra_bytes = bytes_left(&extra);
    struct hello_wait *wait = memory_zalloc(sizeof *wait + extra_bytes);
    if (wait == NULL)
        return NULL;
    wait->client = client;
    wait->source = source;
    wait->looked = source->held == NULL ? 0 : source->held->number;
    wait->extra_bytes = extra_bytes;
    if (extra_bytes > 0)
        memcpy(wait->extra, extra.pos, extra_bytes);
    DL_APPEND(source->waits, wait);
    client->hello_wait = wait;
    return wait;
}

void hello_wait_end(struct client *client)
{
    struct hello_wait *wait = client->hello_wait;
    if (wait == NULL)
        return;
    DL_DELETE(wait->source->waits, wait);
    client->hello_wait = NULL;
    memory_free(wait);
}

void hello_wait_release_sources(struct session_worker *worker)
{
    while (worker->hello_sources != NULL) {
        struct hello_source *source = worker->hello_sources;
        LL_DELETE(worker->hello_sources, source);
        turn_forget(worker_turn(worker->worker), &source->turn);
        hello_state_release(source->held);
        memory_free(source);
    }
}
