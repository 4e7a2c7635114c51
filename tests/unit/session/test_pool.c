/* Pools: single rules, and random steps beside a naive model that counts everything anew. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "session/pool_queue.h"

static const struct pool_limits small = {.max_size = 3,
                                         .max_total = 5,
                                         .waiters_max = 4,
                                         .logins_max = 2,
                                         .await_max = 1,
                                         .idle_timeout_ms = 100};

static const uint8_t alice[POOL_IDENTITY_BYTES] = {1};
static const uint8_t bob[POOL_IDENTITY_BYTES] = {2};

static struct pool *pool_of(struct pools *pools, const uint8_t *identity, const char *application)
{
    const struct pool_key key = {.server = "a:1", .identity = identity, .application = application};
    struct pool *pool = pool_hold(pools, &key);
    assert_non_null(pool);
    return pool;
}

struct found {
    const struct pool *pool;
    struct pool_figures figures;
};

static void find(void *arg, struct pool *pool, const struct pool_figures *figures)
{
    struct found *found = arg;
    if (pool == found->pool)
        found->figures = *figures;
}

static struct pool_figures figures_of(struct pools *pools, const struct pool *pool)
{
    struct found found = {.pool = pool};
    pools_each(pools, find, &found);
    return found.figures;
}

static void keys_separate_pools(void **state)
{
    (void)state;
    struct pools *pools = pools_create(&small);
    struct pool *nobody = pool_of(pools, NULL, "x");
    const uint8_t zeros[POOL_IDENTITY_BYTES] = {0};
    const struct pool_key packed = {.server = "a:1", .application = "x", .compressors = 2};
    const struct pool_key yields = {
        .server = "a:1", .application = "x", .compressors = 2, .backpressure = true};
    struct pool *others[] = {pool_of(pools, alice, "x"), pool_of(pools, bob, "x"),
                             pool_of(pools, NULL, "y"),  pool_of(pools, zeros, "x"),
                             pool_hold(pools, &packed),  pool_hold_logins(pools, "a:1"),
                             pool_hold(pools, &yields)};
    const size_t count = sizeof others / sizeof others[0];
    assert_ptr_equal(pool_of(pools, NULL, "x"), nobody);
    pool_release(nobody);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_not_equal(others[i], nobody);
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(others[i], others[j]);
    }
    assert_true(pool_is_refillable(nobody));
    assert_false(pool_is_refillable(others[0]));
    assert_true(pool_is_hopeless(others[0]));
    assert_string_equal(pool_key_of(others[2]).application, "y");
    assert_string_equal(pool_key_of(others[2]).server, "a:1");
    assert_memory_equal(pool_key_of(others[1]).identity, bob, POOL_IDENTITY_BYTES);
    assert_int_equal(pool_key_of(others[4]).compressors, 2);
    assert_false(pool_key_of(others[4]).backpressure);
    assert_int_equal(pool_key_of(others[6]).compressors, 2);
    assert_true(pool_key_of(others[6]).backpressure);
    for (size_t i = 0; i < count; i++)
        pool_release(others[i]);
    pool_release(nobody);
    pools_destroy(pools);
}

static void the_newest_idle_connection_is_taken_first(void **state)
{
    (void)state;
    struct pools *pools = pools_create(&small);
    struct pool *pool = pool_of(pools, NULL, "x");
    struct pool_entry a = {0};
    struct pool_entry b = {0};
    pool_open(pool, &a, 1);
    pool_open(pool, &b, 1);
    assert_null(pool_take(pool, false));
    assert_true(pool_join(pool, &a, 2));
    assert_true(pool_join(pool, &b, 3));
    assert_ptr_equal(pool_take(pool, false), &b);
    assert_ptr_equal(pool_take(pool, false), &a);
    assert_true(pool_put(&a, 4));
    assert_ptr_equal(pools_next_expired(pools, 103), NULL);
    assert_ptr_equal(pools_next_expired(pools, 104), &a);
    pool_drop(&a);
    pool_drop(&b);
    pool_release(pool);
    pools_destroy(pools);
}

/* The caller holds the pool while it drops a connection; this is no client. */
static void a_pool_without_clients_opens_no_idle_connection(void **state)
{
    (void)state;
    struct pool_limits limits = small;
    limits.min_idle = 2;
    struct pools *pools = pools_create(&limits);
    struct pool *pool = pool_of(pools, NULL, "x");
    struct pool_entry a = {0};
    struct pool_entry b = {0};
    struct pool_entry *victim = NULL;
    struct pool_waiter *waiter = NULL;
    pool_open(pool, &a, 1);
    pool_open(pool, &b, 1);
    assert_true(pool_join(pool, &a, 2));
    assert_true(pool_join(pool, &b, 2));
    pool_release(pool); /* the last client leaves */
    assert_ptr_equal(pools_next_expired(pools, 200), &a);
    pool_retain(pool);
    pool_drop(&a);
    pool_release(pool);
    assert_null(pools_next_to_open(pools, &victim, &waiter));
    pool_drop(&b);
    pools_destroy(pools);
}

