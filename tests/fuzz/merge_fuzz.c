/* Merging, with any input from clients and servers: the input is cut into three insert payloads and
 * a reply. The last two wait behind the first, are taken and built, and the reply is split; then
 * the last one is retried. Whatever the bytes are, the merged command holds exactly the documents
 * of both, and each waiter gets one well-formed reply, or none and the batch's end. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "bson/validate.h"
#include "merge/merger.h"
#include "wire/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool no_randomness(void *out, size_t len)
{
    memset(out, 5, len);
    return true;
}

static const struct grouping_limits limits = {1 << 20, 1000, 1 << 20,
                                              GROUPING_COMMENTS_TRACEPARENT};
static const struct merger_rules rules = {.enabled = true,
                                          .max_docs = 1000,
                                          .max_bytes = 1 << 20,
                                          .max_in_flight = 1,
                                          .max_waiters = 10,
                                          .max_waiters_total = 10};
static uint8_t identity[RETRY_IDENTITY_BYTES];
static const struct merger_origin origin = {identity, "h:1", 1, MERGER_CERTAIN};

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
    check(insert->bar < GROUPING_BAR_COUNT);
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
        check(merger_resend_payload(resend, &sent, &len));
        check_payload(sent, len, 0);
        memory_free(sent);
        step = merger_resent(merger, resend, reply, 1000, &build, &own);
        if (step == RESEND_ANSWER)
            check(validate_document(own, NULL));
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

static void run_batch(struct merger *merger, struct batch *batch, uint32_t documents,
                      struct bytes reply)
{
    struct answers answers = {0};
    uint8_t *payload = NULL;
    size_t len = 0;
    check(batch_inserts(batch) == 2);
    check(batch_build(batch, NULL, &payload, &len));
    check_payload(payload, len, documents);
    memory_free(payload);
    if (bytes_left(&reply) == 0) {
        batch_lost(merger, batch, true, 1000);
    } else {
        enum batch_verdict verdict = batch_answer(merger, batch, reply, note, &answers, 1000);
        check(answers.count[0] == (verdict == BATCH_ANSWERED));
        check(answers.count[1] == (verdict == BATCH_ANSWERED));
        if (verdict == BATCH_FIND_OUT)
            find_out(merger, batch_take_resend(batch_first(batch)), reply);
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
    default:
        abort(); /* nothing of the key is under way */
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

/* The first goes at once, the others wait behind it. */
static void run(struct merger *merger, const struct bytes *inserts, struct bytes reply)
{
    struct merger_insert insert;
    struct merger_answer answer;
    struct bytes command;
    uint32_t documents = 0;
    intptr_t waiting = 0;
    if (submit(merger, inserts[0], merger, &insert, &answer) != MERGER_GO)
        return;
    struct merger_permit *permit = answer.permit;
    for (int i = 1; i < 3; i++) {
        enum merger_outcome outcome =
            submit(merger, inserts[i], (void *)(waiting + 1), &insert, &answer);
        if (outcome == MERGER_GO) /* of another key */
            merger_finished(merger, answer.permit, 1000);
        if (outcome == MERGER_WAIT_FOR_FIRST)
            retry_stop_waiting(answer.retry_waiter);
        if (outcome != MERGER_WAIT)
            continue;
        waiting++;
        documents += insert.document_count;
    }
    merger_finished(merger, permit, 1000);
    struct batch *batch = merger_take(merger, 1000);
    check((batch != NULL) == (waiting > 0));
    if (waiting == 2)
        run_batch(merger, batch, documents, reply);
    else if (waiting == 1)
        merger_finished(merger, batch_go_lone(merger, batch, 1000, &command), 1000);
    check(merger_take(merger, 1000) == NULL);
    retry(merger, inserts[2], reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct bytes inserts[3];
    struct retry_table *table = retry_table_create(1 << 16);
    struct merger *merger = merger_create(table, no_randomness);
    check(table != NULL && merger != NULL);
    for (int i = 0; i < 3; i++) {
        inserts[i] = cut(&input);
        know(table, inserts[i]);
    }
    struct bytes reply = cut(&input);
    run(merger, inserts, reply);
    merger_destroy(merger);
    retry_table_destroy(table);
    for (int i = 0; i < 3; i++)
        drop(inserts[i]);
    drop(reply);
    return 0;
}
