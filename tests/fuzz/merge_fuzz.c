/* Merging, with any input from clients and servers: the input is cut into three insert payloads and
 * a reply, each behind its length, and three bytes of options (struct options). The last two wait
 * behind the first, are taken and built, and the reply is split; then the last one is retried.
 * Whatever the bytes are, the merged command holds exactly the documents of both, and each waiter
 * gets one well-formed reply, or none and the batch's end. */
#include <stdlib.h>
#include <string.h>

#include "bson/scan.h"
#include "bson/validate.h"
#include "fail_memory.h"
#include "merge/merge_counters.h"
#include "merge/merger.h"
#include "wire/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool without_memory; /* an allocation fails */

static void check(bool holds)
{
    if (!holds && !without_memory)
        abort();
}

enum option {
    OPTION_OFF = 1U << 0,
    OPTION_ONE_WAITER = 1U << 1,
    OPTION_REJECT = 1U << 2,
    OPTION_ANY_COMMENT = 1U << 3,
    OPTION_PROBABLE = 1U << 4, /* of the second and third insert's user */
    OPTION_UNKNOWN = 1U << 5,
    OPTION_TWO_DOCUMENTS = 1U << 6,
    OPTION_FEW_BYTES = 1U << 7,
    OPTION_LINGER = 1U << 8,
    OPTION_NO_RANDOMNESS = 1U << 9,
    OPTION_FIT = 1U << 10,
    OPTION_TRACE = 1U << 11,
    OPTION_DRAIN = 1U << 12,
    OPTION_DROP = 1U << 13, /* the waiters are left to merger_destroy */
    OPTION_SMALL_TABLE = 1U << 14,
    OPTION_FORGET = 1U << 15,
    OPTION_FORGET_ALL = 1U << 16,
    OPTION_SMALL_DOCUMENTS = 1U << 17,
    OPTION_APART = 1U << 18,
    OPTION_RESEND = 1U << 19, /* the batch's connection is lost once */
    OPTION_LEAVE = 1U << 20,
    OPTION_OTHER_USER = 1U << 21
};

static uint32_t options;
static struct grouping_limits limits;
static struct merger_rules rules;
static struct merger_origin origin;
static uint8_t identity[RETRY_IDENTITY_BYTES];

static bool has(enum option option)
{
    return (options & option) != 0;
}

static bool no_randomness(void *out, size_t len)
{
    memset(out, 5, len);
    return !has(OPTION_NO_RANDOMNESS);
}

static void set_up(struct bytes input)
{
    options = 0;
    for (unsigned i = 0; i < 3; i++) {
        uint8_t byte = 0;
        (void)bytes_read_u8(&input, &byte);
        options |= (uint32_t)byte << (8 * i);
    }
    enum grouping_comments comments =
        has(OPTION_ANY_COMMENT) ? GROUPING_COMMENTS_ALWAYS : GROUPING_COMMENTS_TRACEPARENT;
    limits = (struct grouping_limits){1 << 20, 1000, 1 << 20, comments};
    if (has(OPTION_SMALL_DOCUMENTS))
        limits = (struct grouping_limits){20, 1, 20, comments};
    rules = (struct merger_rules){.enabled = !has(OPTION_OFF),
                                  .ignored = comments,
                                  .reject = has(OPTION_REJECT),
                                  .max_docs = has(OPTION_TWO_DOCUMENTS) ? 2 : 1000,
                                  .max_bytes = has(OPTION_FEW_BYTES) ? 60 : 1 << 20,
                                  .max_in_flight = 1,
                                  .linger_us = has(OPTION_LINGER) ? 500 : 0,
                                  .max_waiters = has(OPTION_ONE_WAITER) ? 1 : 10,
                                  .max_waiters_total = 10};
    if (has(OPTION_FIT))
        merger_rules_fit(&rules, 3, MERGER_OVERHEAD_BYTES + 100);
    origin = (struct merger_origin){identity, "h:1", 1, MERGER_CERTAIN};
}

