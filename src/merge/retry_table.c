#include "merge/retry_table.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/table.h"
#include <utlist.h>

enum {
    SHARDS = 32,
    EXPIRE_STEPS = 2, /* idle entries that one call removes: the table shrinks with use */
    EVICT_STEPS = 16  /* entries that one call examines for eviction */
};

enum retry_state { STATE_DIRECT, STATE_PENDING, STATE_UNSENT, STATE_DONE, STATE_UNKNOWN };

struct retry_entry {
    UT_hash_handle hh;
    struct retry_entry *prev, *next; /* least recently used first */
    struct retry_key key;
    enum retry_state state;
    bool unhashed; /* there was no memory to insert it */
    int64_t number;
    uint64_t what;
    int64_t used_us;
    struct retry_op *op;          /* PENDING */
    uint8_t *reply;               /* DONE; owned */
    size_t reply_bytes;           /* DONE */
    struct retry_numbers numbers; /* UNKNOWN */
};

struct shard {
    pthread_mutex_t lock;
    struct retry_entry *table;
    struct retry_entry *used;
};

struct retry_op {
    struct shard *shard;
    struct retry_entry *entry; /* NULL: a higher number replaced it, or it was dropped */
    struct retry_waiter *waiters;
};

struct retry_waiter {
    struct retry_waiter *prev, *next;
    struct shard *shard;
    struct retry_op *op; /* NULL: done was called */
    struct retry_listener listener;
};

struct retry_table {
    struct shard shards[SHARDS];
    atomic_size_t cap_bytes;
    atomic_size_t bytes;
    atomic_size_t entries;
};

struct retry_table *retry_table_create(size_t cap_bytes)
{
    struct retry_table *table = memory_zalloc(sizeof *table);
    if (table == NULL)
        return NULL;
    atomic_init(&table->cap_bytes, cap_bytes);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&table->shards[i].lock, NULL);
    return table;
}

void retry_table_set_cap(struct retry_table *table, size_t cap_bytes)
{
    atomic_store_explicit(&table->cap_bytes, cap_bytes, memory_order_relaxed);
}

size_t retry_table_entries(const struct retry_table *table)
{
    return atomic_load_explicit(&table->entries, memory_order_relaxed);
}

size_t retry_table_bytes(const struct retry_table *table)
{
    return atomic_load_explicit(&table->bytes, memory_order_relaxed);
}

uint64_t retry_what(struct bytes database, struct bytes collection, uint32_t documents)
{
    uint64_t a = keyed_hash(database.pos, bytes_left(&database));
    uint64_t b = keyed_hash(collection.pos, bytes_left(&collection));
    uint64_t what = (a ^ (b << 1 | b >> 63)) + documents;
    return what == 0 ? 1 : what;
}

static void take_bytes(struct retry_table *table, size_t bytes)
{
    atomic_fetch_add_explicit(&table->bytes, bytes, memory_order_relaxed);
}

static void give_bytes(struct retry_table *table, size_t bytes)
{
    atomic_fetch_sub_explicit(&table->bytes, bytes, memory_order_relaxed);
}

static void drop_reply(struct retry_table *table, struct retry_entry *entry)
{
    give_bytes(table, entry->reply_bytes);
    memory_free(entry->reply);
    entry->reply = NULL;
    entry->reply_bytes = 0;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static void drop(struct retry_table *table, struct shard *shard, struct retry_entry *entry)
{
    if (entry->op != NULL)
        entry->op->entry = NULL; /* the op ends without an entry */
    drop_reply(table, entry);
    HASH_DEL(shard->table, entry);
    DL_DELETE(shard->used, entry);
    give_bytes(table, sizeof *entry);
    atomic_fetch_sub_explicit(&table->entries, 1, memory_order_relaxed);
    memory_free(entry);
}

void retry_table_destroy(struct retry_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        while (shard->used != NULL) {
            sluice_assert(shard->used->op == NULL);
            drop(table, shard, shard->used);
        }
        pthread_mutex_destroy(&shard->lock);
    }
    memory_free(table);
}

