#include "session/pool_observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"
#include "session/described_users.h"
#include "session/gather.h"
#include "session/session_worker.h"
#include "session/upstream_connection.h"
#include "wire/compressed.h"

const char *pool_gauge_name(enum pool_gauge gauge)
{
    static const char *const names[POOL_GAUGES] = {"pools", "opening",  "idle",   "leased",
                                                   "own",   "awaiting", "waiting"};
    return names[gauge];
}

const char *pool_pin_name(enum pool_pin pin)
{
    static const char *const names[PIN_REASONS] = {"", "command", "exhaust", "unacknowledged",
                                                   "login"};
    return names[pin];
}

const char *pool_compressor_name(unsigned bit)
{
    return bit <= WIRE_COMPRESSOR_ZSTD ? wire_compressor_name((uint8_t)bit) : "unknown";
}

/* --- figures ------------------------------------------------------------------------------------
 */

struct pool_sum {
    uint32_t values[POOL_GAUGES];
    uint32_t pinned[PIN_REASONS];
    int64_t oldest_wait_ms;
};

struct pool_census {
    struct session_worker *worker;
    struct pool_sum sums[SESSION_SERVERS_MAX + 1];
};

static void add_figures(void *arg, struct pool *pool, const struct pool_figures *figures)
{
    struct pool_census *census = arg;
    size_t place = session_metrics_place(&census->worker->metrics, pool_key_of(pool).server);
    struct pool_sum *sum = &census->sums[place];
    sum->values[POOL_GAUGE_POOLS] +=
        !pool_is_of_logins(pool) && figures->size + figures->waiting > 0;
    sum->values[POOL_GAUGE_OPENING] += figures->opening;
    sum->values[POOL_GAUGE_IDLE] += figures->idle;
    sum->values[POOL_GAUGE_LEASED] += figures->leased;
    sum->values[POOL_GAUGE_OWN] += figures->own;
    sum->values[POOL_GAUGE_AWAITING] += figures->awaiting;
    sum->values[POOL_GAUGE_WAITING] += figures->waiting;
    for (size_t i = 0; i < PIN_REASONS; i++)
        sum->pinned[i] += figures->pinned[i];
    if (figures->oldest_wait_ms != 0 &&
        (sum->oldest_wait_ms == 0 || figures->oldest_wait_ms < sum->oldest_wait_ms))
        sum->oldest_wait_ms = figures->oldest_wait_ms;
}

void pool_observe_all(struct session_worker *worker)
{
    struct pool_census census = {.worker = worker};
    int64_t now_ms = clock_now_ms();
    pools_each(worker->pools, add_figures, &census);
    for (size_t s = 0; s <= SESSION_SERVERS_MAX; s++) {
        const struct pool_sum *sum = &census.sums[s];
        struct server_pools *out = &worker->metrics.pools[s];
        for (size_t i = 0; i < POOL_GAUGES; i++)
            atomic_store_explicit(&out->values[i], sum->values[i], memory_order_relaxed);
        for (size_t i = 0; i < PIN_REASONS; i++)
            atomic_store_explicit(&out->pinned[i], sum->pinned[i], memory_order_relaxed);
        atomic_store_explicit(&out->oldest_wait_ms,
                              sum->oldest_wait_ms == 0 ? 0 : now_ms - sum->oldest_wait_ms,
                              memory_order_relaxed);
    }
}

/* --- the list -----------------------------------------------------------------------------------
 */

struct pool_and_row {
    const struct pool *pool;
    struct pool_row *row;
};

struct pool_fill {
    struct pool_row *rows;
    struct pool_and_row *pools; /* of the rows */
    size_t limit;
    size_t count;
    int64_t now_ms;
};

static void copy_text(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text);
}

static void fill_row(void *arg, struct pool *pool, const struct pool_figures *figures)
{
    struct pool_fill *fill = arg;
    if (fill->count == fill->limit)
        return;
    struct pool_key key = pool_key_of(pool);
    struct pool_row *row = &fill->rows[fill->count];
    fill->pools[fill->count++] = (struct pool_and_row){pool, row};
    copy_text(row->server, sizeof row->server, key.server);
    copy_text(row->application, sizeof row->application, key.application);
    row->has_identity = key.identity != NULL;
    if (row->has_identity)
        memcpy(row->identity, key.identity, sizeof row->identity);
    row->of_logins = pool_is_of_logins(pool);
    row->refillable = pool_is_refillable(pool);
    row->compressors = key.compressors;
    row->backpressure = key.backpressure;
    row->figures = *figures;
    if (figures->oldest_wait_ms != 0)
        row->figures.oldest_wait_ms = fill->now_ms - figures->oldest_wait_ms;
}

