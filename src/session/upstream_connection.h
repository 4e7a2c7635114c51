/* A connection to a MongoDB server, and everything that is bound to it. The client that holds its
 * lease (lease.h) sends on it. Only the thread of its worker uses it. */
#ifndef SLUICE_SESSION_UPSTREAM_CONNECTION_H
#define SLUICE_SESSION_UPSTREAM_CONNECTION_H

#include "auth/standing.h"
#include "net/connector.h"
#include "net/link.h"
#include "session/pool.h"

/* A connection of shared mode that no client holds. */
enum rest {
    REST_NONE,      /* a client holds it, or it is being opened */
    REST_IDLE,      /* in its pool */
    REST_ABANDONED, /* its client left; the reply to its command is outstanding */
    REST_ASKED      /* the server was asked for its identity */
};

struct pool_login;
struct sent_batch;
struct client;
struct session_worker;
struct verifier;

struct upstream_connection {
    struct client *holder;            /* of its lease; written by lease.c only */
    struct upstream_connection *next; /* in the list of closed connections */
    struct session_worker *worker;
    struct link link;               /* LINK_NONE until it is connected: sent bytes wait */
    struct connector *connector;    /* while it is being connected */
    struct standing standing;       /* its identity, from the server */
    struct sent_batch *sent_batch;  /* the batch that waits for its reply here */
    struct server_latency *latency; /* of its server, in the worker's metrics */
    int64_t connect_since_ms;       /* 0: it is connected, or has not started */
    uint32_t reply_left;            /* of the reply being forwarded: the bytes still to come */
    int32_t reply_id;               /* its requestID */
    bool reply_more;                /* the stream continues after it */
    bool sends_header;              /* of the PROXY protocol, before everything else */
    bool opened;                    /* counted in UPSTREAM_NOW */
    bool finished;                  /* the server has the FIN */
    bool may_be_logged_in;          /* a command that may log in was sent on it */
    uint8_t compressors;            /* from its hello: one bit for each enum wire_compressor */

    /* shared mode */
    struct upstream_connection *previous_shared, *next_shared; /* of the worker's list */
    struct pool_entry entry;  /* OUT: it belongs to a client in `session` mode */
    struct pool_login *login; /* owned; the proxy logs in on it (pool_login.h) */
    struct verifier
        *verifier; /* retained; the credential with which the proxy logged in, or NULL */
    struct standing shared_as; /* as `standing`, by the users alone, without their roles */
    int64_t rest_since_ms;     /* ABANDONED, ASKED */
    int64_t asked_us;          /* ASKED */
    enum rest rest;
    bool lost;     /* it ended, or a part of a message is missing: it serves nobody any more */
    bool doubtful; /* a reply says that its users may have lost their login */
    char server[]; /* "host:port" or a socket's path; "" if unknown */
};

/* Makes an unconnected connection without an identity. Copies `server`. NULL without memory. */
struct upstream_connection *upstream_connection_new(struct session_worker *worker,
                                                    const char *server);

/* Does the same for shared mode: puts it into the worker's list. */
struct upstream_connection *upstream_connection_new_shared(struct session_worker *worker,
                                                           const char *server);
/* It belongs to a client of `session` mode from now on. */
void upstream_connection_leave_shared(struct upstream_connection *connection);

static inline struct upstream_connection *upstream_connection_of(struct pool_entry *entry)
{
    return (struct upstream_connection *)((char *)entry -
                                          offsetof(struct upstream_connection, entry));
}

/* No lease may exist any more. The connection stays readable until the end of the loop turn. */
void upstream_connection_close(struct upstream_connection *connection);

/* Frees the closed connections. */
void upstream_connection_reap(struct session_worker *worker);

#endif
