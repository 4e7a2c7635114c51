/* A batch under way: the merged command, its reply, its end. */
#include "base/assert.h"
#include "base/memory.h"
#include "bson/scan.h"
#include "merge/merger_internal.h"
#include "merge/split.h"

/* --- the merged command --- */

static const char sequence_name[] = "documents";

enum {
    BODY_AT = 5, /* after the flags and the kind */
    SEQUENCE_FRONT = 1 + 4 + sizeof sequence_name,
    LSID_VALUE_BYTES = 5 + LSID_BYTES,
    BINARY_SUBTYPE_UUID = 4
};

void batch_write_session(struct build *body, const uint8_t *lsid, int64_t number)
{
    uint8_t value[LSID_VALUE_BYTES];
    bytes_store_i32(value, LSID_BYTES);
    value[4] = BINARY_SUBTYPE_UUID;
    memcpy(value + 5, lsid, LSID_BYTES);
    build_open_object(body, "lsid");
    build_value(body, "id", BSON_KIND_BINARY, bytes_of(value, sizeof value));
    build_close(body);
    build_int64(body, "txnNumber", number);
}

/* Writes the consecutive elements of the group's key. */
static void write_elements(struct build *body, struct bytes elements)
{
    struct scan scan = {.rest = elements};
    struct scan_element each;
    while (scan_next(&scan, &each))
        build_value(body, each.name, each.kind, each.value);
}

static void write_body(const struct batch *batch, enum trace_carrier carrier,
                       const struct trace_context *context, struct build *body)
{
    const struct merger_group *group = batch->group;
    write_elements(body,
                   bytes_of(group->key + group->elements_at, group->key_len - group->elements_at));
    build_bool(body, "ordered", false);
    if (carrier == TRACE_CARRIER_DOCUMENT || carrier == TRACE_CARRIER_STRING)
        trace_comment_write(body, carrier, context);
    if (batch->session != NULL)
        batch_write_session(body, batch->session->lsid, batch->session->number);
}

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
}

static uint8_t *put_documents(uint8_t *at, const struct merger_waiter *waiter)
{
    struct list_walk walk;
    struct bytes document = waiter->documents.content;
    if (!waiter->documents.in_body)
        return put(at, document.pos, bytes_left(&document));
    list_walk_open(&walk, &waiter->documents);
    while (list_walk_next(&walk, &document))
        at = put(at, document.pos, bytes_left(&document));
    return at;
}

uint8_t *batch_frame(struct build *build, struct bytes telemetry, size_t documents_bytes,
                     uint8_t **documents, size_t *len)
{
    struct bytes body;
    if (!build_finish(build, &body))
        return NULL;
    size_t telemetry_bytes = bytes_left(&telemetry) == 0 ? 0 : 1 + bytes_left(&telemetry);
    *len = BODY_AT + bytes_left(&body) + telemetry_bytes + SEQUENCE_FRONT + documents_bytes;
    uint8_t *out = memory_alloc(*len);
    if (out == NULL)
        return NULL;
    memset(out, 0, BODY_AT); /* no flags, kind 0 */
    uint8_t *at = put(out + BODY_AT, body.pos, bytes_left(&body));
    if (telemetry_bytes > 0) {
        *at++ = WIRE_SECTION_TELEMETRY;
        at = put(at, telemetry.pos, bytes_left(&telemetry));
    }
    *at++ = WIRE_SECTION_SEQUENCE;
    bytes_store_i32(at, (int32_t)(SEQUENCE_FRONT - 1 + documents_bytes));
    *documents = put(at + 4, sequence_name, sizeof sequence_name);
    return out;
}

static enum trace_carrier carrier_of(const struct batch *batch)
{
    const struct merger_waiter *waiter = NULL;
    DL_FOREACH(batch->head, waiter)
    if (waiter->carrier != TRACE_CARRIER_NONE)
        return waiter->carrier;
    return TRACE_CARRIER_NONE;
}

