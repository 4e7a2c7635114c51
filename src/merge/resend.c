/* Finds out the result of an insert in a batch: sends its documents one by one, under the numbers
 * of the batch and each with its own statement id. A server answers a single statement exactly: it
 * knows it, or runs it now. */
#include "base/memory.h"
#include "bson/scan.h"
#include "merge/merger_internal.h"
#include "merge/split.h"

static void hold(struct merger *merger, size_t bytes)
{
    merger->held_bytes += bytes;
    group_show_held(merger);
}

static void resend_free(struct merger *merger, struct merger_resend *resend)
{
    merger->held_bytes -= resend->payload_bytes + resend->replies_bytes;
    group_show_held(merger);
    memory_free(resend->replies);
    memory_free(resend);
}

static void settle(struct merger *merger, struct merger_resend *resend, enum retry_end end,
                   struct bytes reply, int64_t now_us)
{
    (void)retry_settle(merger->retries, resend->op, end, &resend->numbers, reply, now_us);
}

struct merger_resend *resend_make(struct merger *merger, struct retry_op *op,
                                  const struct retry_numbers *numbers, const struct resend_of *of,
                                  int64_t now_us)
{
    struct document_list documents = of->documents;
    size_t bytes = bytes_left(&of->payload);
    struct merger_resend *resend = memory_alloc(sizeof *resend + bytes);
    if (resend == NULL) {
        (void)retry_settle(merger->retries, op, RETRY_END_LOST, numbers, (struct bytes){0}, now_us);
        return NULL;
    }
    *resend = (struct merger_resend){.op = op, .numbers = *numbers, .payload_bytes = bytes};
    memcpy(resend->payload, of->payload.pos, bytes);
    resend->body = merger_moved(of->body, of->payload, resend->payload);
    documents.content = merger_moved(documents.content, of->payload, resend->payload);
    list_walk_open(&resend->rest, &documents);
    hold(merger, bytes);
    return resend;
}

void merger_resend_lost(struct merger *merger, struct merger_resend *resend, int64_t now_us)
{
    settle(merger, resend, RETRY_END_LOST, (struct bytes){0}, now_us);
    resend_free(merger, resend);
}

/* --- the command --- */

/* Drops apiStrict, because stmtIds is not in the stable API. */
static bool is_replaced(const struct scan_element *field)
{
    static const char *const replaced[] = {"lsid",    "txnNumber", "stmtId",
                                           "stmtIds", "apiStrict", "documents"};
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        if (scan_name_is(field, replaced[i]))
            return true;
    return false;
}

/* Keeps all other fields of the command. */
static void write_body(const struct merger_resend *resend, struct build *body)
{
    struct scan scan;
    struct scan_element each;
    (void)scan_open(&scan, resend->body);
    while (scan_next(&scan, &each))
        if (!is_replaced(&each))
            build_value(body, each.name, each.kind, each.value);
    batch_write_session(body, resend->numbers.lsid, resend->numbers.number);
    build_open_array(body, "stmtIds");
    build_int32(body, NULL, (int32_t)(resend->numbers.first_statement + resend->at));
    build_close(body);
}

bool merger_resend_payload(const struct merger_resend *resend, uint8_t **payload, size_t *len)
{
    struct build build;
    struct bytes document;
    struct list_walk rest = resend->rest;
    uint8_t *at = NULL;
    if (!list_walk_next(&rest, &document) || rest.kind != BSON_KIND_OBJECT)
        return false;
    build_begin(&build, SIZE_MAX);
    write_body(resend, &build);
    *payload = batch_frame(&build, (struct bytes){0}, bytes_left(&document), &at, len);
    build_free(&build);
    if (*payload == NULL)
        return false;
    memcpy(at, document.pos, bytes_left(&document));
    return true;
}

/* --- its replies --- */

static bool keep(struct merger *merger, struct merger_resend *resend, struct bytes reply)
{
    size_t bytes = bytes_left(&reply);
    uint8_t *replies = memory_resize(resend->replies, resend->replies_bytes + bytes);
    if (replies == NULL)
        return false;
    memcpy(replies + resend->replies_bytes, reply.pos, bytes);
    resend->replies = replies;
    resend->replies_bytes += bytes;
    hold(merger, bytes);
    return true;
}

/* For ok: 0 to a document. An error about the whole command is safe if it leaves the result open,
 * or for a client that knows that it retries, and then only before the answer to a document: that
 * one may be stored. */
static bool may_be_told(const struct merger_resend *resend, const struct split *split)
{
    return !split->claims_nothing || (resend->again && resend->at == 0);
}

static bool write_answer(const struct merger_resend *resend, const struct split *split,
                         struct build *out, struct bytes *answer)
{
    if (resend->numbers.statements == 1 || !split->ok)
        return split_write(split, 0, 1, resend->numbers.first_statement + resend->at, out, answer);
    return split_join(bytes_of(resend->replies, resend->replies_bytes), out, answer);
}

/* Handles one reply; RESEND_ASK while there are more documents. */
static enum resend_step take_reply(struct merger *merger, struct merger_resend *resend,
                                   const struct split *split)
{
    struct bytes document;
    if (!split->ok)
        return may_be_told(resend, split) ? RESEND_ANSWER : RESEND_CLOSE;
    resend->asks_again |= split->kind == SPLIT_RETRY;
    if (resend->numbers.statements == 1)
        return RESEND_ANSWER;
    if (!keep(merger, resend, split->reply))
        return RESEND_CLOSE;
    if (resend->at + 1 == resend->numbers.statements)
        return RESEND_ANSWER;
    (void)list_walk_next(&resend->rest, &document);
    resend->at++;
    return RESEND_ASK;
}

enum resend_step merger_resent(struct merger *merger, struct merger_resend *resend,
                               struct bytes reply, int64_t now_us, struct build *out,
                               struct bytes *answer)
{
    struct split split;
    enum resend_step step = RESEND_CLOSE;
    *answer = (struct bytes){0};
    *out = (struct build){0};
    if (split_read(&split, reply, 1, NULL))
        step = take_reply(merger, resend, &split);
    if (step == RESEND_ANSWER && !write_answer(resend, &split, out, answer))
        step = RESEND_CLOSE;
    if (step == RESEND_CLOSE) {
        merger_resend_lost(merger, resend, now_us);
    } else if (step == RESEND_ANSWER) {
        /* a refusal of this attempt proves nothing about the batch */
        bool final = split.ok && !resend->asks_again;
        settle(merger, resend, final ? RETRY_END_DONE : RETRY_END_REFUSED, *answer, now_us);
        resend_free(merger, resend);
    }
    split_release(&split);
    return step;
}
