#include "session/pool.h"

#include <string.h>
#include <utlist.h>

#include "base/assert.h"
#include "base/memory.h"
#include "session/pool_internal.h"

enum { KEY_IS_OF_LOGINS = 1, KEY_HAS_IDENTITY = 2, KEY_FRONT_BYTES = 2 + POOL_IDENTITY_BYTES };

/* A bit beside the compressors, which are bits below it. */
enum { KEY_BACKPRESSURE = 0x80 };

struct pools *pools_create(const struct pool_limits *limits)
{
    struct pools *pools = memory_zalloc(sizeof *pools);
    if (pools != NULL)
        pools->limits = *limits;
    return pools;
}

void pools_destroy(struct pools *pools)
{
    if (pools == NULL)
        return;
    sluice_assert(pools->table == NULL && pools->identities == NULL && pools->servers == NULL);
    memory_free(pools);
}

void pools_on_end(struct pools *pools, void (*free_data)(void *data),
                  void (*free_credential)(void *credential))
{
    pools->free_data = free_data;
    pools->free_credential = free_credential;
}

void pools_configure(struct pools *pools, const struct pool_limits *limits)
{
    pools->limits = *limits;
    for (struct pool *pool = pools->table; pool != NULL; pool = pool->hh.next)
        pool_note(pool);
    pools->look_for_openings = true;
}

uint32_t pool_share_of(int64_t limit, unsigned workers, uint32_t least)
{
    int64_t share = limit / workers;
    return share > least ? (uint32_t)share : least;
}

/* uthash's macros make the functions of the tables long. */
// NOLINTNEXTLINE(readability-function-size)
static struct pool_server *find_server(struct pools *pools, const char *name)
{
    size_t len = strlen(name);
    struct pool_server *server = NULL;
    HASH_FIND(hh, pools->servers, name, len, server);
    if (server != NULL)
        return server;
    server = memory_zalloc(sizeof *server + len + 1);
    if (server == NULL)
        return NULL;
    memcpy(server->name, name, len + 1);
    server->pools = pools;
    HASH_ADD(hh, pools->servers, name, len, server);
    if (!server->unhashed)
        return server;
    memory_free(server);
    return NULL;
}

// NOLINTNEXTLINE(readability-function-size)
static void leave_server(struct pool_server *server)
{
    if (--server->users > 0)
        return;
    HASH_DEL(server->pools->servers, server);
    memory_free(server);
}

/* The key is the start of a pool's key: all but the application. */
// NOLINTNEXTLINE(readability-function-size)
static struct pool_identity *find_identity(struct pools *pools, const uint8_t *key, size_t len)
{
    struct pool_identity *identity = NULL;
    HASH_FIND(hh, pools->identities, key, len, identity);
    if (identity != NULL)
        return identity;
    identity = memory_zalloc(sizeof *identity + len);
    if (identity == NULL)
        return NULL;
    memcpy(identity->key, key, len);
    identity->key_bytes = len;
    identity->pools = pools;
    HASH_ADD(hh, pools->identities, key, len, identity);
    if (!identity->unhashed)
        return identity;
    memory_free(identity);
    return NULL;
}

// NOLINTNEXTLINE(readability-function-size)
static void leave_identity(struct pool_identity *identity)
{
    if (--identity->users > 0)
        return;
    HASH_DEL(identity->pools->identities, identity);
    memory_free(identity);
}

// NOLINTNEXTLINE(readability-function-size)
static void free_if_unused(struct pool *pool)
{
    struct pools *pools = pool->pools;
    if (pool->holders > 0 || pool->count.size > 0 || pool->count.own > 0)
        return;
    pool_note(pool);
    HASH_DEL(pools->table, pool);
    DL_DELETE2(pool->server->all, pool, prev_of_server, next_of_server);
    leave_identity(pool->identity);
    leave_server(pool->server);
    if (pools->free_data != NULL && pool->data != NULL)
        pools->free_data(pool->data);
    if (pools->free_credential != NULL && pool->credential != NULL)
        pools->free_credential(pool->credential);
    memory_free(pool);
}