bool batch_build(const struct batch *batch, const struct trace_context *context, uint8_t **payload,
                 size_t *len)
{
    struct build build;
    uint8_t section[TRACE_SECTION_BYTES];
    struct bytes telemetry = {0};
    uint8_t *at = NULL;
    enum trace_carrier carrier = context != NULL ? carrier_of(batch) : TRACE_CARRIER_NONE;
    if (carrier == TRACE_CARRIER_SECTION)
        telemetry = trace_section_write(context, section);
    build_begin(&build, SIZE_MAX);
    write_body(batch, carrier, context, &build);
    uint8_t *out = batch_frame(&build, telemetry, batch->bytes, &at, len);
    if (out != NULL) {
        const struct merger_waiter *waiter = NULL;
        DL_FOREACH(batch->head, waiter)
        at = put_documents(at, waiter);
        sluice_assert(at == out + *len);
        *payload = out;
    }
    build_free(&build);
    return out != NULL;
}

const uint8_t *batch_identity(const struct batch *batch)
{
    return batch->group->key;
}

size_t batch_inserts(const struct batch *batch)
{
    return batch->inserts;
}

uint32_t batch_documents(const struct batch *batch)
{
    return batch->docs;
}

struct merger_waiter *batch_first(const struct batch *batch)
{
    return batch->head;
}

struct merger_waiter *batch_next(const struct merger_waiter *waiter)
{
    return waiter->next;
}

void *batch_waiter(const struct merger_waiter *waiter)
{
    return waiter->arg;
}

struct bytes batch_command(const struct merger_waiter *waiter)
{
    return bytes_of(waiter->payload, waiter->payload_len);
}

/* --- its end --- */

/* In units of stalled_after_us. Long enough that a slow server is not asked twice. */
enum { LET_GO_AFTER = 10 };

static struct retry_numbers numbers_of(const struct batch *batch,
                                       const struct merger_waiter *waiter, uint32_t first)
{
    struct retry_numbers numbers = {.first_statement = first, .statements = waiter->docs};
    if (batch->session != NULL) {
        memcpy(numbers.lsid, batch->session->lsid, sizeof numbers.lsid);
        numbers.number = batch->session->number;
    }
    return numbers;
}

/* Ends the waiter in the retry table. Returns true if its numbers are still needed. */
static bool settle(struct merger *merger, const struct batch *batch, struct merger_waiter *waiter,
                   uint32_t first, enum retry_end end, struct bytes reply, int64_t now_us)
{
    struct retry_numbers numbers = numbers_of(batch, waiter, first);
    struct retry_op *op = waiter->op;
    if (op == NULL)
        return false;
    waiter->op = NULL;
    return retry_settle(merger->retries, op, end, &numbers, reply, now_us);
}

/* Frees the batch's session, or retires it. */
static void let_session_go(struct merger *merger, struct batch *batch, bool needed, int64_t now_us)
{
    if (batch->session == NULL)
        return;
    if (needed) {
        session_pool_retire(merger->pool, batch->session);
        count_one(merger, MERGER_SESSIONS_RETIRED);
    } else {
        session_pool_give_back(merger->pool, batch->session, now_us);
    }
    batch->session = NULL;
}

static void settle_all(struct merger *merger, struct batch *batch, enum retry_end end,
                       int64_t now_us)
{
    struct merger_waiter *waiter = NULL;
    uint32_t first = 0;
    bool needed = batch->needed;
    sluice_assert(!batch->settled);
    DL_FOREACH(batch->head, waiter)
    {
        needed |= settle(merger, batch, waiter, first, end, (struct bytes){0}, now_us);
        first += waiter->docs;
    }
    let_session_go(merger, batch, needed, now_us);
    batch->settled = true;
}