static void waiters_are_served_in_their_order(void **state)
{
    (void)state;
    struct pools *pools = pools_create(&small);
    struct pool *pool = pool_of(pools, NULL, "x");
    struct pool_entry a = {0};
    struct pool_entry *got = NULL;
    struct pool_entry *victim = NULL;
    struct pool_waiter *waiter = NULL;
    struct pool_waiter waiters[5] = {{0}};
    for (int i = 0; i < 4; i++)
        assert_true(pool_wait(pool, &waiters[i], false, i));
    assert_false(pool_wait(pool, &waiters[4], false, 9));
    assert_false(pool_may_overtake(pool, false));
    assert_ptr_equal(pools_next_to_open(pools, &victim, &waiter), pool);
    pool_open(pool, &a, 5);
    assert_true(pool_join(pool, &a, 6));
    assert_ptr_equal(pools_next(pools, &got), &waiters[0]);
    assert_ptr_equal(got, &a);
    assert_null(pools_next(pools, &got));
    pool_leave(&waiters[1]);
    pool_leave(&waiters[1]);
    assert_true(pool_put(&a, 7));
    assert_ptr_equal(pools_next(pools, &got), &waiters[2]);
    assert_int_equal(figures_of(pools, pool).waiting, 1);
    assert_int_equal(figures_of(pools, pool).oldest_wait_ms, 3);
    pool_leave(&waiters[3]);
    pool_drop(&a);
    pool_release(pool);
    pools_destroy(pools);
}

static void awaiting_commands_hold_only_their_share(void **state)
{
    (void)state;
    struct pools *pools = pools_create(&small);
    struct pool *pool = pool_of(pools, NULL, "x");
    struct pool_entry entries[3] = {{0}};
    struct pool_entry *got = NULL;
    struct pool_waiter waiting[2] = {{0}};
    for (int i = 0; i < 3; i++) {
        pool_open(pool, &entries[i], 0);
        assert_true(pool_join(pool, &entries[i], 0));
    }
    struct pool_entry *first = pool_take(pool, true);
    assert_non_null(first);
    assert_null(pool_take(pool, true));
    assert_true(pool_wait(pool, &waiting[0], true, 1));
    assert_null(pools_next(pools, &got));
    assert_true(pool_may_overtake(pool, false));
    assert_false(pool_may_overtake(pool, true));
    struct pool_entry *plain = pool_take(pool, false);
    assert_non_null(plain);
    assert_int_equal(figures_of(pools, pool).awaiting, 1);
    assert_true(pool_put(first, 2));
    assert_ptr_equal(pools_next(pools, &got), &waiting[0]);
    assert_true(got->awaits);
    for (int i = 0; i < 3; i++)
        pool_drop(&entries[i]);
    pool_release(pool);
    pools_destroy(pools);
}

static void a_full_pool_takes_no_login(void **state)
{
    (void)state;
    struct pools *pools = pools_create(&small);
    struct pool *pool = pool_of(pools, alice, "x");
    struct pool *other = pool_of(pools, alice, "y");
    struct pool *logins = pool_hold_logins(pools, "a:1");
    struct pool_entry entries[5] = {{0}};
    for (int i = 0; i < 5; i++) {
        pool_open_own(logins, &entries[i], 0);
        pool_end_login(&entries[i]);
        if (i < 4)
            assert_int_equal(pool_join(pool, &entries[i], 0), i < 3);
    }
    assert_int_equal(figures_of(pools, pool).size, 3);
    /* another application always gets its first one */
    assert_true(pool_join(other, &entries[4], 0));
    struct pool_entry *taken = pool_take(pool, false);
    pool_detach(taken);
    assert_int_equal(figures_of(pools, pool).own, 1);
    assert_int_equal(figures_of(pools, pool).pinned[PIN_LOGIN], 1);
    for (int i = 0; i < 5; i++)
        pool_drop(&entries[i]);
    assert_true(pool_is_hopeless(pool));
    pool_release(pool);
    pool_release(other);
    pool_release(logins);
    pools_destroy(pools);
}