/* Makes a pool with its key, not in any table. */
static struct pool *allocate(struct pools *pools, const struct pool_key *key, bool of_logins)
{
    size_t server_bytes = strlen(key->server) + 1;
    size_t application_bytes = strlen(key->application) + 1;
    size_t key_bytes = KEY_FRONT_BYTES + server_bytes + application_bytes;
    struct pool *pool = memory_zalloc(sizeof *pool + key_bytes);
    if (pool == NULL)
        return NULL;
    pool->pools = pools;
    pool->of_logins = of_logins;
    pool->refillable = key->identity == NULL && !of_logins;
    pool->key_bytes = key_bytes;
    pool->application_at = KEY_FRONT_BYTES + server_bytes;
    pool->key[0] = (uint8_t)((of_logins ? KEY_IS_OF_LOGINS : 0) |
                             (key->identity != NULL ? KEY_HAS_IDENTITY : 0));
    if (key->identity != NULL)
        memcpy(pool->key + 1, key->identity, POOL_IDENTITY_BYTES);
    memcpy(pool->key + KEY_FRONT_BYTES - 1, key->server, server_bytes);
    pool->key[pool->application_at - 1] =
        (uint8_t)(key->compressors | (key->backpressure ? KEY_BACKPRESSURE : 0));
    memcpy(pool->key + pool->application_at, key->application, application_bytes);
    return pool;
}

/* Gives a new pool its server and identity, and puts it into the table. */
// NOLINTNEXTLINE(readability-function-size)
static bool enter(struct pool *pool, const char *server)
{
    struct pools *pools = pool->pools;
    pool->server = find_server(pools, server);
    if (pool->server == NULL)
        return false;
    pool->server->users++;
    pool->identity = find_identity(pools, pool->key, pool->application_at - 1);
    if (pool->identity == NULL) {
        leave_server(pool->server);
        return false;
    }
    pool->identity->users++;
    HASH_ADD_KEYPTR(hh, pools->table, pool->key, pool->key_bytes, pool);
    if (pool->unhashed) {
        leave_identity(pool->identity);
        leave_server(pool->server);
        return false;
    }
    DL_APPEND2(pool->server->all, pool, prev_of_server, next_of_server);
    return true;
}

// NOLINTNEXTLINE(readability-function-size)
static struct pool *hold(struct pools *pools, const struct pool_key *key, bool of_logins)
{
    struct pool *made = allocate(pools, key, of_logins);
    struct pool *pool = NULL;
    if (made == NULL)
        return NULL;
    HASH_FIND(hh, pools->table, made->key, made->key_bytes, pool);
    if (pool != NULL || !enter(made, key->server))
        memory_free(made);
    else
        pool = made;
    if (pool != NULL)
        pool->holders++;
    return pool;
}

struct pool *pool_hold(struct pools *pools, const struct pool_key *key)
{
    return hold(pools, key, false);
}

struct pool *pool_hold_logins(struct pools *pools, const char *server)
{
    return hold(pools, &(struct pool_key){.server = server, .application = ""}, true);
}

void pool_retain(struct pool *pool)
{
    pool->holders++;
}

void pool_release(struct pool *pool)
{
    if (pool == NULL)
        return;
    sluice_assert(pool->holders > 0);
    if (--pool->holders == 0)
        pool_note(pool); /* it needs no idle connections any more */
    free_if_unused(pool);
}

struct pool_key pool_key_of(const struct pool *pool)
{
    uint8_t hello = pool->key[pool->application_at - 1];
    return (struct pool_key){.server = (const char *)pool->key + KEY_FRONT_BYTES - 1,
                             .identity =
                                 (pool->key[0] & KEY_HAS_IDENTITY) != 0 ? pool->key + 1 : NULL,
                             .application = (const char *)pool->key + pool->application_at,
                             .compressors = (uint8_t)(hello & ~KEY_BACKPRESSURE),
                             .backpressure = (hello & KEY_BACKPRESSURE) != 0};
}

bool pool_is_of_logins(const struct pool *pool)
{
    return pool->of_logins;
}

bool pool_is_refillable(const struct pool *pool)
{
    return pool->refillable;
}

void pool_set_refillable(struct pool *pool, bool refillable)
{
    pool->refillable = refillable;
    pool_note(pool);
}

bool pool_is_hopeless(const struct pool *pool)
{
    return !pool->of_logins && !pool->refillable && pool->count.size == 0 && pool->count.own == 0;
}

bool pool_is_empty(const struct pool *pool)
{
    return pool->count.size == 0;
}

