/* What became of an insert of a batch: its documents are asked for one by one, under the numbers of
 * the batch, each with its own statement id. A server answers a single statement exactly: it knows
 * it, or runs it now. */
#include "base/memory.h"
#include "bson/scan.h"
#include "coalesce/coalesce_internal.h"
#include "coalesce/split.h"

static void hold(struct coalesce *coalesce, size_t bytes)
{
    coalesce->held_bytes += bytes;
    group_show_held(coalesce);
}

static void resend_free(struct coalesce *coalesce, struct coalesce_resend *resend)
{
    coalesce->held_bytes -= resend->payload_bytes + resend->replies_bytes;
    group_show_held(coalesce);
    memory_free(resend->replies);
    memory_free(resend);
}

static void settle(struct coalesce *coalesce, struct coalesce_resend *resend, enum retry_end end,
                   struct bytes reply, int64_t now_us)
{
    (void)retry_settle(coalesce->retries, resend->op, end, &resend->numbers, reply, now_us);
}

struct coalesce_resend *resend_make(struct coalesce *coalesce, struct retry_op *op,
                                    const struct retry_numbers *numbers, const struct resend_of *of,
                                    int64_t now_us)
{
    struct document_list documents = of->documents;
    size_t bytes = bytes_left(&of->payload);
    struct coalesce_resend *resend = memory_alloc(sizeof *resend + bytes);
    if (resend == NULL) {
        (void)retry_settle(coalesce->retries, op, RETRY_END_LOST, numbers, (struct bytes){0},
                           now_us);
        return NULL;
    }
    *resend = (struct coalesce_resend){.op = op, .numbers = *numbers, .payload_bytes = bytes};
    memcpy(resend->payload, of->payload.pos, bytes);
    resend->body = coalesce_moved(of->body, of->payload, resend->payload);
    documents.content = coalesce_moved(documents.content, of->payload, resend->payload);
    list_walk_open(&resend->rest, &documents);
    hold(coalesce, bytes);
    return resend;
}

void coalesce_resend_lost(struct coalesce *coalesce, struct coalesce_resend *resend, int64_t now_us)
{
    settle(coalesce, resend, RETRY_END_LOST, (struct bytes){0}, now_us);
    resend_free(coalesce, resend);
}

/* --- the command --- */

/* apiStrict goes, since stmtIds is not in the stable API. */
static bool is_replaced(const struct scan_element *field)
{
    static const char *const replaced[] = {"lsid",    "txnNumber", "stmtId",
                                           "stmtIds", "apiStrict", "documents"};
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++)
        if (scan_name_is(field, replaced[i]))
            return true;
    return false;
}

/* Everything else that the command says for itself stays. */
static void write_body(const struct coalesce_resend *resend, struct build *body)
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

bool coalesce_resend_payload(const struct coalesce_resend *resend, uint8_t **payload, size_t *len)
{
    struct build build;
    struct bytes document;
    struct list_walk rest = resend->rest;
    uint8_t *at = NULL;
    if (!list_walk_next(&rest, &document) || rest.kind != BSON_KIND_OBJECT)
        return false;
    build_begin(&build, SIZE_MAX);
    write_body(resend, &build);
    *payload = batch_frame(&build, bytes_left(&document), &at, len);
    build_free(&build);
    if (*payload == NULL)
        return false;
    memcpy(at, document.pos, bytes_left(&document));
    return true;
}

/* --- its replies --- */

static bool keep(struct coalesce *coalesce, struct coalesce_resend *resend, struct bytes reply)
{
    size_t bytes = bytes_left(&reply);
    uint8_t *replies = memory_resize(resend->replies, resend->replies_bytes + bytes);
    if (replies == NULL)
        return false;
    memcpy(replies + resend->replies_bytes, reply.pos, bytes);
    resend->replies = replies;
    resend->replies_bytes += bytes;
    hold(coalesce, bytes);
    return true;
}

/* ok: 0 to a document. What it says of the command as a whole is for a client that knows that it
 * asks again, or says "perhaps" to any. */
static bool may_be_told(const struct coalesce_resend *resend, const struct split *split)
{
    return resend->again || split->kind != SPLIT_NOT_RUN;
}

static bool write_answer(const struct coalesce_resend *resend, const struct split *split,
                         struct build *out, struct bytes *answer)
{
    if (resend->numbers.statements == 1 || !split->ok)
        return split_write(split, 0, 1, resend->numbers.first_statement + resend->at, out, answer);
    return split_join(bytes_of(resend->replies, resend->replies_bytes), out, answer);
}

/* Takes one reply in; RESEND_ASK while there are more documents. */
static enum resend_step take_reply(struct coalesce *coalesce, struct coalesce_resend *resend,
                                   const struct split *split)
{
    struct bytes document;
    if (!split->ok)
        return may_be_told(resend, split) ? RESEND_ANSWER : RESEND_CLOSE;
    resend->asks_again |= split->kind == SPLIT_RETRY;
    if (resend->numbers.statements == 1)
        return RESEND_ANSWER;
    if (!keep(coalesce, resend, split->reply))
        return RESEND_CLOSE;
    if (resend->at + 1 == resend->numbers.statements)
        return RESEND_ANSWER;
    (void)list_walk_next(&resend->rest, &document);
    resend->at++;
    return RESEND_ASK;
}

enum resend_step coalesce_resent(struct coalesce *coalesce, struct coalesce_resend *resend,
                                 struct bytes reply, int64_t now_us, struct build *out,
                                 struct bytes *answer)
{
    struct split split;
    enum resend_step step = RESEND_CLOSE;
    *answer = (struct bytes){0};
    *out = (struct build){0};
    if (split_read(&split, reply, 1, NULL))
        step = take_reply(coalesce, resend, &split);
    if (step == RESEND_ANSWER && !write_answer(resend, &split, out, answer))
        step = RESEND_CLOSE;
    if (step == RESEND_CLOSE) {
        coalesce_resend_lost(coalesce, resend, now_us);
    } else if (step == RESEND_ANSWER) {
        /* that it was not run this time says nothing about the batch */
        bool final = split.ok && !resend->asks_again;
        settle(coalesce, resend, final ? RETRY_END_DONE : RETRY_END_REFUSED, *answer, now_us);
        resend_free(coalesce, resend);
    }
    split_release(&split);
    return step;
}
