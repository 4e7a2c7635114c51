/* A connection to a MongoDB server, and everything that is bound to it. The client that holds its
 * lease (lease.h) sends on it. Only the thread of its worker uses it. */
#ifndef SLUICE_SESSION_UPSTREAM_CONNECTION_H
#define SLUICE_SESSION_UPSTREAM_CONNECTION_H

#include "auth/standing.h"
#include "net/connector.h"
#include "net/link.h"

struct sent_batch;
struct client;
struct session_worker;

struct upstream_connection {
    struct client *holder;            /* of its lease; written by lease.c only */
    struct upstream_connection *next; /* in the list of closed connections */
    struct session_worker *worker;
    struct link link;              /* LINK_NONE until it is connected: what is sent waits */
    struct connector *connector;   /* while it is being connected */
    struct standing standing;      /* its identity, as the server said */
    struct sent_batch *sent_batch; /* the batch that waits for its reply here */
    int64_t connect_since_ms;      /* 0: it is connected, or not begun */
    uint32_t reply_left;   /* of the reply that is being forwarded, the bytes still to come */
    int32_t reply_id;      /* its requestID */
    bool reply_more;       /* after it, the stream goes on */
    bool opened;           /* counted in UPSTREAM_NOW */
    bool finished;         /* the server was told that nothing more is sent */
    bool may_be_logged_in; /* a command that may log in was sent on it */
    uint8_t compressors;   /* its hello negotiated these: a bit for each enum wire_compressor */
    char server[];         /* "host:port" or a socket's path; "" when none is known */
};

/* A connection that is not connected yet and has no identity. Copies `server`. NULL when memory is
 * out. */
struct upstream_connection *upstream_connection_new(struct session_worker *worker,
                                                    const char *server);

/* Nobody may hold its lease any more. The connection stays readable until the loop turn ends. */
void upstream_connection_close(struct upstream_connection *connection);

/* Frees the closed connections. */
void upstream_connection_reap(struct session_worker *worker);

#endif
