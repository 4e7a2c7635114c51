/* What becomes of an insert that just came. */
#include "base/assert.h"
#include "base/memory.h"
#include "coalesce/coalesce_internal.h"

/* What retry_what never answers. */
#define NO_COMMAND ((uint64_t)0)

/* What would be done with an insert that is no retry. */
struct submission {
    enum coalesce_outcome outcome; /* GO, PASS, REJECT or WAIT */
    enum grouping_bar bar;         /* why PASS */
    struct coalesce_group *group;
    struct coalesce_waiter *waiter; /* WAIT: made, not yet gathered */
};

static bool is_full(const struct coalesce *coalesce, const struct coalesce_group *group)
{
    return group->waiting >= group->rules.max_waiters ||
           coalesce->waiting >= group->rules.max_waiters_total;
}

static void decide_pass(struct submission *submission, enum grouping_bar bar)
{
    submission->outcome = COALESCE_PASS;
    submission->bar = bar;
}

static void decide(struct coalesce *coalesce, const struct coalesce_rules *rules,
                   const struct coalesce_origin *origin, const struct coalesce_insert *insert,
                   void *arg, int64_t now_us, struct submission *submission)
{
    *submission = (struct submission){.outcome = COALESCE_PASS, .bar = insert->bar};
    if (insert->bar != GROUPING_BAR_NONE)
        return;
    if (!rules->enabled) {
        decide_pass(submission, GROUPING_BAR_OFF);
        return;
    }
    if (origin->trust == COALESCE_UNKNOWN) {
        decide_pass(submission, GROUPING_BAR_IDENTITY);
        return;
    }
    if (insert->document_count > rules->max_docs || insert->document_bytes > rules->max_bytes) {
        decide_pass(submission, GROUPING_BAR_LARGE);
        return;
    }
    submission->group = group_find(coalesce, rules, origin, insert);
    if (submission->group == NULL) {
        decide_pass(submission, GROUPING_BAR_MEMORY);
    } else if (group_in_flight(submission->group) == 0 && submission->group->waiting == 0 &&
               group_has_place(submission->group)) {
        submission->outcome = COALESCE_GO;
    } else if (origin->trust != COALESCE_CERTAIN) {
        decide_pass(submission, GROUPING_BAR_IDENTITY);
    } else if (is_full(coalesce, submission->group)) {
        decide_pass(submission, GROUPING_BAR_WAITERS_FULL);
        if (rules->reject)
            submission->outcome = COALESCE_REJECT;
    } else {
        submission->outcome = COALESCE_WAIT;
        submission->waiter = waiter_make(coalesce, insert, arg, now_us);
        if (submission->waiter == NULL)
            decide_pass(submission, GROUPING_BAR_MEMORY);
    }
}

static enum retry_want want_of(const struct submission *submission)
{
    switch (submission->outcome) {
    case COALESCE_WAIT:
        return RETRY_WANT_MERGED;
    case COALESCE_REJECT:
        return RETRY_WANT_NOTHING;
    case COALESCE_GO:
        return RETRY_WANT_DIRECT;
    default: /* barred by what it is, its retry will be barred as well; else not */
        return submission->group != NULL ? RETRY_WANT_DIRECT : RETRY_WANT_KNOWN;
    }
}

static enum coalesce_outcome resend(struct coalesce *coalesce, const struct coalesce_insert *insert,
                                    const struct retry_answer *answer, int64_t now_us,
                                    struct coalesce_answer *out)
{
    const struct resend_of of = {insert->command->payload, insert->command->body,
                                 insert->documents};
    out->resend = resend_make(coalesce, answer->op, &answer->numbers, &of, now_us);
    if (out->resend == NULL)
        return COALESCE_CLOSE;
    out->resend->again = true;
    count_one(coalesce, COALESCE_RETRIES_RESENT);
    return COALESCE_RESEND;
}

/* What the retry table says about a numbered insert; it may change the submission. Answers the
 * decision's outcome, or that of a retry. */
