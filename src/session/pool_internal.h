/* The parts of pool_places.c that pool_queue.c uses, too. Private to these two. */
#ifndef SLUICE_SESSION_POOL_INTERNAL_H
#define SLUICE_SESSION_POOL_INTERNAL_H

#include "base/table.h"
#include "session/pool.h"

/* The lists of a worker that a pool can be in. */
enum pool_list { LIST_READY, LIST_NEEDY, LIST_HOPELESS, POOL_LISTS };

struct pool_place_in_list {
    struct pool *prev, *next;
    bool in;
};

struct pool_waiter;

struct pool_server {
    UT_hash_handle hh;
    bool unhashed;
    struct pools *pools;
    uint32_t users;   /* its pools and entries */
    uint32_t total;   /* its entries that count */
    uint32_t own;     /* those in place OWN that count */
    uint32_t logins;  /* those that open or log in */
    uint32_t waiting; /* its waiters */
    uint32_t share;   /* pool_fair_share; 0: to be counted */
    bool exhausted;   /* in this look for openings: no idle connection can be spared */
    bool starved;     /* a pool with less than its share found no room */
    struct pool *all; /* its pools, over of_server */
    char name[];
};

struct pool_identity {
    UT_hash_handle hh;
    bool unhashed;
    struct pools *pools;
    uint32_t users; /* its pools */
    uint32_t size;  /* the size of all its pools */
    size_t key_bytes;
    uint8_t key[]; /* identity and server */
};

struct pool {
    UT_hash_handle hh;
    bool unhashed;
    bool of_logins;
    bool refillable;
    bool held_off; /* pool_hold_off */
    struct pools *pools;
    struct pool_server *server;
    struct pool_identity *identity;
    uint32_t holders;
    uint32_t plain_waiting;
    uint32_t awaiting_waiting;
    struct pool_figures count; /* without `waiting` and `oldest_wait_ms` */
    struct pool_entry *idle;   /* newest first */
    struct pool_waiter *plain; /* oldest first */
    struct pool_waiter *awaiting;
    struct pool_place_in_list lists[POOL_LISTS];
    struct pool *prev_of_server, *next_of_server;
    void *data;
    void *credential;
    size_t application_at; /* in `key` */
    size_t key_bytes;
    uint8_t key[]; /* flags, identity, server, application */
};

struct pools {
    struct pool_limits limits;
    struct pool *table;
    struct pool_identity *identities;
    struct pool_server *servers;
    struct pool *lists[POOL_LISTS]; /* first come, first served */
    bool any_held_off;
    bool look_for_openings; /* something changed since the last look without a result */
    void (*free_data)(void *data);
    void (*free_credential)(void *credential);
};

/* Of max_total, for connections of single clients. */
static inline uint32_t pool_own_max(const struct pool_limits *limits)
{
    return limits->max_total > 1 ? limits->max_total / 2 : 1;
}

/* Puts the pool into the lists in which it belongs now. */
void pool_note(struct pool *pool);
/* Moves the pool to the end of a list that it is in. */
void pool_rotate(struct pool *pool, enum pool_list list);
/* The connections that a pool may have when a server's connections are divided fairly. */
uint32_t pool_fair_share(struct pool_server *server);
/* An idle connection of another application of the pool's identity that has more than its share,
 * if the pool has less; NULL: none. */
struct pool_entry *pool_sibling_victim(const struct pool *pool);
/* True if the only connection of the pool cannot be replaced and clients need it. */
bool pool_is_last(const struct pool *pool);
struct pool *pool_after(const struct pool *pool, enum pool_list list);

#endif
