/* Groups: inserts that may share a command, and when what waits goes. */
#include "base/assert.h"
#include "base/memory.h"
#include "merge/merger_internal.h"

enum {
    IDLE_GROUPS = 64, /* kept, so that a key in use is not made anew for each insert */
    NOT_DUE = MERGER_COUNTER_COUNT,
    INCARNATION_BYTES = sizeof(uint64_t), /* of a group's key */
    KEY_NUMBERED = 1,                     /* bits of the byte after them */
    KEY_BACKPRESSURE = 2
};

void merger_rules_fit(struct merger_rules *rules, uint32_t max_batch_docs, size_t max_message_bytes)
{
    size_t most =
        max_message_bytes > MERGER_OVERHEAD_BYTES ? max_message_bytes - MERGER_OVERHEAD_BYTES : 0;
    if (rules->max_docs > max_batch_docs)
        rules->max_docs = max_batch_docs;
    if (rules->max_bytes > most)
        rules->max_bytes = most;
}

struct merger *merger_create(struct retry_table *retries, pool_random random)
{
    struct merger *merger = memory_zalloc(sizeof *merger);
    if (merger == NULL)
        return NULL;
    merger->retries = retries;
    merger->timer_us = INT64_MAX;
    merger->pool = session_pool_create(random);
    if (merger->pool != NULL)
        return merger;
    memory_free(merger);
    return NULL;
}

static void set_gauge(struct merger *merger, enum merger_counter which, uint64_t value)
{
    atomic_store_explicit(&merger->counters.values[which], value, memory_order_relaxed);
}

static void show_gauges(struct merger *merger)
{
    set_gauge(merger, MERGER_WAITING_NOW, merger->waiting);
    set_gauge(merger, MERGER_HELD_BYTES_NOW, merger->held_bytes);
    set_gauge(merger, MERGER_OLDEST_SINCE_US,
              merger->waiters == NULL ? 0 : (uint64_t)merger->waiters->since_us);
}

void group_show_held(struct merger *merger)
{
    set_gauge(merger, MERGER_HELD_BYTES_NOW, merger->held_bytes);
}

void waiter_free(struct merger *merger, struct merger_waiter *waiter)
{
    merger->held_bytes -= waiter->payload_len;
    show_gauges(merger);
    memory_free(waiter);
}

/* --- groups --- */

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static void drop_group(struct merger *merger, struct merger_group *group)
{
    sluice_assert(merger->groups != NULL && merger->idle != NULL);
    DL_DELETE(merger->idle, group);
    merger->idle_count--;
    if (merger->last_found == group)
        merger->last_found = NULL;
    HASH_DEL(merger->groups, group);
    memory_free(group);
}

/* Nothing of it waits or is in flight: it is kept for a while. */
static void rest(struct merger *merger, struct merger_group *group)
{
    if (group->idle || group->waiting > 0 || group->taken != 0)
        return;
    group->idle = true;
    DL_APPEND(merger->idle, group);
    if (++merger->idle_count > IDLE_GROUPS)
        drop_group(merger, merger->idle);
    set_gauge(merger, MERGER_GROUPS_NOW, HASH_COUNT(merger->groups));
}

/* It is about to have something in flight, or waiting. */
static void wake(struct merger *merger, struct merger_group *group)
{
    if (!group->idle)
        return;
    group->idle = false;
    DL_DELETE(merger->idle, group);
    merger->idle_count--;
}

static bool reserve_key(struct merger *merger, size_t len)
{
    if (len <= merger->key_room)
        return true;
    uint8_t *key = memory_resize(merger->key, len);
    if (key == NULL)
        return false;
    merger->key = key;
    merger->key_room = len;
    return true;
}

