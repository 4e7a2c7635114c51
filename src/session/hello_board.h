/* The latest hello reply of each server, for all workers. The streams (hello_stream.h) publish
 * replies; workers answer their clients' hellos from them. Thread-safe. */
#ifndef SLUICE_SESSION_HELLO_BOARD_H
#define SLUICE_SESSION_HELLO_BOARD_H

#include <pthread.h>
#include <stdatomic.h>

#include "wire/hello.h"

/* What is known of a server at one time. Immutable, shared by reference. */
struct hello_state {
    atomic_uint references;
    uint64_t number;     /* states of a server are numbered in their order */
    int64_t received_ms; /* clock_now_ms */
    bool up;             /* false: the server is not reachable, and `data` is the cause */
    bool is_mongos;
    bool has_version;
    uint8_t compressors; /* that proxy and server have: one bit for each enum wire_compressor */
    struct wire_topology_version version;
    size_t bytes;
    uint8_t data[]; /* the reply; or the cause, a NUL-terminated string */
};

/* The number is set when the state is published. NULL without memory. */
struct hello_state *hello_state_up(struct bytes reply, uint8_t compressors, int64_t now_ms);
struct hello_state *hello_state_down(const char *cause, int64_t now_ms);
struct hello_state *hello_state_retain(struct hello_state *state); /* NULL is allowed */
void hello_state_release(struct hello_state *state);               /* NULL is allowed */

/* True if clients that wait for a change must look at `now`, which follows `before` (may be NULL).
 */
bool hello_state_differs(const struct hello_state *before, const struct hello_state *now);

static inline struct bytes hello_state_reply(const struct hello_state *state)
{
    return bytes_of(state->data, state->bytes);
}

/* A server. It lives as long as its board. */
struct hello_server {
    struct hello_server *next;
    struct hello_board *board;
    struct hello_state *state;   /* guarded by the board's lock; NULL: nothing is known */
    uint64_t number;             /* of the last state; guarded by the board's lock */
    _Atomic int64_t used_ms;     /* the last time that a client asked or waited */
    struct hello_stream *stream; /* for the streams' thread only; owned by the streams */
    char address[];              /* "host:port" or a socket's path */
};

struct hello_board {
    pthread_mutex_t lock;
    struct hello_server *servers; /* utlist */
};

void hello_board_init(struct hello_board *board);
/* No thread uses the board any more. */
void hello_board_release(struct hello_board *board);

/* Finds or adds a server. NULL without memory. */
struct hello_server *hello_board_server(struct hello_board *board, const char *address);

/* Replaces *held (a reference, or NULL) with the current state. True if that is another one. */
bool hello_board_read(struct hello_server *server, struct hello_state **held);

/* Takes over a reference; NULL: nothing is known any more. */
void hello_board_publish(struct hello_server *server, struct hello_state *state);

#endif
