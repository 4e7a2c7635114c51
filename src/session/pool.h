/* The pools of shared upstream connections of one worker: it counts connections, keeps the idle
 * ones, and decides which client gets the next one, and which pool opens one. A pool belongs to a
 * server, an identity, an application name, a set of compressors, and `backpressure` in hello. The
 * file pool_queue.h holds the waiting clients. Pure: time is a parameter, and the caller opens and
 * closes connections.
 *
 * A connection's entry is at one place:
 *
 *   OUT --pool_open--> OPENING --pool_join--> IDLE <--pool_take, pool_put--> LEASED
 *   OUT --pool_open_own--> OWN --pool_join--> IDLE          LEASED --pool_detach--> OWN
 *   all places --pool_drop--> OUT
 *
 * OWN means that the connection belongs to one client, because its identity may change. It counts
 * for the server, and not for the identity. */
#ifndef SLUICE_SESSION_POOL_H
#define SLUICE_SESSION_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_IDENTITY_BYTES = 32 };

struct pool;
struct pool_server;
struct pools;

/* The shares of one worker. */
struct pool_limits {
    uint32_t max_size;  /* of a server and identity; a pool may always have one connection */
    uint32_t max_total; /* of a server */
    uint32_t min_idle;
    uint32_t waiters_max;    /* of a server */
    uint32_t logins_max;     /* of a server: connections that open or log in */
    uint32_t await_max;      /* of a pool: connections with an awaiting command */
    int64_t idle_timeout_ms; /* 0: never */
    int64_t max_lifetime_ms; /* 0: no limit */
};

struct pool_key {
    const char *server;
    const uint8_t *identity; /* NULL: clients and connections that never logged in */
    const char *application;
    uint8_t compressors;
    bool backpressure; /* its hello says that errors of overload are understood */
};

enum pool_place { POOL_OUT, POOL_OPENING, POOL_IDLE, POOL_LEASED, POOL_OWN };

/* The reasons for which a client keeps its connection. */
enum pool_pin { PIN_NONE, PIN_COMMAND, PIN_EXHAUST, PIN_UNACKNOWLEDGED, PIN_LOGIN, PIN_REASONS };

/* In each upstream connection; all zeros: OUT. */
struct pool_entry {
    struct pool_entry *prev, *next; /* IDLE: of the pool's stack */
    struct pool *pool;              /* OWN: the pool that it left; NULL: none */
    struct pool_server *server;
    int64_t opened_ms;
    int64_t idle_since_ms;
    enum pool_place place;
    enum pool_pin pin; /* LEASED and OWN; pool_set_pin */
    bool awaits;       /* LEASED: for a command that awaits data */
    bool logging_in;   /* OPENING or OWN: it counts for logins_max */
    bool uncounted;    /* OWN: it counts for no limit; pool_count */
};

struct pool_figures {
    uint32_t size; /* OPENING, IDLE and LEASED */
    uint32_t opening;
    uint32_t idle;
    uint32_t leased;
    uint32_t awaiting; /* of `leased` */
    uint32_t own;      /* left the pool for a client and may come back */
    uint32_t waiting;
    int64_t oldest_wait_ms;       /* the time of the oldest waiter; 0 without one */
    uint32_t pinned[PIN_REASONS]; /* of LEASED and OWN */
};

/* NULL without memory. */
struct pools *pools_create(const struct pool_limits *limits);
/* No entry, waiter or holder may be left. NULL is allowed. */
void pools_destroy(struct pools *pools);
void pools_configure(struct pools *pools, const struct pool_limits *limits);
/* A worker's share of a limit that `workers` workers divide; at least `least`. */
uint32_t pool_share_of(int64_t limit, unsigned workers, uint32_t least);

/* The pool of that key, created at need. The caller holds it until pool_release. NULL without
 * memory. A pool ends with its last holder and entry. */
struct pool *pool_hold(struct pools *pools, const struct pool_key *key);
/* The place where clients wait for a connection of their own; in other respects like pool_hold. */
struct pool *pool_hold_logins(struct pools *pools, const char *server);
void pool_retain(struct pool *pool);
void pool_release(struct pool *pool);

struct pool_key pool_key_of(const struct pool *pool);
bool pool_is_of_logins(const struct pool *pool);
/* True if the proxy can open its connections itself. Pools of an identity begin with false. */
bool pool_is_refillable(const struct pool *pool);
void pool_set_refillable(struct pool *pool, bool refillable);
/* True if it has no connection, and none can come. */
bool pool_is_hopeless(const struct pool *pool);
/* True if it has a connection that is open: IDLE or LEASED. */
bool pool_has_connection(const struct pool *pool);
bool pool_is_empty(const struct pool *pool);
/* It opens no connection until pools_look_again, because the last attempt failed. */
void pool_hold_off(struct pool *pool);
void pools_look_again(struct pools *pools);
/* A value of the caller, NULL at first: the pool's first hello. The caller frees it by `free_data`
 * of pools_on_end. */
void **pool_data(struct pool *pool);
/* Another such value: the credential with which the proxy logs in its connections. */
void **pool_credential(struct pool *pool);
void pools_on_end(struct pools *pools, void (*free_data)(void *data),
                  void (*free_credential)(void *credential));

/* OUT → OPENING, for a connection that the proxy opens. */
void pool_open(struct pool *pool, struct pool_entry *entry, int64_t now_ms);
/* OUT → OWN, for the connection of one client; `logins` is from pool_hold_logins. It counts as a
 * login until pool_end_login. */
void pool_open_own(struct pool *logins, struct pool_entry *entry, int64_t now_ms);
void pool_end_login(struct pool_entry *entry);
/* Whether an OWN entry counts for max_total. It does at first; that of a client in session mode
 * that is not logged in does not. */
void pool_count(struct pool_entry *entry, bool counts);
/* True if single clients have more connections of the server than they should. */
bool pool_is_crowded(const struct pool_entry *entry);
/* OPENING, OWN → IDLE. False if the pool is full: the caller drops and closes the connection. */
bool pool_join(struct pool *pool, struct pool_entry *entry, int64_t now_ms);
/* The IDLE entry of another application to drop before pool_join, if the identity is full and the
 * pool has less than its share; NULL: none. */
struct pool_entry *pool_victim_of(const struct pool *pool);
/* IDLE → LEASED, the newest; NULL: there is none, or (`awaits`) too many await already. */
struct pool_entry *pool_take(struct pool *pool, bool awaits);
/* LEASED → IDLE. False if it makes room for another pool, or is too old: the caller drops and
 * closes the connection. */
bool pool_put(struct pool_entry *entry, int64_t now_ms);
/* LEASED → OWN. */
void pool_detach(struct pool_entry *entry);
/* Notes the reason for which the client keeps a LEASED or OWN connection. */
void pool_set_pin(struct pool_entry *entry, enum pool_pin pin);
/* → OUT. */
void pool_drop(struct pool_entry *entry);

/* An IDLE entry whose time is over; NULL: none. The caller drops it. */
struct pool_entry *pools_next_expired(struct pools *pools, int64_t now_ms);

/* Calls `each` for all pools; figures of the pools of logins have `own` alone. */
void pools_each(struct pools *pools,
                void (*each)(void *arg, struct pool *pool, const struct pool_figures *figures),
                void *arg);

#endif