static enum coalesce_outcome
consult(struct coalesce *coalesce, const struct coalesce_origin *origin,
        const struct coalesce_insert *insert, struct submission *submission,
        const struct retry_listener *listener, int64_t now_us, struct coalesce_answer *out)
{
    struct retry_key key;
    struct retry_answer answer;
    memcpy(key.identity, origin->identity, sizeof key.identity);
    const struct wire_command *command = insert->command;
    memcpy(key.lsid, command->lsid, sizeof key.lsid);
    uint64_t what = retry_what(command->database, command->collection, insert->document_count);
    switch (retry_table_begin(coalesce->retries, &key, command->number, what, want_of(submission),
                              listener, now_us, &answer)) {
    case RETRY_FOUND_MERGE:
        sluice_assert(submission->waiter != NULL); /* nothing else wants to be merged */
        submission->waiter->op = answer.op;
        break;
    case RETRY_FOUND_NEW:
        break;
    case RETRY_FOUND_UNKNOWN:
        if (submission->outcome == COALESCE_WAIT)
            decide_pass(submission, GROUPING_BAR_SESSION_UNKNOWN);
        break;
    case RETRY_FOUND_DIRECT:
        if (submission->outcome != COALESCE_GO)
            decide_pass(submission, GROUPING_BAR_RETRY_OF_DIRECT);
        break;
    case RETRY_FOUND_PENDING:
        out->attachment = answer.attachment;
        count_one(coalesce, COALESCE_RETRIES_ATTACHED);
        return COALESCE_ATTACHED;
    case RETRY_FOUND_DONE:
        out->reply = answer.reply;
        count_one(coalesce, COALESCE_RETRIES_REPLAYED);
        return COALESCE_REPLAY;
    case RETRY_FOUND_RESEND:
        return resend(coalesce, insert, &answer, now_us, out);
    case RETRY_FOUND_TOO_OLD:
        count_one(coalesce, COALESCE_RETRIES_TOO_OLD);
        return COALESCE_TOO_OLD;
    case RETRY_FOUND_NO_MEMORY:
        return COALESCE_CLOSE;
    }
    return submission->outcome;
}

enum coalesce_outcome coalesce_submit(struct coalesce *coalesce, const struct coalesce_rules *rules,
                                      const struct coalesce_origin *origin,
                                      const struct coalesce_insert *insert, void *waiter,
                                      const struct retry_listener *listener, int64_t now_us,
                                      struct coalesce_answer *out)
{
    struct submission submission;
    *out = (struct coalesce_answer){0};
    decide(coalesce, rules, origin, insert, waiter, now_us, &submission);
    enum coalesce_outcome outcome = submission.outcome;
    if (insert->numbered)
        outcome = consult(coalesce, origin, insert, &submission, listener, now_us, out);
    if (outcome != COALESCE_WAIT && submission.waiter != NULL)
        waiter_free(coalesce, submission.waiter);
    switch (outcome) {
    case COALESCE_GO:
        out->ticket = group_take_place(coalesce, submission.group, now_us);
        count_one(coalesce, COALESCE_AT_ONCE);
        break;
    case COALESCE_WAIT:
        out->waiter = submission.waiter;
        group_gather(coalesce, submission.group, submission.waiter, now_us);
        break;
    case COALESCE_PASS:
        count_one(coalesce, COALESCE_PASSED);
        coalesce_bump(&coalesce->counters.bars[submission.bar], 1);
        break;
    case COALESCE_REJECT:
        count_one(coalesce, COALESCE_REJECTED);
        break;
    default:
        break;
    }
    return outcome;
}

void coalesce_note_passed(struct coalesce *coalesce, const struct coalesce_origin *origin,
                          const uint8_t *lsid, int64_t number, int64_t now_us)
{
    struct retry_key key;
    struct retry_answer answer;
    memcpy(key.identity, origin->identity, sizeof key.identity);
    memcpy(key.lsid, lsid, sizeof key.lsid);
    (void)retry_table_begin(coalesce->retries, &key, number, NO_COMMAND, RETRY_WANT_KNOWN, NULL,
                            now_us, &answer);
    count_one(coalesce, COALESCE_PASSED);
    coalesce_bump(&coalesce->counters.bars[GROUPING_BAR_LARGE], 1);
}