static void clients_of_a_pool_without_hope_are_named(void **state)
{
    (void)state;
    struct pools *pools = pools_create(&small);
    struct pool *pool = pool_of(pools, alice, "x");
    struct pool *logins = pool_hold_logins(pools, "a:1");
    struct pool_entry a = {0};
    struct pool_waiter waiter = {0};
    pool_open_own(logins, &a, 0);
    assert_true(pool_join(pool, &a, 0));
    assert_ptr_equal(pool_take(pool, false), &a);
    pool_detach(&a);
    assert_true(pool_wait(pool, &waiter, false, 1));
    assert_null(pools_next_hopeless(pools)); /* it may come back */
    pool_drop(&a);
    assert_ptr_equal(pools_next_hopeless(pools), &waiter);
    assert_null(pools_next_hopeless(pools));
    pool_release(pool);
    pool_release(logins);
    pools_destroy(pools);
}

/* nobody fills the server; a login still finds room, and so does a second application. */
static void pools_share_a_server_fairly(void **state)
{
    (void)state;
    struct pool_limits limits = small;
    limits.max_size = 5;
    limits.logins_max = 5;
    struct pools *pools = pools_create(&limits);
    struct pool *pool = pool_of(pools, NULL, "x");
    struct pool *other = pool_of(pools, NULL, "y");
    struct pool_entry entries[6] = {{0}};
    struct pool_entry *victim = NULL;
    struct pool_waiter *waiter = NULL;
    struct pool_waiter waiting = {0};
    for (int i = 0; i < 5; i++) {
        pool_open(pool, &entries[i], 0);
        assert_true(pool_join(pool, &entries[i], i));
    }
    assert_true(pool_wait(other, &waiting, false, 6));
    assert_ptr_equal(pools_next_to_open(pools, &victim, &waiter), other);
    assert_ptr_equal(victim, &entries[0]); /* idle for the longest time */
    for (int i = 0; i < 5; i++)
        assert_non_null(pool_take(pool, false));
    assert_null(pools_next_to_open(pools, &victim, &waiter));
    assert_false(pool_put(&entries[1], 7)); /* it makes room */
    pool_drop(&entries[1]);
    assert_ptr_equal(pools_next_to_open(pools, &victim, &waiter), other);
    assert_null(victim);
    pool_open(other, &entries[5], 8);
    assert_null(pools_next_to_open(pools, &victim, &waiter));
    assert_true(pool_put(&entries[2], 9));
    pool_leave(&waiting);
    for (int i = 0; i < 6; i++)
        pool_drop(&entries[i]);
    pool_release(pool);
    pool_release(other);
    pools_destroy(pools);
}

/* A monitor of a client in session mode takes no place. */
static void an_uncounted_connection_takes_no_place(void **state)
{
    (void)state;
    struct pool_limits limits = small;
    limits.max_total = 4;
    limits.logins_max = 9;
    struct pools *pools = pools_create(&limits);
    struct pool *logins = pool_hold_logins(pools, "a:1");
    struct pool *pool = pool_of(pools, NULL, "x");
    struct pool_waiter waiting[3] = {{0}};
    struct pool_entry entries[3] = {{0}};
    struct pool_entry *victim = NULL;
    struct pool_waiter *waiter = NULL;
    for (int i = 0; i < 3; i++)
        assert_true(pool_wait(logins, &waiting[i], false, 0));
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(pools_next_to_open(pools, &victim, &waiter), logins);
        pool_open_own(logins, &entries[i], 0);
    }
    assert_null(pools_next_to_open(pools, &victim, &waiter)); /* half of max_total */
    pool_count(&entries[0], false);
    pool_count(&entries[0], false);
    assert_ptr_equal(pools_next_to_open(pools, &victim, &waiter), logins);
    pool_open_own(logins, &entries[2], 0);
    assert_false(pool_is_crowded(&entries[1]));
    pool_count(&entries[0], true); /* it begins a login */
    assert_true(pool_is_crowded(&entries[1]));
    pool_count(&entries[0], false);
    assert_true(pool_join(pool, &entries[0], 1)); /* it counts again */
    pool_count(&entries[1], false);
    for (int i = 0; i < 3; i++)
        pool_drop(&entries[i]);
    pool_release(logins);
    pool_release(pool);
    pools_destroy(pools);
}