void batch_let_go(struct merger *merger, struct batch *batch, int64_t now_us)
{
    struct merger_waiter *waiter = NULL;
    uint32_t first = 0;
    int64_t after_us = LET_GO_AFTER * batch->group->rules.stalled_after_us;
    if (batch->session == NULL || after_us == 0 || now_us - batch->sent_us < after_us)
        return;
    DL_FOREACH(batch->head, waiter)
    {
        /* never a present client: with BATCH_SEND_ALONE its own command would go too */
        if (waiter->arg == NULL && waiter->op != NULL && retry_is_awaited(waiter->op))
            batch->needed |=
                settle(merger, batch, waiter, first, RETRY_END_LOST, (struct bytes){0}, now_us);
        first += waiter->docs;
    }
}

struct merger_permit *batch_go_lone(struct merger *merger, struct batch *batch, int64_t now_us,
                                    struct bytes *command)
{
    struct merger_waiter *waiter = batch->head;
    struct merger_permit *permit = batch->permit;
    sluice_assert(batch->inserts == 1 && batch->session == NULL);
    settle_all(merger, batch, RETRY_END_DIRECT, now_us);
    if (merger->spent != NULL)
        waiter_free(merger, merger->spent);
    merger->spent = waiter;
    *command = batch_command(waiter);
    return permit;
}

bool batch_may_resend(struct merger *merger, struct batch *batch, int64_t now_us)
{
    sluice_assert(!batch->settled);
    /* not after batch_let_go: that client may know by now that its document is refused, and the
     * batch could store it */
    if (batch->session == NULL || batch->resent || batch->needed)
        return false;
    batch->resent = true;
    batch->sent_us = now_us;
    count_one(merger, MERGER_BATCHES_RESENT);
    return true;
}

void batch_lost(struct merger *merger, struct batch *batch, bool sent, int64_t now_us)
{
    settle_all(merger, batch, sent || batch->resent ? RETRY_END_LOST : RETRY_END_UNSENT, now_us);
    count_one(merger, MERGER_BATCHES_LOST);
}

void batch_end(struct merger *merger, struct batch *batch, int64_t now_us)
{
    struct merger_permit *permit = batch->permit;
    struct merger_waiter *waiter = batch->head;
    uint32_t answered = 0;
    sluice_assert(batch->settled && batch->session == NULL);
    while (waiter != NULL) { /* the first waiter contains the batch itself */
        struct merger_waiter *next = waiter->next;
        sluice_assert(waiter->op == NULL);
        answered += waiter->answered && waiter->arg != NULL;
        if (waiter->resend != NULL)
            merger_resend_lost(merger, waiter->resend, now_us);
        waiter_free(merger, waiter);
        waiter = next;
    }
    group_release_permit(merger, permit, answered, now_us);
}

/* --- its reply --- */

/* Exactly once for each. */
static void answer_waiter(struct merger_waiter *waiter, struct bytes reply, batch_reply each,
                          void *arg)
{
    sluice_assert(!waiter->answered);
    waiter->answered = true;
    if (waiter->arg != NULL)
        each(arg, waiter->arg, reply);
}

/* The reply to one insert. The next insert mostly gets an equal one. */
struct own_reply {
    struct build build;
    struct bytes document; /* empty: there was no memory */
    uint32_t docs;         /* 0: none is written */
};

static struct bytes own_reply(struct own_reply *own, const struct split *split,
                              const struct merger_waiter *waiter, uint32_t first)
{
    if (own->docs == waiter->docs && split->alike && bytes_left(&own->document) > 0)
        return own->document;
    if (own->docs > 0)
        build_free(&own->build);
    own->docs = waiter->docs;
    if (!split_write(split, first, waiter->docs, first, &own->build, &own->document))
        own->document = (struct bytes){0};
    return own->document;
}