/* A piece of the input in memory of its own, preceded by its length. */
static struct bytes cut(struct bytes *input)
{
    struct bytes piece = {0};
    uint16_t len = 0;
    if (bytes_left(input) >= 2) {
        len = (uint16_t)(input->pos[0] | input->pos[1] << 8);
        input->pos += 2;
    }
    (void)bytes_take(input, len < bytes_left(input) ? len : bytes_left(input), &piece);
    uint8_t *copy = malloc(bytes_left(&piece) + 1);
    check(copy != NULL);
    if (bytes_left(&piece) > 0)
        memcpy(copy, piece.pos, bytes_left(&piece));
    return bytes_of(copy, bytes_left(&piece));
}

static void drop(struct bytes piece)
{
    free((void *)(uintptr_t)piece.pos);
}

static void never_told(void *arg, enum retry_result result, struct bytes reply)
{
    (void)arg;
    (void)result;
    (void)reply;
}

/* A command that cannot be parsed never comes so far; it counts as barred. */
static void classify(struct bytes payload, struct merger_insert *insert)
{
    static struct wire_command parsed; /* the insert points to it */
    *insert = (struct merger_insert){.bar = GROUPING_BAR_SECTIONS};
    if (wire_command_read_whole(payload, &parsed, NULL))
        grouping_classify(&parsed, &limits, insert);
}

static enum merger_outcome submit(struct merger *merger, struct bytes payload, void *waiter,
                                  struct merger_insert *insert, struct merger_answer *answer)
{
    struct retry_listener listener = {NULL, never_told};
    classify(payload, insert);
    check(insert->bar < GROUPING_BAR_COUNT && grouping_bar_name(insert->bar)[0] != 0);
    struct merger_request request = {.rules = &rules,
                                     .origin = &origin,
                                     .insert = insert,
                                     .waiter = waiter,
                                     .listener = &listener,
                                     .now_us = 1000};
    return merger_submit(merger, &request, answer);
}

/* A body that the proxy made: one well-formed document, and the sections around it. */
static void check_payload(const uint8_t *payload, size_t len, uint32_t documents)
{
    struct merger_insert merged;
    classify(bytes_of(payload, len), &merged);
    if (has(OPTION_SMALL_DOCUMENTS) || without_memory)
        return;
    check(merged.command != NULL && merged.command->flags == 0);
    check(validate_document(merged.command->body, NULL));
    if (documents > 0) /* the merged command could be merged itself */
        check(merged.bar == GROUPING_BAR_NONE && !merged.ordered &&
              merged.document_count == documents);
}

/* Requests each of its documents, and answers each with that reply. */
static void find_out(struct merger *merger, struct merger_resend *resend, struct bytes reply)
{
    enum resend_step step = RESEND_ASK;
    for (uint32_t asked = 0; step == RESEND_ASK; asked++) {
        struct build build;
        struct bytes own;
        uint8_t *sent = NULL;
        size_t len = 0;
        check(asked < 1000);
        if (!merger_resend_payload(resend, &sent, &len)) {
            check(false);
            merger_resend_lost(merger, resend, 1000);
            return;
        }
        check_payload(sent, len, 0);
        memory_free(sent);
        step = merger_resent(merger, resend, reply, 1000, &build, &own);
        check(step != RESEND_ANSWER || validate_document(own, NULL));
        build_free(&build);
    }
}

struct answers {
    int count[2];
};

static void note(void *arg, void *waiter, struct bytes reply)
{
    struct answers *answers = arg;
    check(++answers->count[(intptr_t)waiter - 1] == 1);
    check(validate_document(reply, NULL));
}

/* Its connection is lost. */
static void lose_batch(struct merger *merger, struct batch *batch, bool sent)
{
    batch_lost(merger, batch, sent, 1000);
    batch_end(merger, batch, 1000);
}