bool pool_has_connection(const struct pool *pool)
{
    return pool->count.idle + pool->count.leased > 0;
}

void pool_hold_off(struct pool *pool)
{
    pool->held_off = true;
    pool->pools->any_held_off = true;
    pool_note(pool);
}

void pools_look_again(struct pools *pools)
{
    if (!pools->any_held_off)
        return;
    pools->any_held_off = false;
    for (struct pool *pool = pools->table; pool != NULL; pool = pool->hh.next) {
        pool->held_off = false;
        pool_note(pool);
    }
}

void **pool_data(struct pool *pool)
{
    return &pool->data;
}

void **pool_credential(struct pool *pool)
{
    return &pool->credential;
}

bool pool_is_last(const struct pool *pool)
{
    return !pool->refillable && pool->holders > 0 && pool->count.size <= 1;
}

/* Walks over the server's pools, so its result is kept until the next look for openings. */
uint32_t pool_fair_share(struct pool_server *server)
{
    uint32_t active = 0;
    if (server->share > 0)
        return server->share;
    for (const struct pool *pool = server->all; pool != NULL; pool = pool->next_of_server)
        active += pool->count.size > 0 || pool->plain != NULL || pool->awaiting != NULL;
    uint32_t share = active > 0 ? server->pools->limits.max_total / active : 0;
    server->share = share > 0 ? share : 1;
    return server->share;
}

/* The connections that a pool may have when those of its identity are divided fairly. */
static uint32_t share_of_identity(const struct pool *pool)
{
    uint32_t share = pool->pools->limits.max_size / pool->identity->users;
    return share > 0 ? share : 1;
}

static bool is_identity_full(const struct pool *pool)
{
    return pool->identity->size >= pool->pools->limits.max_size;
}

struct pool_entry *pool_sibling_victim(const struct pool *pool)
{
    struct pool_entry *victim = NULL;
    if (pool->count.size >= share_of_identity(pool))
        return NULL;
    for (struct pool *other = pool->server->all; other != NULL; other = other->next_of_server) {
        if (other == pool || other->identity != pool->identity || other->idle == NULL ||
            other->count.size <= share_of_identity(other))
            continue;
        struct pool_entry *oldest = other->idle->prev;
        if (victim == NULL || oldest->idle_since_ms < victim->idle_since_ms)
            victim = oldest;
    }
    return victim;
}

struct pool_entry *pool_victim_of(const struct pool *pool)
{
    return pool->count.size > 0 && is_identity_full(pool) ? pool_sibling_victim(pool) : NULL;
}

/* The waiters that a free connection could serve. */
static uint32_t servable(const struct pool *pool)
{
    uint32_t limit = pool->pools->limits.await_max;
    uint32_t awaits = limit > pool->count.awaiting ? limit - pool->count.awaiting : 0;
    if (awaits > pool->awaiting_waiting)
        awaits = pool->awaiting_waiting;
    return pool->plain_waiting + awaits;
}

static bool has_room(const struct pool *pool)
{
    return pool->count.size == 0 || !is_identity_full(pool);
}

static bool is_needy(const struct pool *pool)
{
    if (pool->of_logins)
        return pool->plain != NULL;
    if (!pool->refillable || pool->held_off)
        return false;
    if (!has_room(pool) && pool->count.size >= share_of_identity(pool))
        return false;
    if (servable(pool) > pool->count.opening + pool->count.idle)
        return true;
    return pool->holders > 0 &&
           pool->count.idle + pool->count.opening < pool->pools->limits.min_idle;
}

static void set_in_list(struct pool *pool, enum pool_list list, bool in)
{
    struct pools *pools = pool->pools;
    struct pool_place_in_list *place = &pool->lists[list];
    if (place->in == in)
        return;
    place->in = in;
    if (in) {
        struct pool *first = pools->lists[list];
        struct pool *last = first != NULL ? first->lists[list].prev : pool;
        place->prev = last;
        place->next = NULL;
        if (first == NULL) {
            pools->lists[list] = pool;
        } else {
            last->lists[list].next = pool;
            first->lists[list].prev = pool;
        }
        return;
    }
    if (pools->lists[list] == pool)
        pools->lists[list] = place->next;
    else
        place->prev->lists[list].next = place->next;
    struct pool *first = pools->lists[list];
    if (place->next != NULL)
        place->next->lists[list].prev = place->prev;
    else if (first != NULL)
        first->lists[list].prev = place->prev;
}