/* One application holds all connections of a user idle; another one still gets its share. */
static void applications_of_a_user_share_fairly(void **state)
{
    (void)state;
    struct pool_limits limits = small;
    limits.max_size = 4;
    struct pools *pools = pools_create(&limits);
    struct pool *logins = pool_hold_logins(pools, "a:1");
    struct pool *pool = pool_of(pools, alice, "x");
    struct pool *other = pool_of(pools, alice, "y");
    struct pool_entry entries[8] = {{0}};
    for (int i = 0; i < 8; i++) {
        struct pool *to = i < 4 ? pool : other;
        pool_open_own(logins, &entries[i], i);
        pool_end_login(&entries[i]);
        struct pool_entry *victim = pool_victim_of(to);
        assert_ptr_equal(victim, i == 5                     ? &entries[0]
                                 : i == 6 && victim != NULL ? &entries[1]
                                                            : NULL);
        if (victim != NULL)
            pool_drop(victim);
        if (!pool_join(to, &entries[i], i))
            pool_drop(&entries[i]);
    }
    assert_int_equal(figures_of(pools, other).size, 2);
    assert_true(figures_of(pools, pool).size >= 2);
    for (int i = 0; i < 8; i++)
        pool_drop(&entries[i]);
    pool_release(pool);
    pool_release(other);
    pool_release(logins);
    pools_destroy(pools);
}

static void logins_are_paced(void **state)
{
    (void)state;
    struct pool_limits limits = small;
    limits.max_total = 6; /* half of it for connections of single clients */
    struct pools *pools = pools_create(&limits);
    struct pool *logins = pool_hold_logins(pools, "a:1");
    struct pool_waiter waiting[4] = {{0}};
    struct pool_entry entries[3] = {{0}};
    struct pool_entry *victim = NULL;
    struct pool_waiter *waiter = NULL;
    for (int i = 0; i < 4; i++)
        assert_true(pool_wait(logins, &waiting[i], false, 0));
    for (int i = 0; i < 2; i++) {
        assert_ptr_equal(pools_next_to_open(pools, &victim, &waiter), logins);
        assert_ptr_equal(waiter, &waiting[i]);
        pool_open_own(logins, &entries[i], 0);
    }
    assert_null(pools_next_to_open(pools, &victim, &waiter));
    pool_end_login(&entries[0]);
    assert_ptr_equal(pools_next_to_open(pools, &victim, &waiter), logins);
    assert_ptr_equal(waiter, &waiting[2]);
    pool_open_own(logins, &entries[2], 0);
    for (int i = 0; i < 3; i++)
        pool_end_login(&entries[i]);
    assert_null(pools_next_to_open(pools, &victim, &waiter));
    pool_leave(&waiting[3]);
    for (int i = 0; i < 3; i++)
        pool_drop(&entries[i]);
    pool_release(logins);
    pools_destroy(pools);
}

/* ---- random steps beside a model ---- */

enum { SERVERS = 2, POOLS = 8, ENTRIES = 14, WAITERS = 16, STEPS = 60000 };

struct model {
    struct pools *pools;
    struct pool_limits limits;
    struct pool *pool[POOLS]; /* the first SERVERS are those of logins */
    struct pool_entry entry[ENTRIES];
    struct pool_waiter waiter[WAITERS];
    int64_t now_ms;
    uint64_t seed;
};

static unsigned draw(struct model *model, unsigned below)
{
    model->seed = model->seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(model->seed >> 33) % below;
}

static void open_model(struct model *model, uint64_t seed)
{
    static const char *const servers[] = {"a:1", "b:2"};
    *model = (struct model){.limits = small, .seed = seed};
    model->limits.waiters_max = 6;
    model->limits.min_idle = draw(model, 2);
    model->pools = pools_create(&model->limits);
    for (int i = 0; i < POOLS; i++) {
        const struct pool_key key = {.server = servers[i % SERVERS],
                                     .identity = i >= 6 ? alice : NULL,
                                     .application = i >= 4 ? "x" : "y"};
        model->pool[i] = i < SERVERS ? pool_hold_logins(model->pools, servers[i])
                                     : pool_hold(model->pools, &key);
        assert_non_null(model->pool[i]);
    }
}

static bool is_at(const struct model *model, const struct pool_entry *entry, int server)
{
    return entry->place != POOL_OUT &&
           strcmp(pool_key_of(entry->pool).server, pool_key_of(model->pool[server]).server) == 0;
}

