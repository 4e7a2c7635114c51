/* Groups: inserts that may share a command, and when what gathered goes. */
#include "base/assert.h"
#include "base/memory.h"
#include "coalesce/coalesce_internal.h"

enum {
    IDLE_GROUPS = 64, /* kept, so that a key in use is not made anew for each insert */
    NOT_DUE = COALESCE_COUNTER_COUNT,
    INCARNATION_BYTES = sizeof(uint64_t) /* of a group's key */
};

void coalesce_rules_fit(struct coalesce_rules *rules, uint32_t max_batch_docs,
                        size_t max_message_bytes)
{
    size_t most = max_message_bytes > COALESCE_OVERHEAD_BYTES
                      ? max_message_bytes - COALESCE_OVERHEAD_BYTES
                      : 0;
    if (rules->max_docs > max_batch_docs)
        rules->max_docs = max_batch_docs;
    if (rules->max_bytes > most)
        rules->max_bytes = most;
}

struct coalesce *coalesce_create(struct retry_table *retries, pool_random random)
{
    struct coalesce *coalesce = memory_zalloc(sizeof *coalesce);
    if (coalesce == NULL)
        return NULL;
    coalesce->retries = retries;
    coalesce->timer_us = INT64_MAX;
    coalesce->pool = session_pool_create(random);
    if (coalesce->pool != NULL)
        return coalesce;
    memory_free(coalesce);
    return NULL;
}

static void set_gauge(struct coalesce *coalesce, enum coalesce_counter which, uint64_t value)
{
    atomic_store_explicit(&coalesce->counters.values[which], value, memory_order_relaxed);
}

static void show_gauges(struct coalesce *coalesce)
{
    set_gauge(coalesce, COALESCE_WAITING_NOW, coalesce->waiting);
    set_gauge(coalesce, COALESCE_HELD_BYTES_NOW, coalesce->held_bytes);
    set_gauge(coalesce, COALESCE_OLDEST_SINCE_US,
              coalesce->waiters == NULL ? 0 : (uint64_t)coalesce->waiters->since_us);
}

void group_show_held(struct coalesce *coalesce)
{
    set_gauge(coalesce, COALESCE_HELD_BYTES_NOW, coalesce->held_bytes);
}

void waiter_free(struct coalesce *coalesce, struct coalesce_waiter *waiter)
{
    coalesce->held_bytes -= waiter->payload_len;
    show_gauges(coalesce);
    memory_free(waiter);
}

/* --- groups --- */

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static void drop_group(struct coalesce *coalesce, struct coalesce_group *group)
{
    sluice_assert(coalesce->groups != NULL && coalesce->idle != NULL);
    DL_DELETE(coalesce->idle, group);
    coalesce->idle_count--;
    HASH_DEL(coalesce->groups, group);
    memory_free(group);
}

/* Nothing of it waits or is in flight: it is kept for a while. */
static void rest(struct coalesce *coalesce, struct coalesce_group *group)
{
    if (group->idle || group->waiting > 0 || group->taken != 0)
        return;
    group->idle = true;
    DL_APPEND(coalesce->idle, group);
    if (++coalesce->idle_count > IDLE_GROUPS)
        drop_group(coalesce, coalesce->idle);
    set_gauge(coalesce, COALESCE_GROUPS_NOW, HASH_COUNT(coalesce->groups));
}

/* It is about to have something in flight, or waiting. */
static void wake(struct coalesce *coalesce, struct coalesce_group *group)
{
    if (!group->idle)
        return;
    group->idle = false;
    DL_DELETE(coalesce->idle, group);
    coalesce->idle_count--;
}

static bool reserve_key(struct coalesce *coalesce, size_t len)
{
    if (len <= coalesce->key_room)
        return true;
    uint8_t *key = memory_resize(coalesce->key, len);
    if (key == NULL)
        return false;
    coalesce->key = key;
    coalesce->key_room = len;
    return true;
}