static void answer_all(struct merger *merger, struct batch *batch, const struct split *split,
                       batch_reply each, void *arg, int64_t now_us)
{
    struct merger_waiter *waiter = NULL;
    struct own_reply own = {.docs = 0};
    enum retry_end end = split->kind == SPLIT_RETRY ? RETRY_END_REFUSED : RETRY_END_DONE;
    uint32_t first = 0;
    bool needed = batch->needed;
    DL_FOREACH(batch->head, waiter)
    {
        struct bytes document = own_reply(&own, split, waiter, first);
        /* the table first: the client may ask again as soon as it has its answer */
        needed |= settle(merger, batch, waiter, first, end, document, now_us);
        answer_waiter(waiter, document, each, arg);
        first += waiter->docs;
    }
    if (own.docs > 0)
        build_free(&own.build);
    let_session_go(merger, batch, needed, now_us);
    batch->settled = true;
}

/* The answer leaves the results open: the remaining clients ask for theirs. */
static void find_out_all(struct merger *merger, struct batch *batch, int64_t now_us)
{
    struct merger_waiter *waiter = NULL;
    uint32_t first = 0;
    DL_FOREACH(batch->head, waiter)
    {
        if (waiter->arg != NULL) {
            struct retry_numbers numbers = numbers_of(batch, waiter, first);
            struct retry_op *op = waiter->op;
            waiter->op = NULL;
            const struct resend_of of = {batch_command(waiter), waiter->body, waiter->documents};
            waiter->resend = resend_make(merger, op, &numbers, &of, now_us);
            count_one(merger, MERGER_FOUND_OUT);
        } else {
            (void)settle(merger, batch, waiter, first, RETRY_END_LOST, (struct bytes){0}, now_us);
        }
        first += waiter->docs;
    }
    let_session_go(merger, batch, true, now_us);
    batch->settled = true;
}

struct merger_resend *batch_take_resend(struct merger_waiter *waiter)
{
    struct merger_resend *resend = waiter->resend;
    waiter->resend = NULL;
    return resend;
}

/* Judges the reply to the batch and to earlier attempts. */
static enum batch_verdict judge(const struct batch *batch, bool readable, const struct split *split)
{
    bool asks_again = readable && split->kind == SPLIT_RETRY;
    /* Some of it was sent before, the whole of it or one who was let go. Servers answer what they
     * know of a command at places of their own, or not at all: only that every document is stored
     * can be believed. */
    if (batch->resent || batch->needed) {
        bool all_stored = readable && split->ok && split->error_count == 0;
        bool left_open = asks_again && !split->ok && !split->claims_nothing;
        return all_stored || left_open ? BATCH_ANSWERED : BATCH_FIND_OUT;
    }
    if (!readable)
        return BATCH_UNREADABLE;
    if (split->ok || asks_again)
        return BATCH_ANSWERED;
    if (split->kind == SPLIT_NOT_RUN)
        return BATCH_SEND_ALONE;
    return batch->session != NULL ? BATCH_FIND_OUT : BATCH_UNCERTAIN;
}

enum batch_verdict batch_answer(struct merger *merger, struct batch *batch, struct bytes reply,
                                batch_reply each, void *arg, int64_t now_us)
{
    struct split split;
    sluice_assert(!batch->settled);
    bool readable = split_read(&split, reply, batch->docs, NULL);
    enum batch_verdict verdict = judge(batch, readable, &split);
    switch (verdict) {
    case BATCH_ANSWERED:
        answer_all(merger, batch, &split, each, arg, now_us);
        break;
    case BATCH_SEND_ALONE:
        settle_all(merger, batch, RETRY_END_DIRECT, now_us);
        merger_bump(&merger->counters.values[MERGER_SENT_ALONE], batch->inserts);
        break;
    case BATCH_FIND_OUT:
        find_out_all(merger, batch, now_us);
        break;
    case BATCH_UNCERTAIN:
        settle_all(merger, batch, RETRY_END_LOST, now_us);
        count_one(merger, MERGER_BATCHES_UNCERTAIN);
        break;
    case BATCH_UNREADABLE:
        settle_all(merger, batch, RETRY_END_LOST, now_us);
        count_one(merger, MERGER_BATCHES_UNREADABLE);
        break;
    }
    split_release(&split);
    return verdict;
}