/* Counts everything anew. */
static void check_pool(struct model *model, int index)
{
    struct pool *pool = model->pool[index];
    struct pool_figures want = {0};
    for (int i = 0; i < ENTRIES; i++) {
        const struct pool_entry *entry = &model->entry[i];
        if (entry->place == POOL_OUT || entry->pool != pool)
            continue;
        want.size += entry->place != POOL_OWN;
        want.opening += entry->place == POOL_OPENING;
        want.idle += entry->place == POOL_IDLE;
        want.leased += entry->place == POOL_LEASED;
        want.own += entry->place == POOL_OWN;
        want.awaiting += entry->awaits;
        if (entry->place == POOL_LEASED || entry->place == POOL_OWN)
            want.pinned[entry->pin]++;
    }
    for (int i = 0; i < WAITERS; i++) {
        const struct pool_waiter *waiter = &model->waiter[i];
        if (waiter->pool != pool)
            continue;
        want.waiting++;
        if (want.oldest_wait_ms == 0 || waiter->since_ms < want.oldest_wait_ms)
            want.oldest_wait_ms = waiter->since_ms;
    }
    struct pool_figures got = figures_of(model->pools, pool);
    assert_memory_equal(&got, &want, sizeof got);
    assert_true(want.awaiting <= model->limits.await_max);
    assert_int_equal(pool_is_hopeless(pool), !pool_is_of_logins(pool) &&
                                                 !pool_is_refillable(pool) && want.size == 0 &&
                                                 want.own == 0);
}

static void check(struct model *model)
{
    for (int server = 0; server < SERVERS; server++) {
        unsigned total = 0;
        unsigned logins = 0;
        unsigned waiting = 0;
        for (int i = 0; i < ENTRIES; i++) {
            total += is_at(model, &model->entry[i], server);
            logins += is_at(model, &model->entry[i], server) && model->entry[i].logging_in;
        }
        for (int i = server; i < POOLS; i += SERVERS)
            waiting += figures_of(model->pools, model->pool[i]).waiting;
        assert_true(total <= model->limits.max_total);
        assert_true(logins <= model->limits.logins_max);
        assert_true(waiting <= model->limits.waiters_max);
    }
    for (int i = 0; i < POOLS; i++)
        check_pool(model, i);
}

static struct pool_entry *spare_entry(struct model *model)
{
    for (int i = 0; i < ENTRIES; i++)
        if (model->entry[i].place == POOL_OUT)
            return &model->entry[i];
    return NULL;
}

/* The caller's part: serves, opens and closes as the pools say. */
static void settle(struct model *model)
{
    struct pool_entry *entry = NULL;
    struct pool_entry *victim = NULL;
    struct pool_waiter *waiter = NULL;
    struct pool *pool = NULL;
    while (pools_next(model->pools, &entry) != NULL)
        assert_int_equal(entry->place, POOL_LEASED);
    while ((waiter = pools_next_hopeless(model->pools)) != NULL)
        assert_null(waiter->pool);
    while (spare_entry(model) != NULL &&
           (pool = pools_next_to_open(model->pools, &victim, &waiter)) != NULL) {
        if (victim != NULL)
            pool_drop(victim);
        entry = spare_entry(model);
        assert_int_equal(pool_is_of_logins(pool), waiter != NULL);
        if (waiter != NULL)
            pool_open_own(pool, entry, model->now_ms);
        else
            pool_open(pool, entry, model->now_ms);
    }
}

/* The server accepted it, or its client has done with it. */
static void move_on(struct model *model, struct pool_entry *entry)
{
    struct pool *pool = entry->pool;
    bool kept = true;
    if (entry->place == POOL_OPENING)
        kept = pool_join(pool, entry, model->now_ms);
    else if (entry->place == POOL_OWN && draw(model, 2) == 0)
        pool_end_login(entry);
    else if (entry->place == POOL_OWN)
        kept = pool_join(model->pool[is_at(model, entry, 0) ? 4 + 2 * (int)draw(model, 2)
                                                            : 5 + 2 * (int)draw(model, 2)],
                         entry, model->now_ms);
    else if (entry->place == POOL_LEASED && draw(model, 4) == 0)
        pool_detach(entry);
    else if (entry->place == POOL_LEASED)
        kept = pool_put(entry, model->now_ms);
    if (!kept)
        pool_drop(entry);
}

