/* A client: a connection that an application opened to the proxy, and everything that belongs to
 * it. A client sends upstream on the connection whose lease it holds (lease.h). Only the thread of
 * its worker uses it. */
#ifndef SLUICE_SESSION_CLIENT_H
#define SLUICE_SESSION_CLIENT_H

#include "auth/standing.h"
#include "config/config.h"
#include "enforce/tally.h"
#include "net/address.h"
#include "net/link.h"
#include "session/incoming.h"
#include "session/pool_queue.h"
#include "session/session_worker.h"
#include "wire/sections.h"

struct checking;
struct claim;
struct exchange;
struct hello_wait;
struct joining;
struct limited;
struct saved_hello;
struct verified;
struct trail;
struct wire_opening;
struct wire_walk;

/* The server's limits, as its hello told the client. */
struct client_limits {
    uint32_t document_bytes;
    uint32_t batch_docs;
    uint32_t message_bytes;
};

enum client_state {
    CLIENT_ACTIVE,
    CLIENT_LINGERING, /* the lease is given back: the client gets the bytes that wait, then FIN */
    CLIENT_LEAVING,   /* the client is gone: the upstream gets what waits */
    CLIENT_ENDED      /* freed after this loop turn */
};

/* The stage of a client's next request. The requests before it are pending or have their answers. A
 * request is decided on when the proxy forwards it or answers it. */
enum request_stage {
    REQUEST_AWAITED,   /* the proxy knows nothing of it yet */
    REQUEST_GATHERED,  /* waits for more of its bytes: its body, or all of it */
    REQUEST_QUEUED,    /* waits until all requests before it have their answers */
    REQUEST_HELD,      /* waits until the proxy is resumed */
    REQUEST_WAITING,   /* waits for a connection of its pool */
    REQUEST_LEFT,      /* waits for the next turn of the loop, where its opening or check goes on */
    REQUEST_FORWARDED, /* decided: the bytes that still arrive go upstream */
};

/* A compressed request that is being opened, or is open until it is decided on. */
struct opening {
    struct wire_opening *wire; /* owned; NULL: it is opened in one go, or whole */
    size_t bytes;              /* of `inside`, taken from memory_max */
    bool whole;
    uint8_t inside[];
};

struct client {
    struct client *prev, *next; /* of the worker's list */
    struct session_worker *worker;
    uint64_t id;
    struct link link;
    struct upstream_connection
        *leased; /* lease.c reads and writes it; others use lease_connection */

    /* life */
    int64_t accepted_ms;
    int64_t since_ms;        /* the time of the accept or the last exchange */
    int64_t progress_ms;     /* the client's last bytes, or the last time that none were expected */
    int64_t hold_since_ms;   /* 0: no request was held since the pause */
    int64_t linger_since_ms; /* CLIENT_LINGERING, CLIENT_LEAVING */
    uint32_t unreported_bytes; /* at the last tick */
    enum client_state state;
    bool refused;         /* over max_client_conn */
    bool request_seen;    /* the handshake timeout is over */
    bool finished;        /* it sends nothing more and waits for its answers */
    bool had_transaction; /* the end must forget it */
    bool had_bulk_cursor; /* the end must forget it */
    bool legacy_logged;   /* the log names its use of a removed opcode */

    /* the client's properties */
    bool accepts_overload;        /* its hello had `backpressure` */
    bool is_own_monitoring;       /* its hello came from this process */
    bool hello_seen;              /* it has the answer to its first hello */
    uint8_t compressors;          /* that its first hello was told: one bit for each */
    bool identity_told;           /* since the check of its last insert */
    bool may_be_logged_in;        /* it sent a command that may log in */
    uint8_t authentication_steps; /* since the last login */
    struct client_limits limits;
    struct claim *claim;        /* NULL until the first authentication command */
    struct tally_writer writer; /* from its hello, owned; zeroed before that */

    /* the next request */
    enum request_stage stage;
    uint32_t request_left;        /* REQUEST_FORWARDED: bytes still to come */
    struct turn_waiter next_turn; /* of REQUEST_LEFT */
    struct wire_walk *walk;       /* owned; for a gathered or forwarded request, otherwise NULL */
    struct wire_command
        *parsed;               /* owned; for a waiting request, from its body on; otherwise NULL */
    struct opening *opening;   /* owned; for a compressed request, until it is decided on */
    struct trail *trail;       /* owned; of its tracing, or NULL */
    bool trail_decided;        /* whether it is traced */
    char *traced_address;      /* owned; the peer's host, from the first traced request on */
    struct checking *checking; /* owned; a write that is being checked in portions, or NULL */

    /* earlier requests */
    struct pending_ring pending;
    struct limited *limited;       /* owned; its limits (limited.h), or NULL */
    struct exchange *exchange;     /* owned; NULL for none */
    struct hello_wait *hello_wait; /* owned; NULL for none */
    struct client *resume_next;    /* of worker->to_resume */

    /* shared mode */
    struct pool *pool;          /* held; NULL before its first request and during a login */
    struct pool_waiter waiting; /* REQUEST_WAITING */
    struct standing shared_as;  /* its identity; unknown: it never logged in, or logs in now */
    struct verified *verified;  /* owned; its logins at the proxy (verified.h), or NULL */
    struct saved_hello *hello;  /* its first one; NULL: none yet */
    struct joining *joining;    /* owned (sharing.h); NULL: none */
    struct client *next_joining;
    int64_t conversing_since_ms;
    bool mode_chosen;     /* at its first command */
    bool sharing;         /* it uses connections of pools */
    bool keeps_own;       /* its connection stays its own */
    bool conversing;      /* a login conversation is under way, since conversing_since_ms */
    bool unacknowledged;  /* a w:0 write was sent since the last acknowledged command */
    bool waited_too_long; /* pool.wait_timeout_ms is over */

    struct address_peer peer;
    char context[28]; /* "conn17" */
    char server[];    /* of its listener, "host:port" or a socket's path; "" if unknown */
};

static inline struct client *client_of_waiter(struct pool_waiter *waiter)
{
    return (struct client *)((char *)waiter - offsetof(struct client, waiting));
}

static inline struct counters *client_counters(struct client *client)
{
    return &client->worker->counters;
}

/* The time at which the current bytes were read. */
static inline int64_t client_now_us(const struct client *client)
{
    return worker_turn(client->worker->worker)->now_us;
}

static inline const struct config *client_config(const struct client *client)
{
    return client->worker->settings->config;
}

static inline struct bulk_cursor_use client_cursor_use(const struct client *client)
{
    return (struct bulk_cursor_use){client->server, client->id, client_now_us(client) / 1000};
}

#endif
