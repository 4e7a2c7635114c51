#include "session/hello_board.h"

#include <utlist.h>

#include "base/memory.h"

static struct hello_state *state_new(const void *data, size_t bytes, int64_t now_ms)
{
    struct hello_state *state = memory_zalloc(sizeof *state + bytes);
    if (state == NULL)
        return NULL;
    atomic_init(&state->references, 1);
    state->received_ms = now_ms;
    state->bytes = bytes;
    memcpy(state->data, data, bytes);
    return state;
}

struct hello_state *hello_state_up(struct bytes reply, uint8_t compressors, int64_t now_ms)
{
    struct scan_element message;
    struct hello_state *state = state_new(reply.pos, bytes_left(&reply), now_ms);
    if (state == NULL)
        return NULL;
    state->up = true;
    state->compressors = compressors;
    state->has_version = wire_hello_version(reply, &state->version);
    state->is_mongos = scan_find(reply, "msg", &message);
    return state;
}

struct hello_state *hello_state_down(const char *cause, int64_t now_ms)
{
    return state_new(cause, strlen(cause) + 1, now_ms);
}

struct hello_state *hello_state_retain(struct hello_state *state)
{
    if (state != NULL)
        atomic_fetch_add(&state->references, 1);
    return state;
}

void hello_state_release(struct hello_state *state)
{
    if (state != NULL && atomic_fetch_sub(&state->references, 1) == 1)
        memory_free(state);
}

bool hello_state_differs(const struct hello_state *before, const struct hello_state *now)
{
    if (before == NULL || now == NULL)
        return before != now;
    if (before->up != now->up || before->has_version != now->has_version)
        return true;
    return !now->up ||
           (now->has_version && !wire_topology_version_equal(&before->version, &now->version));
}

void hello_board_init(struct hello_board *board)
{
    pthread_mutex_init(&board->lock, NULL);
    board->servers = NULL;
}

void hello_board_release(struct hello_board *board)
{
    struct hello_server *server = NULL;
    struct hello_server *next = NULL;
    LL_FOREACH_SAFE(board->servers, server, next)
    {
        hello_state_release(server->state);
        memory_free(server);
    }
    pthread_mutex_destroy(&board->lock);
}

struct hello_server *hello_board_server(struct hello_board *board, const char *address)
{
    struct hello_server *server = NULL;
    size_t address_bytes = strlen(address) + 1;
    pthread_mutex_lock(&board->lock);
    LL_FOREACH(board->servers, server)
    {
        if (strcmp(server->address, address) == 0)
            break;
    }
    if (server == NULL) {
        server = memory_zalloc(sizeof *server + address_bytes);
        if (server != NULL) {
            memcpy(server->address, address, address_bytes);
            server->board = board;
            LL_PREPEND(board->servers, server);
        }
    }
    pthread_mutex_unlock(&board->lock);
    return server;
}

bool hello_board_read(struct hello_server *server, struct hello_state **held)
{
    struct hello_state *before = *held;
    pthread_mutex_lock(&server->board->lock);
    bool is_new = server->state != before;
    if (is_new)
        *held = hello_state_retain(server->state);
    pthread_mutex_unlock(&server->board->lock);
    if (is_new)
        hello_state_release(before);
    return is_new;
}

void hello_board_publish(struct hello_server *server, struct hello_state *state)
{
    pthread_mutex_lock(&server->board->lock);
    struct hello_state *before = server->state;
    if (state != NULL)
        state->number = ++server->number;
    server->state = state;
    pthread_mutex_unlock(&server->board->lock);
    hello_state_release(before);
}