static void step(struct model *model)
{
    struct pool_entry *entry = &model->entry[draw(model, ENTRIES)];
    struct pool_waiter *waiter = &model->waiter[draw(model, WAITERS)];
    struct pool *pool = model->pool[draw(model, POOLS)];
    bool awaits = draw(model, 3) == 0 && !pool_is_of_logins(pool);
    model->now_ms++;
    switch (draw(model, 8)) {
    case 0:
        pool_leave(waiter);
        break;
    case 1:
        pool_drop(entry);
        break;
    case 2:
        entry = pools_next_expired(model->pools, model->now_ms);
        if (entry != NULL)
            pool_drop(entry);
        break;
    case 3:
        if (entry->place == POOL_LEASED || entry->place == POOL_OWN)
            pool_set_pin(entry, (enum pool_pin)draw(model, PIN_REASONS));
        break;
    case 4:
    case 5:
        move_on(model, entry);
        break;
    default:
        if (!pool_is_of_logins(pool) && pool_may_overtake(pool, awaits) &&
            pool_take(pool, awaits) != NULL)
            break;
        if (waiter->pool == NULL)
            (void)pool_wait(pool, waiter, awaits, model->now_ms);
    }
}

static void close_model(struct model *model)
{
    for (int i = 0; i < WAITERS; i++)
        pool_leave(&model->waiter[i]);
    for (int i = 0; i < ENTRIES; i++)
        pool_drop(&model->entry[i]);
    for (int i = 0; i < POOLS; i++)
        pool_release(model->pool[i]);
    pools_destroy(model->pools);
}

static void random_steps_agree_with_a_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct model model;
        open_model(&model, seed);
        for (int i = 0; i < STEPS / 6; i++) {
            step(&model);
            if (draw(&model, 3) > 0)
                settle(&model);
            check(&model);
        }
        close_model(&model);
    }
}

/* Whoever waits gets a connection in the end, as long as connections come back. */
static void nobody_starves(void **state)
{
    (void)state;
    struct model model;
    open_model(&model, 7);
    for (int i = 0; i < 3000; i++) {
        struct pool_waiter *waiter = &model.waiter[draw(&model, WAITERS)];
        struct pool *pool = model.pool[draw(&model, 6)];
        model.now_ms++;
        if (waiter->pool == NULL)
            (void)pool_wait(pool, waiter, draw(&model, 4) == 0 && !pool_is_of_logins(pool),
                            model.now_ms);
        settle(&model);
        for (int j = 0; j < ENTRIES; j++)
            if (model.entry[j].place == POOL_OWN && draw(&model, 4) == 0)
                pool_drop(&model.entry[j]);
            else if (draw(&model, 4) == 0 && model.entry[j].place != POOL_OWN &&
                     model.entry[j].place != POOL_OUT && model.entry[j].place != POOL_IDLE)
                move_on(&model, &model.entry[j]);
        settle(&model);
        for (int j = 0; j < WAITERS; j++)
            assert_true(model.waiter[j].pool == NULL ||
                        model.now_ms - model.waiter[j].since_ms < 400);
    }
    close_model(&model);
}

static void without_memory_there_is_no_pool(void **state)
{
    (void)state;
    struct pools *pools = pools_create(&small);
    const struct pool_key key = {.server = "a:1", .identity = alice, .application = "x"};
    struct pool *pool = NULL;
    for (long n = 1; pool == NULL; n++) {
        assert_true(n < 20);
        memory_fail_after(n);
        pool = pool_hold(pools, &key);
        memory_fail_never();
    }
    pool_release(pool);
    pools_destroy(pools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_separate_pools),
        cmocka_unit_test(the_newest_idle_connection_is_taken_first),
        cmocka_unit_test(a_pool_without_clients_opens_no_idle_connection),
        cmocka_unit_test(waiters_are_served_in_their_order),
        cmocka_unit_test(awaiting_commands_hold_only_their_share),
        cmocka_unit_test(a_full_pool_takes_no_login),
        cmocka_unit_test(clients_of_a_pool_without_hope_are_named),
        cmocka_unit_test(pools_share_a_server_fairly),
        cmocka_unit_test(an_uncounted_connection_takes_no_place),
        cmocka_unit_test(applications_of_a_user_share_fairly),
        cmocka_unit_test(logins_are_paced),
        cmocka_unit_test(random_steps_agree_with_a_model),
        cmocka_unit_test(nobody_starves),
        cmocka_unit_test(without_memory_there_is_no_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