struct pool *pool_after(const struct pool *pool, enum pool_list list)
{
    return pool->lists[list].next;
}

void pool_rotate(struct pool *pool, enum pool_list list)
{
    set_in_list(pool, list, false);
    set_in_list(pool, list, true);
}

void pool_note(struct pool *pool)
{
    bool waits = pool->plain != NULL || pool->awaiting != NULL;
    bool listed =
        pool->lists[LIST_READY].in || pool->lists[LIST_NEEDY].in || pool->lists[LIST_HOPELESS].in;
    if (!waits && !listed && pool->pools->limits.min_idle == 0)
        return; /* the usual case */
    bool needy = is_needy(pool);
    if (needy)
        pool->pools->look_for_openings = true;
    set_in_list(pool, LIST_READY, pool->idle != NULL && servable(pool) > 0);
    set_in_list(pool, LIST_NEEDY, needy);
    set_in_list(pool, LIST_HOPELESS, waits && pool_is_hopeless(pool));
}

/* Counts the entry for the server, in a place outside of pools. */
static void start(struct pool_server *server, struct pool_entry *entry, int64_t now_ms)
{
    sluice_assert(entry->place == POOL_OUT);
    *entry = (struct pool_entry){.server = server, .opened_ms = now_ms, .logging_in = true};
    server->users++;
    server->total++;
    server->logins++;
}

/* Adds to the count of connections of the pool (`by` may be negative). */
static void resize(struct pool *pool, int by)
{
    pool->count.size += (uint32_t)by;
    pool->identity->size += (uint32_t)by;
}

/* Other pools of the identity may open a connection now. */
static void note_siblings(struct pool *pool)
{
    for (struct pool *other = pool->server->all; other != NULL; other = other->next_of_server)
        if (other->identity == pool->identity)
            pool_note(other);
}

void pool_open(struct pool *pool, struct pool_entry *entry, int64_t now_ms)
{
    start(pool->server, entry, now_ms);
    entry->pool = pool;
    entry->place = POOL_OPENING;
    pool->count.opening++;
    resize(pool, 1);
    pool_note(pool);
}

void pool_open_own(struct pool *logins, struct pool_entry *entry, int64_t now_ms)
{
    start(logins->server, entry, now_ms);
    entry->place = POOL_OWN;
    entry->pool = logins;
    entry->pin = PIN_LOGIN;
    entry->server->own++;
    logins->count.own++;
    logins->count.pinned[PIN_LOGIN]++;
}

void pool_end_login(struct pool_entry *entry)
{
    if (!entry->logging_in)
        return;
    entry->logging_in = false;
    entry->server->logins--;
    entry->server->pools->look_for_openings = true;
}

void pool_count(struct pool_entry *entry, bool counts)
{
    sluice_assert(entry->place == POOL_OWN);
    if (entry->uncounted != counts)
        return;
    entry->uncounted = !counts;
    entry->server->total += counts ? 1 : (uint32_t)-1;
    entry->server->own += counts ? 1 : (uint32_t)-1;
    entry->server->pools->look_for_openings = true;
}

bool pool_is_crowded(const struct pool_entry *entry)
{
    return entry->place == POOL_OWN &&
           entry->server->own > pool_own_max(&entry->server->pools->limits);
}

static void become_idle(struct pool_entry *entry, int64_t now_ms)
{
    struct pool *pool = entry->pool;
    entry->place = POOL_IDLE;
    entry->idle_since_ms = now_ms;
    DL_PREPEND(pool->idle, entry);
    pool->count.idle++;
    pool_note(pool);
    if (pool->server->starved)
        pool->pools->look_for_openings = true;
}

void pool_set_pin(struct pool_entry *entry, enum pool_pin pin)
{
    uint32_t *pinned = entry->pool->count.pinned;
    pinned[entry->pin]--;
    pinned[pin]++;
    entry->pin = pin;
}