/* identity | server NUL | incarnation | numbered | elements: what all in a group have in common. */
static bool write_key(struct merger *merger, const struct merger_origin *origin,
                      const struct merger_insert *insert, size_t *owner_len, size_t *len)
{
    size_t server_len = strlen(origin->server) + 1;
    size_t total = RETRY_IDENTITY_BYTES + server_len + INCARNATION_BYTES + 1;
    for (size_t i = 0; i < insert->equal_count; i++)
        total += bytes_left(&insert->equal[i]);
    if (!reserve_key(merger, total))
        return false;
    uint8_t *at = merger->key;
    memcpy(at, origin->identity, RETRY_IDENTITY_BYTES);
    memcpy(at + RETRY_IDENTITY_BYTES, origin->server, server_len);
    *owner_len = RETRY_IDENTITY_BYTES + server_len;
    at += *owner_len;
    memcpy(at, &origin->incarnation, INCARNATION_BYTES);
    at += INCARNATION_BYTES;
    *at++ = (uint8_t)((insert->numbered ? KEY_NUMBERED : 0) |
                      (origin->backpressure ? KEY_BACKPRESSURE : 0));
    for (size_t i = 0; i < insert->equal_count; i++) {
        memcpy(at, insert->equal[i].pos, bytes_left(&insert->equal[i]));
        at += bytes_left(&insert->equal[i]);
    }
    *len = total;
    return true;
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static struct merger_group *add_group(struct merger *merger, size_t owner_len, size_t len)
{
    struct merger_group *group = memory_zalloc(sizeof *group + len);
    if (group == NULL)
        return NULL;
    memcpy(group->key, merger->key, len);
    group->key_len = len;
    group->owner_len = owner_len;
    group->elements_at = owner_len + INCARNATION_BYTES + 1;
    regather_init(&group->regather);
    group->numbered = (group->key[owner_len + INCARNATION_BYTES] & KEY_NUMBERED) != 0;
    for (size_t i = 0; i < MERGER_IN_FLIGHT_MAX; i++)
        group->permits[i].group = group;
    HASH_ADD(hh, merger->groups, key, len, group);
    if (!group->unhashed)
        return group;
    memory_free(group);
    return NULL;
}

/* The group of merger->key; NULL: there is none. Inserts of one group mostly come together. */
// NOLINTNEXTLINE(readability-function-size)
static struct merger_group *look_up(struct merger *merger, size_t len)
{
    struct merger_group *group = merger->last_found;
    if (group != NULL && group->key_len == len && memcmp(group->key, merger->key, len) == 0)
        return group;
    HASH_FIND(hh, merger->groups, merger->key, len, group);
    merger->last_found = group;
    return group;
}

struct merger_group *group_find(struct merger *merger, const struct merger_rules *rules,
                                const struct merger_origin *origin,
                                const struct merger_insert *insert)
{
    size_t owner_len = 0;
    size_t len = 0;
    if (!write_key(merger, origin, insert, &owner_len, &len))
        return NULL;
    struct merger_group *group = look_up(merger, len);
    if (group == NULL) {
        group = add_group(merger, owner_len, len);
        if (group == NULL)
            return NULL;
        rest(merger, group);
    }
    group->rules = *rules;
    if (group->rules.max_in_flight == 0)
        group->rules.max_in_flight = 1;
    return group;
}

/* --- permits --- */

uint32_t group_in_flight(const struct merger_group *group)
{
    return (uint32_t)__builtin_popcountll(group->taken & ~group->stalled);
}

bool group_has_permit(const struct merger_group *group)
{
    return ~group->taken != 0;
}

struct merger_permit *group_take_permit(struct merger *merger, struct merger_group *group,
                                        int64_t now_us)
{
    sluice_assert(group_has_permit(group));
    int free_one = __builtin_ctzll(~group->taken);
    wake(merger, group);
    if (group_in_flight(group) == 0)
        regather_note_sent(&group->regather, group->waiting, now_us);
    group->taken |= UINT64_C(1) << free_one;
    group->permit_freed = false;
    group->permits[free_one].since_us = now_us;
    return &group->permits[free_one];
}

/* When the first of those in flight counts as stalled; INT64_MAX: never. */
static int64_t stalls_at(const struct merger_group *group)
{
    int64_t oldest_us = INT64_MAX;
    for (uint64_t rest = group->taken & ~group->stalled; rest != 0; rest &= rest - 1) {
        int64_t since_us = group->permits[__builtin_ctzll(rest)].since_us;
        if (since_us < oldest_us)
            oldest_us = since_us;
    }
    if (group->rules.stalled_after_us == 0 || oldest_us == INT64_MAX)
        return INT64_MAX;
    return oldest_us + group->rules.stalled_after_us;
}

/* What has been in flight for too long keeps its permit, but nobody waits for it any more. */
static void note_stalled(struct merger *merger, struct merger_group *group, int64_t now_us)
{
    if (stalls_at(group) > now_us)
        return;
    for (uint64_t rest = group->taken & ~group->stalled; rest != 0; rest &= rest - 1) {
        int at = __builtin_ctzll(rest);
        if (group->permits[at].since_us + group->rules.stalled_after_us > now_us)
            continue;
        group->stalled |= UINT64_C(1) << at;
        group->permit_freed = true;
        count_one(merger, MERGER_STALLED);
    }
}

/* --- when something is due --- */

bool group_regathers(const struct merger *merger, const struct merger_group *group, int64_t now_us)
{
    return !merger->draining && group->rules.linger_us == 0 && group_in_flight(group) == 0 &&
           regather_holds(&group->regather, group->waiting, now_us);
}

/* Why the group's waiters should go now, as the counter of that reason; NOT_DUE. */
static int why_due(const struct merger *merger, const struct merger_group *group, int64_t now_us)
{
    const struct merger_rules *rules = &group->rules;
    uint32_t in_flight = group_in_flight(group);
    if (group->waiting == 0 || in_flight >= rules->max_in_flight || !group_has_permit(group))
        return NOT_DUE;
    if (group->docs >= rules->max_docs)
        return MERGER_FLUSH_COUNT;
    if (group->bytes >= rules->max_bytes)
        return MERGER_FLUSH_BYTES;
    if (merger->draining)
        return MERGER_FLUSH_DRAIN;
    if (group_regathers(merger, group, now_us))
        return NOT_DUE;
    if (rules->linger_us > 0)
        return now_us - group->waiters->since_us >= rules->linger_us ? MERGER_FLUSH_TIMER : NOT_DUE;
    return in_flight == 0 || group->permit_freed ? MERGER_FLUSH_IDLE : NOT_DUE;
}

static void set_ready(struct merger *merger, struct merger_group *group, bool ready)
{
    if (group->ready == ready)
        return;
    group->ready = ready;
    if (ready)
        DL_APPEND(merger->ready, group);
    else
        DL_DELETE(merger->ready, group);
}

/* Something changed: is it due now, or when is it due? */
static void mark(struct merger *merger, struct merger_group *group, int64_t now_us)
{
    bool due = why_due(merger, group, now_us) != NOT_DUE;
    set_ready(merger, group, due);
    if (due || group->waiting == 0 || !group_has_permit(group))
        return;
    int64_t at = stalls_at(group);
    if (group->rules.linger_us > 0 && group_in_flight(group) < group->rules.max_in_flight &&
        group->waiters->since_us + group->rules.linger_us < at)
        at = group->waiters->since_us + group->rules.linger_us;
    if (group_regathers(merger, group, now_us) && group->regather.until_us < at)
        at = group->regather.until_us;
    if (at < merger->timer_us)
        merger->timer_us = at;
}

static void look_at_timers(struct merger *merger, int64_t now_us)
{
    struct merger_group *group = NULL;
    if (now_us < merger->timer_us)
        return;
    merger->timer_us = INT64_MAX;
    DL_FOREACH2(merger->waiting_groups, group, waiting_next)
    {
        note_stalled(merger, group, now_us);
        mark(merger, group, now_us);
    }
}

int64_t merger_next_due_us(const struct merger *merger)
{
    return merger->ready != NULL ? INT64_MIN : merger->timer_us;
}

void merger_drain(struct merger *merger, int64_t now_us)
{
    struct merger_group *group = NULL;
    merger->draining = true;
    DL_FOREACH2(merger->waiting_groups, group, waiting_next)
    mark(merger, group, now_us);
}

void group_release_permit(struct merger *merger, struct merger_permit *permit, uint32_t answered,
                          int64_t now_us)
{
    struct merger_group *group = permit->group;
    uint64_t bit = UINT64_C(1) << (permit - group->permits);
    sluice_assert((group->taken & bit) != 0);
    group->taken &= ~bit;
    group->stalled &= ~bit;
    group->permit_freed = true;
    regather_note_end(&group->regather, answered, now_us);
    if (answered > 1 && group_in_flight(group) == 0)
        regather_begin(&group->regather, answered + group->waiting, now_us - permit->since_us,
                       now_us);
    mark(merger, group, now_us);
    rest(merger, group);
}

void merger_finished(struct merger *merger, struct merger_permit *permit, int64_t now_us)
{
    group_release_permit(merger, permit, 1, now_us);
}

/* --- waiters --- */

struct merger_waiter *waiter_make(struct merger *merger, const struct merger_insert *insert,
                                  void *arg, int64_t now_us)
{
    struct bytes payload = insert->command->payload;
    size_t len = bytes_left(&payload);
    struct merger_waiter *waiter = memory_alloc(sizeof *waiter + len);
    if (waiter == NULL)
        return NULL;
    *waiter = (struct merger_waiter){.arg = arg, .since_us = now_us, .payload_len = len};
    memcpy(waiter->payload, payload.pos, len);
    waiter->docs = insert->document_count;
    waiter->docs_bytes = insert->document_bytes;
    waiter->carrier = insert->carrier;
    waiter->body = merger_moved(insert->command->body, payload, waiter->payload);
    waiter->documents.in_body = insert->documents.in_body;
    waiter->documents.content = merger_moved(insert->documents.content, payload, waiter->payload);
    merger->held_bytes += len;
    return waiter;
}

void group_add_waiter(struct merger *merger, struct merger_group *group,
                      struct merger_waiter *waiter, int64_t now_us)
{
    wake(merger, group);
    waiter->group = group;
    if (group->waiting == 0)
        DL_APPEND2(merger->waiting_groups, group, waiting_prev, waiting_next);
    DL_APPEND(group->waiters, waiter);
    DL_APPEND2(merger->waiters, waiter, all_prev, all_next);
    group->waiting++;
    group->docs += waiter->docs;
    group->bytes += waiter->docs_bytes;
    merger->waiting++;
    count_one(merger, MERGER_WAITED);
    show_gauges(merger);
    mark(merger, group, now_us);
}

static void remove_waiter(struct merger *merger, struct merger_waiter *waiter)
{
    struct merger_group *group = waiter->group;
    DL_DELETE(group->waiters, waiter);
    DL_DELETE2(merger->waiters, waiter, all_prev, all_next);
    group->waiting--;
    group->docs -= waiter->docs;
    group->bytes -= waiter->docs_bytes;
    merger->waiting--;
    if (group->waiting == 0)
        DL_DELETE2(merger->waiting_groups, group, waiting_prev, waiting_next);
    show_gauges(merger);
}

static void drop_unsent(struct merger *merger, struct merger_waiter *waiter, int64_t now_us)
{
    remove_waiter(merger, waiter);
    if (waiter->op != NULL)
        (void)retry_settle(merger->retries, waiter->op, RETRY_END_UNSENT, NULL, (struct bytes){0},
                           now_us);
    waiter_free(merger, waiter);
}

void merger_leave(struct merger *merger, struct merger_waiter *waiter, int64_t now_us)
{
    struct merger_group *group = waiter->group;
    sluice_assert(waiter->arg != NULL);
    if (waiter->in != NULL) {
        waiter->arg = NULL;
        return;
    }
    drop_unsent(merger, waiter, now_us);
    mark(merger, group, now_us);
    rest(merger, group);
}

bool merger_is_repeated(const struct merger_waiter *waiter)
{
    return waiter->op != NULL && retry_is_awaited(waiter->op);
}

void merger_destroy(struct merger *merger)
{
    if (merger == NULL)
        return;
    while (merger->waiters != NULL) {
        struct merger_group *group = merger->waiters->group;
        drop_unsent(merger, merger->waiters, merger->waiters->since_us);
        mark(merger, group, 0);
        rest(merger, group);
    }
    while (merger->idle != NULL)
        drop_group(merger, merger->idle);
    sluice_assert(merger->groups == NULL); /* else something is in flight */
    memory_free(merger->spent);
    session_pool_destroy(merger->pool);
    memory_free(merger->key);
    memory_free(merger);
}

/* --- taking --- */

/* How many of the first waiters fit into one batch; at least one. */
static uint32_t count_fitting(const struct merger_group *group)
{
    uint64_t docs = 0;
    uint64_t bytes = 0;
    uint32_t count = 0;
    const struct merger_waiter *waiter = NULL;
    DL_FOREACH(group->waiters, waiter)
    {
        docs += waiter->docs;
        bytes += waiter->docs_bytes;
        if (count > 0 && (docs > group->rules.max_docs || bytes > group->rules.max_bytes))
            break;
        count++;
    }
    return count;
}

static void add_to_batch(struct batch *batch, struct merger_waiter *waiter)
{
    waiter->in = batch;
    DL_APPEND(batch->head, waiter);
    batch->inserts++;
    batch->docs += waiter->docs;
    batch->bytes += waiter->docs_bytes;
}

static void count_batch(struct merger *merger, const struct batch *batch, int why,
                        int64_t waited_us)
{
    count_one(merger, (enum merger_counter)why);
    histogram_note(&merger->counters.waited_us, waited_us > 0 ? (uint64_t)waited_us : 0);
    if (batch->inserts == 1) {
        count_one(merger, MERGER_LONE);
        return;
    }
    count_one(merger, MERGER_BATCHES);
    merger_bump(&merger->counters.values[MERGER_BATCH_INSERTS], batch->inserts);
    merger_bump(&merger->counters.values[MERGER_BATCH_DOCS], batch->docs);
    merger_bump(&merger->counters.values[MERGER_BATCH_BYTES], batch->bytes);
    histogram_note(&merger->counters.docs, batch->docs);
    histogram_note(&merger->counters.bytes, batch->bytes);
}

static struct batch *make_batch(struct merger *merger, struct merger_group *group, int why,
                                int64_t now_us)
{
    struct batch *batch = &group->waiters->batch;
    struct pool_session *session = NULL;
    uint32_t count = count_fitting(group);
    bool made = false;
    if (count > 1 && group->numbered) {
        session =
            session_pool_take(merger->pool, bytes_of(group->key, group->owner_len), now_us, &made);
        if (session == NULL)
            count = 1;
        else if (made)
            count_one(merger, MERGER_SESSIONS_MADE);
    }
    *batch = (struct batch){.group = group,
                            .permit = group_take_permit(merger, group, now_us),
                            .session = session,
                            .sent_us = now_us};
    int64_t since_us = group->waiters->since_us;
    for (uint32_t i = 0; i < count; i++) {
        struct merger_waiter *waiter = group->waiters;
        remove_waiter(merger, waiter);
        add_to_batch(batch, waiter);
    }
    count_batch(merger, batch, why, now_us - since_us);
    return batch;
}

struct batch *merger_take(struct merger *merger, int64_t now_us)
{
    look_at_timers(merger, now_us);
    while (merger->ready != NULL) {
        struct merger_group *group = merger->ready;
        int why = why_due(merger, group, now_us);
        struct batch *batch = NULL;
        if (why != NOT_DUE)
            batch = make_batch(merger, group, why, now_us);
        mark(merger, group, now_us);
        if (batch != NULL)
            return batch;
    }
    return NULL;
}

const struct merger_counters *merger_counters(const struct merger *merger)
{
    return &merger->counters;
}

bool merger_is_idle(const struct merger *merger)
{
    return merger->idle_count == HASH_COUNT(merger->groups);
}

size_t merger_held_bytes(const struct merger *merger)
{
    return merger->held_bytes;
}