/* identity | server NUL | incarnation | numbered | elements: what all in a group have in common. */
static bool write_key(struct coalesce *coalesce, const struct coalesce_origin *origin,
                      const struct coalesce_insert *insert, size_t *owner_len, size_t *len)
{
    size_t server_len = strlen(origin->server) + 1;
    size_t total = RETRY_IDENTITY_BYTES + server_len + INCARNATION_BYTES + 1;
    for (size_t i = 0; i < insert->equal_count; i++)
        total += bytes_left(&insert->equal[i]);
    if (!reserve_key(coalesce, total))
        return false;
    uint8_t *at = coalesce->key;
    memcpy(at, origin->identity, RETRY_IDENTITY_BYTES);
    memcpy(at + RETRY_IDENTITY_BYTES, origin->server, server_len);
    *owner_len = RETRY_IDENTITY_BYTES + server_len;
    at += *owner_len;
    memcpy(at, &origin->incarnation, INCARNATION_BYTES);
    at += INCARNATION_BYTES;
    *at++ = insert->numbered;
    for (size_t i = 0; i < insert->equal_count; i++) {
        memcpy(at, insert->equal[i].pos, bytes_left(&insert->equal[i]));
        at += bytes_left(&insert->equal[i]);
    }
    *len = total;
    return true;
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
static struct coalesce_group *add_group(struct coalesce *coalesce, size_t owner_len, size_t len)
{
    struct coalesce_group *group = memory_zalloc(sizeof *group + len);
    if (group == NULL)
        return NULL;
    memcpy(group->key, coalesce->key, len);
    group->key_len = len;
    group->owner_len = owner_len;
    group->elements_at = owner_len + INCARNATION_BYTES + 1;
    group->numbered = group->key[owner_len + INCARNATION_BYTES] != 0;
    for (size_t i = 0; i < COALESCE_IN_FLIGHT_MAX; i++)
        group->places[i].group = group;
    HASH_ADD(hh, coalesce->groups, key, len, group);
    if (!group->unhashed)
        return group;
    memory_free(group);
    return NULL;
}

/* The length is that of uthash's macro. */
// NOLINTNEXTLINE(readability-function-size)
struct coalesce_group *group_find(struct coalesce *coalesce, const struct coalesce_rules *rules,
                                  const struct coalesce_origin *origin,
                                  const struct coalesce_insert *insert)
{
    struct coalesce_group *group = NULL;
    size_t owner_len = 0;
    size_t len = 0;
    if (!write_key(coalesce, origin, insert, &owner_len, &len))
        return NULL;
    HASH_FIND(hh, coalesce->groups, coalesce->key, len, group);
    if (group == NULL) {
        group = add_group(coalesce, owner_len, len);
        if (group == NULL)
            return NULL;
        rest(coalesce, group);
    }
    group->rules = *rules;
    if (group->rules.max_in_flight == 0)
        group->rules.max_in_flight = 1;
    return group;
}

/* --- places --- */

uint32_t group_in_flight(const struct coalesce_group *group)
{
    return (uint32_t)__builtin_popcountll(group->taken & ~group->stalled);
}

bool group_has_place(const struct coalesce_group *group)
{
    return ~group->taken != 0;
}

struct coalesce_place *group_take_place(struct coalesce *coalesce, struct coalesce_group *group,
                                        int64_t now_us)
{
    sluice_assert(group_has_place(group));
    int free_one = __builtin_ctzll(~group->taken);
    wake(coalesce, group);
    group->taken |= UINT64_C(1) << free_one;
    group->place_freed = false;
    group->places[free_one].since_us = now_us;
    return &group->places[free_one];
}

/* When the first of those in flight counts as stalled; INT64_MAX: never. */
static int64_t stalls_at(const struct coalesce_group *group)
{
    int64_t oldest_us = INT64_MAX;
    for (uint64_t rest = group->taken & ~group->stalled; rest != 0; rest &= rest - 1) {
        int64_t since_us = group->places[__builtin_ctzll(rest)].since_us;
        if (since_us < oldest_us)
            oldest_us = since_us;
    }
    if (group->rules.stalled_after_us == 0 || oldest_us == INT64_MAX)
        return INT64_MAX;
    return oldest_us + group->rules.stalled_after_us;
}

/* What has been in flight for too long keeps its place, but nobody waits for it any more. */
static void note_stalled(struct coalesce *coalesce, struct coalesce_group *group, int64_t now_us)
{
    if (stalls_at(group) > now_us)
        return;
    for (uint64_t rest = group->taken & ~group->stalled; rest != 0; rest &= rest - 1) {
        int at = __builtin_ctzll(rest);
        if (group->places[at].since_us + group->rules.stalled_after_us > now_us)
            continue;
        group->stalled |= UINT64_C(1) << at;
        group->place_freed = true;
        count_one(coalesce, COALESCE_STALLED);
    }
}

/* --- when something is due --- */

/* Why the group's waiters should go now, as the counter of that reason; NOT_DUE. */
static int why_due(const struct coalesce *coalesce, const struct coalesce_group *group,
                   int64_t now_us)
{
    const struct coalesce_rules *rules = &group->rules;
    uint32_t in_flight = group_in_flight(group);
    if (group->waiting == 0 || in_flight >= rules->max_in_flight || !group_has_place(group))
        return NOT_DUE;
    if (group->docs >= rules->max_docs)
        return COALESCE_FLUSH_COUNT;
    if (group->bytes >= rules->max_bytes)
        return COALESCE_FLUSH_BYTES;
    if (coalesce->draining)
        return COALESCE_FLUSH_DRAIN;
    if (rules->linger_us > 0)
        return now_us - group->waiters->since_us >= rules->linger_us ? COALESCE_FLUSH_TIMER
                                                                     : NOT_DUE;
    return in_flight == 0 || group->place_freed ? COALESCE_FLUSH_IDLE : NOT_DUE;
}

static void set_ready(struct coalesce *coalesce, struct coalesce_group *group, bool ready)
{
    if (group->ready == ready)
        return;
    group->ready = ready;
    if (ready)
        DL_APPEND(coalesce->ready, group);
    else
        DL_DELETE(coalesce->ready, group);
}

/* Something changed: is it due now, or when is it due? */
static void mark(struct coalesce *coalesce, struct coalesce_group *group, int64_t now_us)
{
    bool due = why_due(coalesce, group, now_us) != NOT_DUE;
    set_ready(coalesce, group, due);
    if (due || group->waiting == 0 || !group_has_place(group))
        return;
    int64_t at = stalls_at(group);
    if (group->rules.linger_us > 0 && group_in_flight(group) < group->rules.max_in_flight &&
        group->waiters->since_us + group->rules.linger_us < at)
        at = group->waiters->since_us + group->rules.linger_us;
    if (at < coalesce->timer_us)
        coalesce->timer_us = at;
}

static void look_at_timers(struct coalesce *coalesce, int64_t now_us)
{
    struct coalesce_group *group = NULL;
    if (now_us < coalesce->timer_us)
        return;
    coalesce->timer_us = INT64_MAX;
    DL_FOREACH2(coalesce->gathering, group, gather_next)
    {
        note_stalled(coalesce, group, now_us);
        mark(coalesce, group, now_us);
    }
}

int64_t coalesce_next_due_us(const struct coalesce *coalesce)
{
    return coalesce->ready != NULL ? INT64_MIN : coalesce->timer_us;
}

void coalesce_drain(struct coalesce *coalesce, int64_t now_us)
{
    struct coalesce_group *group = NULL;
    coalesce->draining = true;
    DL_FOREACH2(coalesce->gathering, group, gather_next)
    mark(coalesce, group, now_us);
}

void group_release_place(struct coalesce *coalesce, struct coalesce_place *place, int64_t now_us)
{
    struct coalesce_group *group = place->group;
    uint64_t bit = UINT64_C(1) << (place - group->places);
    sluice_assert((group->taken & bit) != 0);
    group->taken &= ~bit;
    group->stalled &= ~bit;
    group->place_freed = true;
    mark(coalesce, group, now_us);
    rest(coalesce, group);
}

void coalesce_finished(struct coalesce *coalesce, struct coalesce_place *ticket, int64_t now_us)
{
    group_release_place(coalesce, ticket, now_us);
}

/* --- gathering --- */

struct coalesce_waiter *waiter_make(struct coalesce *coalesce, const struct coalesce_insert *insert,
                                    void *arg, int64_t now_us)
{
    struct bytes payload = insert->command->payload;
    size_t len = bytes_left(&payload);
    struct coalesce_waiter *waiter = memory_alloc(sizeof *waiter + len);
    if (waiter == NULL)
        return NULL;
    *waiter = (struct coalesce_waiter){.arg = arg, .since_us = now_us, .payload_len = len};
    memcpy(waiter->payload, payload.pos, len);
    waiter->docs = insert->document_count;
    waiter->docs_bytes = insert->document_bytes;
    waiter->body = coalesce_moved(insert->command->body, payload, waiter->payload);
    waiter->documents.in_body = insert->documents.in_body;
    waiter->documents.content = coalesce_moved(insert->documents.content, payload, waiter->payload);
    coalesce->held_bytes += len;
    return waiter;
}

void group_gather(struct coalesce *coalesce, struct coalesce_group *group,
                  struct coalesce_waiter *waiter, int64_t now_us)
{
    wake(coalesce, group);
    waiter->group = group;
    if (group->waiting == 0)
        DL_APPEND2(coalesce->gathering, group, gather_prev, gather_next);
    DL_APPEND(group->waiters, waiter);
    DL_APPEND2(coalesce->waiters, waiter, all_prev, all_next);
    group->waiting++;
    group->docs += waiter->docs;
    group->bytes += waiter->docs_bytes;
    coalesce->waiting++;
    count_one(coalesce, COALESCE_GATHERED);
    show_gauges(coalesce);
    mark(coalesce, group, now_us);
}

static void ungather(struct coalesce *coalesce, struct coalesce_waiter *waiter)
{
    struct coalesce_group *group = waiter->group;
    DL_DELETE(group->waiters, waiter);
    DL_DELETE2(coalesce->waiters, waiter, all_prev, all_next);
    group->waiting--;
    group->docs -= waiter->docs;
    group->bytes -= waiter->docs_bytes;
    coalesce->waiting--;
    if (group->waiting == 0)
        DL_DELETE2(coalesce->gathering, group, gather_prev, gather_next);
    show_gauges(coalesce);
}

static void drop_unsent(struct coalesce *coalesce, struct coalesce_waiter *waiter, int64_t now_us)
{
    ungather(coalesce, waiter);
    if (waiter->op != NULL)
        (void)retry_settle(coalesce->retries, waiter->op, RETRY_END_UNSENT, NULL, (struct bytes){0},
                           now_us);
    waiter_free(coalesce, waiter);
}

void coalesce_leave(struct coalesce *coalesce, struct coalesce_waiter *waiter, int64_t now_us)
{
    struct coalesce_group *group = waiter->group;
    sluice_assert(waiter->arg != NULL);
    if (waiter->in != NULL) {
        waiter->arg = NULL;
        return;
    }
    drop_unsent(coalesce, waiter, now_us);
    mark(coalesce, group, now_us);
    rest(coalesce, group);
}

bool coalesce_is_repeated(const struct coalesce_waiter *waiter)
{
    return waiter->op != NULL && retry_is_awaited(waiter->op);
}

void coalesce_destroy(struct coalesce *coalesce)
{
    if (coalesce == NULL)
        return;
    while (coalesce->waiters != NULL) {
        struct coalesce_group *group = coalesce->waiters->group;
        drop_unsent(coalesce, coalesce->waiters, coalesce->waiters->since_us);
        mark(coalesce, group, 0);
        rest(coalesce, group);
    }
    while (coalesce->idle != NULL)
        drop_group(coalesce, coalesce->idle);
    sluice_assert(coalesce->groups == NULL); /* else something is in flight */
    memory_free(coalesce->spent);
    session_pool_destroy(coalesce->pool);
    memory_free(coalesce->key);
    memory_free(coalesce);
}

/* --- taking --- */

/* How many of the first waiters fit into one batch; at least one. */
static uint32_t count_fitting(const struct coalesce_group *group)
{
    uint64_t docs = 0;
    uint64_t bytes = 0;
    uint32_t count = 0;
    const struct coalesce_waiter *waiter = NULL;
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

static void add_to_batch(struct batch *batch, struct coalesce_waiter *waiter)
{
    waiter->in = batch;
    DL_APPEND(batch->head, waiter);
    batch->inserts++;
    batch->docs += waiter->docs;
    batch->bytes += waiter->docs_bytes;
}

static void count_batch(struct coalesce *coalesce, const struct batch *batch, int why,
                        int64_t waited_us)
{
    count_one(coalesce, (enum coalesce_counter)why);
    histogram_note(&coalesce->counters.waited_us, waited_us > 0 ? (uint64_t)waited_us : 0);
    if (batch->inserts == 1) {
        count_one(coalesce, COALESCE_LONE);
        return;
    }
    count_one(coalesce, COALESCE_BATCHES);
    coalesce_bump(&coalesce->counters.values[COALESCE_BATCH_INSERTS], batch->inserts);
    coalesce_bump(&coalesce->counters.values[COALESCE_BATCH_DOCS], batch->docs);
    coalesce_bump(&coalesce->counters.values[COALESCE_BATCH_BYTES], batch->bytes);
    histogram_note(&coalesce->counters.docs, batch->docs);
    histogram_note(&coalesce->counters.bytes, batch->bytes);
}

static struct batch *make_batch(struct coalesce *coalesce, struct coalesce_group *group, int why,
                                int64_t now_us)
{
    struct batch *batch = &group->waiters->batch;
    struct pool_session *session = NULL;
    uint32_t count = count_fitting(group);
    bool made = false;
    if (count > 1 && group->numbered) {
        session = session_pool_take(coalesce->pool, bytes_of(group->key, group->owner_len), now_us,
                                    &made);
        if (session == NULL)
            count = 1;
        else if (made)
            count_one(coalesce, COALESCE_SESSIONS_MADE);
    }
    *batch = (struct batch){.group = group,
                            .place = group_take_place(coalesce, group, now_us),
                            .session = session,
                            .sent_us = now_us};
    int64_t since_us = group->waiters->since_us;
    for (uint32_t i = 0; i < count; i++) {
        struct coalesce_waiter *waiter = group->waiters;
        ungather(coalesce, waiter);
        add_to_batch(batch, waiter);
    }
    count_batch(coalesce, batch, why, now_us - since_us);
    return batch;
}

struct batch *coalesce_take(struct coalesce *coalesce, int64_t now_us)
{
    look_at_timers(coalesce, now_us);
    while (coalesce->ready != NULL) {
        struct coalesce_group *group = coalesce->ready;
        int why = why_due(coalesce, group, now_us);
        struct batch *batch = NULL;
        if (why != NOT_DUE)
            batch = make_batch(coalesce, group, why, now_us);
        mark(coalesce, group, now_us);
        if (batch != NULL)
            return batch;
    }
    return NULL;
}

const struct coalesce_counters *coalesce_counters(const struct coalesce *coalesce)
{
    return &coalesce->counters;
}

bool coalesce_is_idle(const struct coalesce *coalesce)
{
    return coalesce->idle_count == HASH_COUNT(coalesce->groups);
}

size_t coalesce_held_bytes(const struct coalesce *coalesce)
{
    return coalesce->held_bytes;
}