static int by_pool(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t)((const struct pool_and_row *)a)->pool;
    uintptr_t right = (uintptr_t)((const struct pool_and_row *)b)->pool;
    return (left > right) - (left < right);
}

/* The connections of a pool belong to its users. */
static void name_users(const struct session_worker *worker, const struct pool_fill *fill)
{
    const struct upstream_connection *connection = NULL;
    qsort(fill->pools, fill->count, sizeof *fill->pools, by_pool);
    for (connection = worker->shared_connections; connection != NULL;
         connection = connection->next_shared) {
        const struct pool_and_row key = {.pool = connection->entry.pool};
        if (key.pool == NULL)
            continue;
        const struct pool_and_row *found =
            bsearch(&key, fill->pools, fill->count, sizeof key, by_pool);
        if (found != NULL && found->row->has_identity && found->row->users[0] == 0)
            (void)described_users_of(connection, found->row->users);
    }
}

/* On the worker's thread. */
static size_t fill_rows(struct session_worker *worker, uint64_t unused, void *rows, size_t limit)
{
    struct pool_fill fill = {.rows = rows, .limit = limit, .now_ms = clock_now_ms()};
    (void)unused;
    fill.pools = memory_array(limit, sizeof *fill.pools);
    if (fill.pools == NULL)
        return 0;
    pools_each(worker->pools, fill_row, &fill);
    name_users(worker, &fill);
    memory_free(fill.pools);
    return fill.count;
}

static int by_key(const void *a, const void *b)
{
    const struct pool_row *left = a;
    const struct pool_row *right = b;
    int order = strcmp(left->server, right->server);
    if (order == 0)
        order = strcmp(left->application, right->application);
    if (order == 0)
        order = memcmp(left->identity, right->identity, sizeof left->identity);
    if (order == 0)
        order = left->has_identity - right->has_identity;
    if (order == 0)
        order = left->of_logins - right->of_logins;
    if (order == 0)
        order = left->compressors - right->compressors;
    return order != 0 ? order : left->backpressure - right->backpressure;
}

static int by_display(const void *a, const void *b)
{
    const struct pool_row *left = a;
    const struct pool_row *right = b;
    int order = strcmp(left->server, right->server);
    if (order == 0)
        order = strcmp(left->users, right->users);
    return order != 0 ? order : by_key(a, b);
}

static void add_row(struct pool_row *into, const struct pool_row *row)
{
    struct pool_figures *sum = &into->figures;
    const struct pool_figures *one = &row->figures;
    if (into->users[0] == 0)
        copy_text(into->users, sizeof into->users, row->users);
    into->refillable = into->refillable || row->refillable;
    sum->size += one->size;
    sum->opening += one->opening;
    sum->idle += one->idle;
    sum->leased += one->leased;
    sum->awaiting += one->awaiting;
    sum->own += one->own;
    sum->waiting += one->waiting;
    if (one->oldest_wait_ms > sum->oldest_wait_ms)
        sum->oldest_wait_ms = one->oldest_wait_ms;
    for (size_t i = 0; i < PIN_REASONS; i++)
        sum->pinned[i] += one->pinned[i];
}

/* Makes one row of the parts of the workers. Returns the number of rows. */
static size_t join_parts(struct pool_row *rows, size_t count)
{
    size_t joined = 0;
    qsort(rows, count, sizeof *rows, by_key);
    for (size_t i = 0; i < count; i++) {
        if (joined > 0 && by_key(&rows[joined - 1], &rows[i]) == 0)
            add_row(&rows[joined - 1], &rows[i]);
        else if (joined++ != i)
            rows[joined - 1] = rows[i];
    }
    return joined;
}

bool pool_list(struct session_worker *const *workers, unsigned worker_count, unsigned timeout_ms,
               struct pool_rows *out)
{
    struct gathered gathered;
    const struct gather_question question = {.workers = workers,
                                             .worker_count = worker_count,
                                             .timeout_ms = timeout_ms,
                                             .fill = fill_rows,
                                             .row_bytes = sizeof(struct pool_row),
                                             .limit = POOL_ROWS_MAX};
    if (!gather(&question, &gathered))
        return false;
    *out = (struct pool_rows){.of = gathered.rows, .complete = gathered.complete};
    size_t count = gathered.count == 0 ? 0 : join_parts(out->of, gathered.count);
    if (count > 0)
        qsort(out->of, count, sizeof *out->of, by_display);
    out->count = count > POOL_ROWS_MAX ? POOL_ROWS_MAX : count;
    out->left_out = count - out->count;
    return true;
}
