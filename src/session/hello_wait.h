/* A client's hello that waits: for the first state of its server, or (awaitable hello) for a change
 * of the topology. For the worker's thread only. */
#ifndef SLUICE_SESSION_HELLO_WAIT_H
#define SLUICE_SESSION_HELLO_WAIT_H

#include "session/client.h"
#include "session/hello_board.h"

/* A server, as a worker knows it. */
struct hello_source {
    struct hello_source *next;
    struct hello_server *server;
    struct hello_state *held; /* a reference; NULL: nothing is known */
    struct hello_wait *waits; /* utlist: first those that must look at the state */
    struct turn_waiter turn;  /* for the rest of many waiting clients */
    int64_t asked_ms;         /* the last time that the stream was asked for a state */
};

struct hello_wait {
    struct hello_wait *prev, *next; /* of the source's list */
    struct client *client;
    struct hello_source *source;
    struct wire_hello_request request;
    uint64_t looked;     /* the number of the last state that it was compared with; 0: none */
    int64_t expires_ms;  /* awaitable: the answer is due then, at the latest */
    uint64_t since;      /* the state that was known when it came; a failure must be newer */
    int32_t response_to; /* of the next reply */
    uint32_t error_labels;
    uint8_t compressor; /* of the request */
    bool legacy;        /* it arrived as OP_QUERY */
    bool streams;       /* exhaustAllowed: further replies follow */
    bool streamed;      /* the client has a reply already */
    bool blocked;       /* a reply is due, but the client does not read */
    size_t extra_bytes;
    uint8_t extra[]; /* a document, or nothing */
};

/* The source of the client's server. NULL without memory. */
struct hello_source *hello_wait_source(struct client *client);

/* Puts a wait in client->hello_wait and in its source's list. NULL without memory. */
struct hello_wait *hello_wait_begin(struct client *client, struct hello_source *source,
                                    struct bytes extra);

/* Ends client->hello_wait. There may be none. */
void hello_wait_end(struct client *client);

/* The worker ends; no client waits any more. */
void hello_wait_release_sources(struct session_worker *worker);

#endif
