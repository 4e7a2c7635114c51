/* One connection to each server for hello, for the whole proxy. The proxy asks with an awaitable
 * hello: the server answers when its topology changes, and otherwise once a second. A server
 * without topologyVersion is asked once a second. The answers stand on the board (hello_board.h).
 *
 * A stream starts when a client first asks, and ends when no client asks any more. libmongoc's own
 * monitoring cannot take its place: its replies name no compressors, it does not follow a member
 * that only a hello reply named, and it refreshes lastWrite every ten seconds only.
 *
 * Sources: driver specifications "Server Discovery and Monitoring" and "MongoDB Handshake". */
#ifndef SLUICE_SESSION_HELLO_STREAM_H
#define SLUICE_SESSION_HELLO_STREAM_H

#include "net/worker.h"
#include "session/hello_board.h"
#include "session/session_settings.h"

struct hello_streams;

enum {
    HELLO_REFRESH_MS = 1000, /* the age of a reply while nothing changes */
    HELLO_RETRY_MS = 100,    /* between two attempts to reach a server */
    HELLO_UNUSED_MS = 120000 /* a stream without clients ends */
};

struct hello_streams_settings {
    struct worker *loop; /* its thread runs the streams; it must have stopped before the destroy */
    struct budget *budget;
    struct hello_board *board;
    /* On that thread: a server's topology changed, or the server came or went. */
    void (*changed)(void *arg);
    void *arg;
};

/* NULL without memory. */
struct hello_streams *hello_streams_create(const struct hello_streams_settings *settings);
/* On the loop's thread, when it stops: closes all connections. Later calls have no effect. */
void hello_streams_stop(struct hello_streams *streams);
void hello_streams_destroy(struct hello_streams *streams); /* NULL is allowed */

/* Any thread: a client wants to know the server's state, and there is none, or the server is down.
 * The stream publishes the next state after the next attempt. False without memory. */
bool hello_streams_ask(struct hello_streams *streams, struct hello_server *server,
                       struct session_settings *settings);

#endif