static void run_batch(struct merger *merger, struct batch *batch, uint32_t documents,
                      struct bytes reply)
{
    static const struct trace_context context = {.trace_id = {1}, .span_id = {2}};
    struct answers answers = {0};
    uint8_t *payload = NULL;
    size_t len = 0;
    check(batch_inserts(batch) == 2 && batch_documents(batch) == documents);
    check(memcmp(batch_identity(batch), identity, sizeof identity) == 0);
    if (!batch_build(batch, has(OPTION_TRACE) ? &context : NULL, &payload, &len)) {
        check(false);
        lose_batch(merger, batch, false);
        return;
    }
    check_payload(payload, len, documents);
    memory_free(payload);
    if (has(OPTION_LEAVE))
        merger_leave(merger, batch_first(batch), 1000);
    if (has(OPTION_RESEND) && batch_may_resend(merger, batch, 1000))
        check(!batch_may_resend(merger, batch, 1000));
    batch_let_go(merger, batch, 10000000);
    if (bytes_left(&reply) == 0) {
        lose_batch(merger, batch, true);
        return;
    }
    enum batch_verdict verdict = batch_answer(merger, batch, reply, note, &answers, 1000);
    bool both = verdict == BATCH_ANSWERED;
    check(answers.count[0] == (both && !has(OPTION_LEAVE)) && answers.count[1] == both);
    if (verdict == BATCH_FIND_OUT) {
        struct merger_waiter *first = batch_first(batch);
        for (; first != NULL; first = batch_next(first)) {
            struct merger_resend *resend =
                batch_waiter(first) == NULL ? NULL : batch_take_resend(first);
            if (resend != NULL)
                find_out(merger, resend, reply);
        }
    }
    batch_end(merger, batch, 1000);
}

/* The same insert once more, with any state of the table. */
static void retry(struct merger *merger, struct bytes payload, struct bytes reply)
{
    struct merger_insert insert;
    struct merger_answer answer;
    switch (submit(merger, payload, merger, &insert, &answer)) {
    case MERGER_REPLAY:
        check(validate_document(answer.reply, NULL));
        memory_free((void *)(uintptr_t)answer.reply.pos);
        break;
    case MERGER_RESEND:
        find_out(merger, answer.resend, reply);
        break;
    case MERGER_GO:
        merger_finished(merger, answer.permit, 1000);
        break;
    case MERGER_PASS:
    case MERGER_TOO_OLD:
        break;
    case MERGER_WAIT:
        check(has(OPTION_DROP)); /* those before it wait too */
        break;
    case MERGER_WAIT_FOR_FIRST:
        check(has(OPTION_DROP));
        retry_stop_waiting(answer.retry_waiter);
        break;
    case MERGER_REJECT:
        check(has(OPTION_DROP) && has(OPTION_REJECT));
        break;
    default:
        check(false); /* nothing of the key is under way */
    }
}

/* Known sessions, so that numbered inserts may be merged: number 0 passed before. */
static void know(struct retry_table *table, struct bytes payload)
{
    struct merger_insert insert;
    struct retry_answer answer;
    struct retry_request request = {.what = 1, .want = RETRY_WANT_DIRECT, .now_us = 1000};
    classify(payload, &insert);
    if (!insert.numbered)
        return;
    memcpy(request.key.lsid, insert.command->lsid, sizeof request.key.lsid);
    (void)retry_table_begin(table, &request, &answer);
}

/* The second and the third one: how many of them wait, and with how many documents. */
static int submit_others(struct merger *merger, const struct bytes *inserts, uint32_t *documents)
{
    struct merger_insert insert;
    struct merger_answer answer;
    intptr_t waiting = 0;
    if (has(OPTION_PROBABLE))
        origin.trust = MERGER_PROBABLE;
    if (has(OPTION_UNKNOWN))
        origin.trust = MERGER_UNKNOWN;
    if (has(OPTION_OTHER_USER))
        origin.incarnation++;
    for (int i = 1; i < 3; i++) {
        enum merger_outcome outcome =
            submit(merger, inserts[i], (void *)(waiting + 1), &insert, &answer);
        if (outcome == MERGER_GO) /* of another key */
            merger_finished(merger, answer.permit, 1000);
        if (outcome == MERGER_WAIT_FOR_FIRST)
            retry_stop_waiting(answer.retry_waiter);
        if (outcome == MERGER_RESEND)
            merger_resend_lost(merger, answer.resend, 1000);
        if (outcome == MERGER_REPLAY)
            memory_free((void *)(uintptr_t)answer.reply.pos);
        if (outcome != MERGER_WAIT)
            continue;
        (void)merger_is_repeated(answer.waiter);
        waiting++;
        *documents += insert.document_count;
    }
    return (int)waiting;
}