/* Takes it out of the place where it is; its counts for the server stay. */
static void move_out(struct pool_entry *entry)
{
    struct pool *pool = entry->pool;
    if (entry->place == POOL_LEASED || entry->place == POOL_OWN)
        pool->count.pinned[entry->pin]--;
    if (entry->place == POOL_OPENING) {
        pool->count.opening--;
    } else if (entry->place == POOL_IDLE) {
        pool->count.idle--;
        DL_DELETE(pool->idle, entry);
    } else if (entry->place == POOL_LEASED) {
        pool->count.leased--;
        pool->count.awaiting -= entry->awaits;
    } else {
        pool_count(entry, true);
        entry->server->own--;
        pool->count.own--;
        entry->server->pools->look_for_openings = true;
    }
    entry->awaits = false;
    entry->pin = PIN_NONE;
}

bool pool_join(struct pool *pool, struct pool_entry *entry, int64_t now_ms)
{
    sluice_assert(entry->place == POOL_OPENING || entry->place == POOL_OWN);
    sluice_assert(entry->server == pool->server && !pool->of_logins);
    struct pool *before = entry->pool;
    bool own = entry->place == POOL_OWN;
    sluice_assert(own || before == pool);
    if (own && !has_room(pool))
        return false;
    move_out(entry);
    entry->pool = pool;
    if (own)
        resize(pool, 1);
    pool_end_login(entry);
    become_idle(entry, now_ms);
    if (before != pool) {
        pool_note(before);
        free_if_unused(before);
    }
    return true;
}

struct pool_entry *pool_take(struct pool *pool, bool awaits)
{
    struct pool_entry *entry = pool->idle;
    if (entry == NULL || (awaits && pool->count.awaiting >= pool->pools->limits.await_max))
        return NULL;
    move_out(entry);
    entry->place = POOL_LEASED;
    entry->pin = PIN_COMMAND;
    entry->awaits = awaits;
    pool->count.pinned[PIN_COMMAND]++;
    pool->count.leased++;
    pool->count.awaiting += awaits;
    if (pool->idle == NULL || pool->count.idle < pool->pools->limits.min_idle)
        pool_note(pool);
    return entry;
}

static bool is_too_old(const struct pool_entry *entry, int64_t now_ms)
{
    int64_t limit_ms = entry->pool->pools->limits.max_lifetime_ms;
    return limit_ms > 0 && now_ms - entry->opened_ms >= limit_ms && !pool_is_last(entry->pool);
}

/* A pool with less than its share found no room at the server. */
static bool must_yield(const struct pool *pool)
{
    return pool->server->starved && pool->count.size > pool_fair_share(pool->server) &&
           !pool_is_last(pool);
}

bool pool_put(struct pool_entry *entry, int64_t now_ms)
{
    sluice_assert(entry->place == POOL_LEASED);
    if (must_yield(entry->pool) || is_too_old(entry, now_ms))
        return false;
    move_out(entry);
    become_idle(entry, now_ms);
    return true;
}

void pool_detach(struct pool_entry *entry)
{
    struct pool *pool = entry->pool;
    sluice_assert(entry->place == POOL_LEASED);
    move_out(entry);
    entry->place = POOL_OWN;
    entry->pin = PIN_LOGIN;
    entry->server->own++;
    pool->count.own++;
    pool->count.pinned[PIN_LOGIN]++;
    resize(pool, -1);
    note_siblings(pool);
}

void pool_drop(struct pool_entry *entry)
{
    struct pool *pool = entry->pool;
    struct pool_server *server = entry->server;
    if (entry->place == POOL_OUT)
        return;
    bool counted = entry->place != POOL_OWN;
    move_out(entry);
    pool_end_login(entry);
    server->total--;
    server->pools->look_for_openings = true;
    if (counted)
        resize(pool, -1);
    *entry = (struct pool_entry){0};
    note_siblings(pool);
    free_if_unused(pool);
    leave_server(server);
}

struct pool_entry *pools_next_expired(struct pools *pools, int64_t now_ms)
{
    const struct pool_limits *limits = &pools->limits;
    for (struct pool *pool = pools->table; pool != NULL; pool = pool->hh.next) {
        if (pool->idle == NULL || pool_is_last(pool))
            continue;
        struct pool_entry *oldest = pool->idle->prev;
        bool spare = pool->holders == 0 || pool->count.idle > limits->min_idle;
        if (spare && limits->idle_timeout_ms > 0 &&
            now_ms - oldest->idle_since_ms >= limits->idle_timeout_ms)
            return oldest;
        for (struct pool_entry *entry = pool->idle; entry != NULL; entry = entry->next)
            if (is_too_old(entry, now_ms))
                return entry;
    }
    return NULL;
}