static struct shard *shard_of(struct retry_table *table, const struct retry_key *key)
{
    return &table->shards[keyed_hash(key->lsid, sizeof key->lsid) / (UINT64_MAX / SHARDS + 1)];
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static struct retry_entry *find(struct shard *shard, const struct retry_key *key)
{
    struct retry_entry *entry = NULL;
    HASH_FIND(hh, shard->table, key, sizeof *key, entry);
    return entry;
}

static void touch(struct shard *shard, struct retry_entry *entry, int64_t now_us)
{
    entry->used_us = now_us;
    if (entry->next == NULL)
        return; /* it is already the last one */
    DL_DELETE(shard->used, entry);
    DL_APPEND(shard->used, entry);
}

/* Rule 3. */
static void expire(struct retry_table *table, struct shard *shard, int64_t now_us)
{
    for (int i = 0; i < EXPIRE_STEPS; i++) {
        struct retry_entry *oldest = shard->used;
        if (oldest == NULL || oldest->state == STATE_PENDING ||
            now_us - oldest->used_us < RETRY_IDLE_US)
            return;
        drop(table, shard, oldest);
    }
}

/* Rule 5. Makes room for this many bytes, without removing `keep`. */
static bool make_room(struct retry_table *table, struct shard *shard, size_t bytes,
                      const struct retry_entry *keep, int64_t now_us)
{
    size_t cap = atomic_load_explicit(&table->cap_bytes, memory_order_relaxed);
    struct retry_entry *entry = shard->used;
    for (int i = 0; i < EVICT_STEPS && entry != NULL; i++) {
        struct retry_entry *next = entry->next;
        size_t used = retry_table_bytes(table);
        if (used <= cap && bytes <= cap - used)
            return true;
        bool may_go = entry->state == STATE_DIRECT ||
                      (entry->state != STATE_PENDING && now_us - entry->used_us > RETRY_KEEP_US);
        if (may_go && entry != keep)
            drop(table, shard, entry);
        entry = next;
    }
    size_t used = retry_table_bytes(table);
    return used <= cap && bytes <= cap - used;
}

/* uthash's macro makes it long. */
// NOLINTNEXTLINE(readability-function-size)
static void add_direct(struct retry_table *table, struct shard *shard,
                       const struct retry_request *request)
{
    if (!make_room(table, shard, sizeof(struct retry_entry), NULL, request->now_us))
        return;
    struct retry_entry *entry = memory_zalloc(sizeof *entry);
    if (entry == NULL)
        return;
    entry->key = request->key;
    entry->state = STATE_DIRECT;
    entry->number = request->number;
    entry->what = request->what;
    entry->used_us = request->now_us;
    HASH_ADD(hh, shard->table, key, sizeof entry->key, entry);
    if (entry->unhashed) {
        memory_free(entry);
        return;
    }
    DL_APPEND(shard->used, entry);
    take_bytes(table, sizeof *entry);
    atomic_fetch_add_explicit(&table->entries, 1, memory_order_relaxed);
}

/* Makes the entry represent another insert, or another way of the same insert. */
static void become(struct retry_table *table, struct retry_entry *entry, enum retry_state state)
{
    if (entry->op != NULL)
        entry->op->entry = NULL;
    entry->op = NULL;
    drop_reply(table, entry);
    entry->state = state;
}

static struct retry_op *make_pending(struct retry_table *table, struct shard *shard,
                                     struct retry_entry *entry)
{
    struct retry_op *op = memory_zalloc(sizeof *op);
    if (op == NULL)
        return NULL;
    become(table, entry, STATE_PENDING);
    op->shard = shard;
    op->entry = entry;
    entry->op = op;
    return op;
}

static enum retry_found begin_new(struct retry_table *table, struct shard *shard,
                                  struct retry_entry *entry, const struct retry_request *request,
                                  struct retry_answer *answer)
{
    enum retry_want want = request->want;
    if (want == RETRY_WANT_NOTHING)
        return RETRY_FOUND_NEW;
    if (want == RETRY_WANT_MERGED)
        answer->op = make_pending(table, shard, entry);
    if (answer->op == NULL)
        become(table, entry, STATE_DIRECT);
    entry->number = request->number;
    entry->what = request->what;
    if (answer->op != NULL)
        return RETRY_FOUND_MERGE;
    return want == RETRY_WANT_MERGED ? RETRY_FOUND_DIRECT : RETRY_FOUND_NEW;
}

static enum retry_found add_waiter(struct shard *shard, struct retry_op *op,
                                   const struct retry_listener *listener,
                                   struct retry_answer *answer)
{
    struct retry_waiter *waiter = memory_zalloc(sizeof *waiter);
    if (waiter == NULL)
        return RETRY_FOUND_NO_MEMORY;
    waiter->shard = shard;
    waiter->op = op;
    waiter->listener = *listener;
    DL_APPEND(op->waiters, waiter);
    answer->retry_waiter = waiter;
    return RETRY_FOUND_PENDING;
}

static enum retry_found replay(const struct retry_entry *entry, struct retry_answer *answer)
{
    uint8_t *copy = memory_alloc(entry->reply_bytes);
    if (copy == NULL)
        return RETRY_FOUND_NO_MEMORY;
    memcpy(copy, entry->reply, entry->reply_bytes);
    answer->reply = bytes_of(copy, entry->reply_bytes);
    return RETRY_FOUND_DONE;
}

static enum retry_found begin_again(struct retry_table *table, struct shard *shard,
                                    struct retry_entry *entry, const struct retry_request *request,
                                    struct retry_answer *answer)
{
    switch (entry->state) {
    case STATE_PENDING:
        return add_waiter(shard, entry->op, request->listener, answer);
    case STATE_DONE:
        return replay(entry, answer);
    case STATE_UNSENT:
        return begin_new(table, shard, entry, request, answer);
    case STATE_UNKNOWN:
        answer->op = make_pending(table, shard, entry);
        answer->numbers = entry->numbers;
        return answer->op == NULL ? RETRY_FOUND_NO_MEMORY : RETRY_FOUND_RESEND;
    case STATE_DIRECT:
        break;
    }
    return RETRY_FOUND_DIRECT;
}

static enum retry_found begin_locked(struct retry_table *table, struct shard *shard,
                                     const struct retry_request *request,
                                     struct retry_answer *answer)
{
    expire(table, shard, request->now_us);
    struct retry_entry *entry = find(shard, &request->key);
    if (entry == NULL) {
        if (request->want == RETRY_WANT_DIRECT || request->want == RETRY_WANT_MERGED)
            add_direct(table, shard, request);
        return RETRY_FOUND_UNKNOWN;
    }
    if (request->number < entry->number)
        return entry->state == STATE_DIRECT ? RETRY_FOUND_DIRECT : RETRY_FOUND_TOO_OLD;
    if (request->number == entry->number && request->what != entry->what)
        return RETRY_FOUND_DIRECT; /* another command under the same number */
    touch(shard, entry, request->now_us);
    return request->number > entry->number ? begin_new(table, shard, entry, request, answer)
                                           : begin_again(table, shard, entry, request, answer);
}

enum retry_found retry_table_begin(struct retry_table *table, const struct retry_request *request,
                                   struct retry_answer *answer)
{
    struct shard *shard = shard_of(table, &request->key);
    *answer = (struct retry_answer){0};
    pthread_mutex_lock(&shard->lock);
    enum retry_found found = begin_locked(table, shard, request, answer);
    pthread_mutex_unlock(&shard->lock);
    return found;
}

/* Keeps a copy of the final reply; false without room. */
static bool keep_reply(struct retry_table *table, struct retry_op *op, struct bytes reply,
                       int64_t now_us)
{
    size_t len = bytes_left(&reply);
    struct retry_entry *entry = op->entry;
    if (len == 0 || !make_room(table, op->shard, len, entry, now_us))
        return false;
    uint8_t *copy = memory_alloc(len);
    if (copy == NULL)
        return false;
    memcpy(copy, reply.pos, len);
    entry->reply = copy;
    entry->reply_bytes = len;
    take_bytes(table, len);
    return true;
}

/* Returns true if the numbers are still needed. */
static bool settle_entry(struct retry_table *table, struct retry_op *op, enum retry_end end,
                         const struct retry_numbers *numbers, struct bytes reply, int64_t now_us)
{
    struct retry_entry *entry = op->entry;
    if (entry == NULL)
        return false; /* nobody can ask for it any more */
    sluice_assert(entry->op == op && entry->state == STATE_PENDING);
    entry->op = NULL;
    touch(op->shard, entry, now_us);
    if (end == RETRY_END_DIRECT || end == RETRY_END_UNSENT) {
        entry->state = end == RETRY_END_DIRECT ? STATE_DIRECT : STATE_UNSENT;
        return false;
    }
    bool done = end == RETRY_END_DONE && keep_reply(table, op, reply, now_us);
    entry->state = done ? STATE_DONE : STATE_UNKNOWN;
    if (!done)
        entry->numbers = *numbers;
    return !done;
}

bool retry_settle(struct retry_table *table, struct retry_op *op, enum retry_end end,
                  const struct retry_numbers *numbers, struct bytes reply, int64_t now_us)
{
    struct shard *shard = op->shard;
    struct retry_waiter *next = NULL;
    bool answered = (end == RETRY_END_DONE || end == RETRY_END_REFUSED) && bytes_left(&reply) > 0;
    pthread_mutex_lock(&shard->lock);
    bool needed = settle_entry(table, op, end, numbers, reply, now_us);
    for (struct retry_waiter *each = op->waiters; each != NULL; each = next) {
        next = each->next;
        sluice_assert(each->op == op);
        each->op = NULL; /* done: never called again */
        each->listener.done(each->listener.arg, answered ? RETRY_RESULT_REPLY : RETRY_RESULT_AGAIN,
                            answered ? reply : (struct bytes){0});
    }
    pthread_mutex_unlock(&shard->lock);
    memory_free(op);
    return needed;
}

bool retry_is_awaited(struct retry_op *op)
{
    pthread_mutex_lock(&op->shard->lock);
    bool awaited = op->waiters != NULL;
    pthread_mutex_unlock(&op->shard->lock);
    return awaited;
}

void retry_stop_waiting(struct retry_waiter *waiter)
{
    pthread_mutex_lock(&waiter->shard->lock);
    if (waiter->op != NULL)
        DL_DELETE(waiter->op->waiters, waiter);
    pthread_mutex_unlock(&waiter->shard->lock);
    memory_free(waiter);
}

void retry_table_forget(struct retry_table *table, const struct retry_key *key)
{
    struct shard *shard = shard_of(table, key);
    pthread_mutex_lock(&shard->lock);
    struct retry_entry *entry = find(shard, key);
    if (entry != NULL && entry->state != STATE_PENDING)
        drop(table, shard, entry);
    pthread_mutex_unlock(&shard->lock);
}

void retry_table_forget_all(struct retry_table *table)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        struct retry_entry *entry = NULL;
        struct retry_entry *next = NULL;
        pthread_mutex_lock(&shard->lock);
        DL_FOREACH_SAFE(shard->used, entry, next)
        if (entry->state != STATE_PENDING)
            drop(table, shard, entry);
        pthread_mutex_unlock(&shard->lock);
    }
}