/* Takes and ends all batches. */
static int run_batches(struct merger *merger, uint32_t documents, struct bytes reply)
{
    struct bytes command;
    struct batch *batch = NULL;
    int done = 0;
    int64_t now_us = 1000;
    if (has(OPTION_DRAIN))
        merger_drain(merger, now_us);
    else if (has(OPTION_LINGER) && merger_next_due_us(merger) != INT64_MAX)
        now_us = 1000 + rules.linger_us;
    while ((batch = merger_take(merger, now_us)) != NULL) {
        done += (int)batch_inserts(batch);
        if (batch_inserts(batch) == 2)
            run_batch(merger, batch, documents, reply);
        else
            merger_finished(merger, batch_go_lone(merger, batch, 1000, &command), 1000);
    }
    return done;
}

/* The first goes at once, the others wait behind it. */
static void run(struct merger *merger, const struct bytes *inserts, struct bytes reply)
{
    struct merger_insert insert;
    struct merger_answer answer;
    uint32_t documents = 0;
    if (submit(merger, inserts[0], merger, &insert, &answer) != MERGER_GO)
        return;
    int waiting = submit_others(merger, inserts, &documents);
    merger_finished(merger, answer.permit, 1000);
    if (!has(OPTION_DROP)) {
        check(run_batches(merger, documents, reply) == waiting);
        check(merger_take(merger, 1000) == NULL);
    }
    retry(merger, inserts[2], reply);
    /* the last insert that went alone stays until the next one */
    check(has(OPTION_DROP) ||
          (merger_is_idle(merger) &&
           merger_held_bytes(merger) <= bytes_left(&inserts[1]) + bytes_left(&inserts[2])));
}

/* The sessions of the inserts are over, or their entries have less room. */
static void change_table(struct retry_table *table, struct merger *merger,
                         const struct bytes *inserts)
{
    struct merger_insert insert;
    struct retry_key key = {0};
    if (has(OPTION_SMALL_TABLE))
        retry_table_set_cap(table, 500);
    classify(inserts[0], &insert);
    if (insert.numbered) {
        memcpy(key.lsid, insert.command->lsid, sizeof key.lsid);
        if (has(OPTION_APART))
            merger_note_passed(merger, &origin, insert.command->lsid, insert.command->number, 1000);
        if (has(OPTION_FORGET))
            retry_table_forget(table, &key);
    }
    if (has(OPTION_APART))
        merger_count_apart(merger, insert.bar);
    if (has(OPTION_FORGET_ALL)) {
        retry_table_forget_all(table);
        check(retry_table_entries(table) == 0 || has(OPTION_DROP));
        (void)retry_table_bytes(table);
    }
}

static void check_counters(const struct merger *merger)
{
    struct merger_sums sums = {0};
    merger_counters_sum(merger_counters(merger), &sums);
    check(has(OPTION_DROP) || sums.values[MERGER_WAITING_NOW] == 0);
    for (size_t i = 0; i < GROUPING_BAR_COUNT; i++)
        check(sums.bars[i] <= 10);
}

static void play(struct bytes input)
{
    struct bytes inserts[3];
    for (int i = 0; i < 3; i++)
        inserts[i] = cut(&input);
    struct bytes reply = cut(&input);
    set_up(input);
    struct retry_table *table = retry_table_create(1 << 16);
    struct merger *merger = table == NULL ? NULL : merger_create(table, no_randomness);
    check(merger != NULL);
    if (merger != NULL) {
        for (int i = 0; i < 3; i++)
            know(table, inserts[i]);
        run(merger, inserts, reply);
        change_table(table, merger, inserts);
        check_counters(merger);
    }
    merger_destroy(merger);
    retry_table_destroy(table);
    for (int i = 0; i < 3; i++)
        drop(inserts[i]);
    drop(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play(bytes_of(data, size));
    without_memory = fail_memory_for(data, size);
    if (without_memory)
        play(bytes_of(data, size));
    memory_fail_never();
    without_memory = false;
    return 0;
}
