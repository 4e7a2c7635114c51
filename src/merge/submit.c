/* Decides on a new insert. */
#include "base/assert.h"
#include "base/memory.h"
#include "merge/merger_internal.h"

/* A value that retry_what never returns. */
#define NO_COMMAND ((uint64_t)0)

/* The intention for an insert that is not a retry. */
struct submission {
    enum merger_outcome outcome; /* GO, PASS, REJECT or WAIT */
    enum grouping_bar bar;       /* the reason for PASS */
    struct merger_group *group;
    struct merger_waiter *waiter; /* WAIT: made, but not yet in the list */
};

static bool is_full(const struct merger *merger, const struct merger_group *group)
{
    return group->waiting >= group->rules.max_waiters ||
           merger->waiting >= group->rules.max_waiters_total;
}

/* No other insert of its kind is in flight or waits. */
static bool goes_at_once(const struct merger *merger, const struct merger_group *group,
                         const struct merger_request *request)
{
    return group_in_flight(group) == 0 && group->waiting == 0 && group_has_permit(group) &&
           (request->origin->trust != MERGER_CERTAIN ||
            !group_regathers(merger, group, request->now_us));
}

static void decide_pass(struct submission *submission, enum grouping_bar bar)
{
    submission->outcome = MERGER_PASS;
    submission->bar = bar;
}

static void decide(struct merger *merger, const struct merger_request *request,
                   struct submission *submission)
{
    const struct merger_rules *rules = request->rules;
    const struct merger_origin *origin = request->origin;
    const struct merger_insert *insert = request->insert;
    *submission = (struct submission){.outcome = MERGER_PASS, .bar = insert->bar};
    if (insert->bar != GROUPING_BAR_NONE)
        return;
    if (!rules->enabled) {
        decide_pass(submission, GROUPING_BAR_OFF);
        return;
    }
    if (origin->trust == MERGER_UNKNOWN) {
        decide_pass(submission, GROUPING_BAR_IDENTITY);
        return;
    }
    if (insert->document_count > rules->max_docs || insert->document_bytes > rules->max_bytes) {
        decide_pass(submission, GROUPING_BAR_LARGE);
        return;
    }
    submission->group = group_find(merger, rules, origin, insert);
    if (submission->group == NULL) {
        decide_pass(submission, GROUPING_BAR_MEMORY);
    } else if (goes_at_once(merger, submission->group, request)) {
        submission->outcome = MERGER_GO;
    } else if (origin->trust != MERGER_CERTAIN) {
        decide_pass(submission, GROUPING_BAR_IDENTITY);
    } else if (is_full(merger, submission->group)) {
        decide_pass(submission, GROUPING_BAR_WAITERS_FULL);
        if (rules->reject)
            submission->outcome = MERGER_REJECT;
    } else {
        submission->outcome = MERGER_WAIT;
        submission->waiter = waiter_make(merger, insert, request->waiter, request->now_us);
        if (submission->waiter == NULL)
            decide_pass(submission, GROUPING_BAR_MEMORY);
    }
}

static enum retry_want want_of(const struct submission *submission)
{
    switch (submission->outcome) {
    case MERGER_WAIT:
        return RETRY_WANT_MERGED;
    case MERGER_REJECT:
        return RETRY_WANT_NOTHING;
    case MERGER_GO:
        return RETRY_WANT_DIRECT;
    default: /* an insert is barred by its content, and so is its retry; otherwise not */
        return submission->group != NULL ? RETRY_WANT_DIRECT : RETRY_WANT_KNOWN;
    }
}

static enum merger_outcome resend(struct merger *merger, const struct merger_insert *insert,
                                  const struct retry_answer *answer, int64_t now_us,
                                  struct merger_answer *out)
{
    const struct resend_of of = {insert->command->payload, insert->command->body,
                                 insert->documents};
    out->resend = resend_make(merger, answer->op, &answer->numbers, &of, now_us);
    if (out->resend == NULL)
        return MERGER_CLOSE;
    out->resend->again = true;
    count_one(merger, MERGER_RETRIES_RESENT);
    return MERGER_RESEND;
}

/* Asks the retry table about a numbered insert; this may change the submission. Returns the outcome
 * of the decision, or of a retry. */
static enum merger_outcome consult(struct merger *merger, const struct merger_request *request,
                                   struct submission *submission, struct merger_answer *out)
{
    const struct merger_insert *insert = request->insert;
    const struct wire_command *command = insert->command;
    struct retry_answer answer;
    struct retry_request asked = {
        .number = command->number,
        .what = retry_what(command->database, command->collection, insert->document_count),
        .want = want_of(submission),
        .listener = request->listener,
        .now_us = request->now_us};
    memcpy(asked.key.identity, request->origin->identity, sizeof asked.key.identity);
    memcpy(asked.key.lsid, command->lsid, sizeof asked.key.lsid);
    switch (retry_table_begin(merger->retries, &asked, &answer)) {
    case RETRY_FOUND_MERGE:
        sluice_assert(submission->waiter != NULL); /* only waiters can be merged */
        submission->waiter->op = answer.op;
        break;
    case RETRY_FOUND_NEW:
        break;
    case RETRY_FOUND_UNKNOWN:
        if (submission->outcome == MERGER_WAIT)
            decide_pass(submission, GROUPING_BAR_SESSION_UNKNOWN);
        break;
    case RETRY_FOUND_DIRECT:
        if (submission->outcome != MERGER_GO)
            decide_pass(submission, GROUPING_BAR_RETRY_OF_DIRECT);
        break;
    case RETRY_FOUND_PENDING:
        out->retry_waiter = answer.retry_waiter;
        count_one(merger, MERGER_RETRIES_WAITED);
        return MERGER_WAIT_FOR_FIRST;
    case RETRY_FOUND_DONE:
        out->reply = answer.reply;
        count_one(merger, MERGER_RETRIES_REPLAYED);
        return MERGER_REPLAY;
    case RETRY_FOUND_RESEND:
        return resend(merger, insert, &answer, request->now_us, out);
    case RETRY_FOUND_TOO_OLD:
        count_one(merger, MERGER_RETRIES_TOO_OLD);
        return MERGER_TOO_OLD;
    case RETRY_FOUND_NO_MEMORY:
        return MERGER_CLOSE;
    }
    return submission->outcome;
}

static void count_passed(struct merger *merger, enum grouping_bar bar)
{
    count_one(merger, MERGER_PASSED);
    merger_bump(&merger->counters.bars[bar], 1);
}

void merger_count_apart(struct merger *merger, enum grouping_bar bar)
{
    if (bar == GROUPING_BAR_NONE)
        count_one(merger, MERGER_OF_SCHEMA);
    else
        count_passed(merger, bar);
}

enum merger_outcome merger_submit(struct merger *merger, const struct merger_request *request,
                                  struct merger_answer *out)
{
    struct submission submission;
    *out = (struct merger_answer){0};
    decide(merger, request, &submission);
    enum merger_outcome outcome = submission.outcome;
    if (request->insert->numbered)
        outcome = consult(merger, request, &submission, out);
    if (outcome != MERGER_WAIT && submission.waiter != NULL)
        waiter_free(merger, submission.waiter);
    switch (outcome) {
    case MERGER_GO:
        out->permit = group_take_permit(merger, submission.group, request->now_us);
        count_one(merger, MERGER_AT_ONCE);
        break;
    case MERGER_WAIT:
        out->waiter = submission.waiter;
        group_add_waiter(merger, submission.group, submission.waiter, request->now_us);
        break;
    case MERGER_PASS:
        count_passed(merger, submission.bar);
        break;
    case MERGER_REJECT:
        count_one(merger, MERGER_REJECTED);
        break;
    default:
        break;
    }
    return outcome;
}

void merger_note_passed(struct merger *merger, const struct merger_origin *origin,
                        const uint8_t *lsid, int64_t number, int64_t now_us)
{
    struct retry_answer answer;
    struct retry_request request = {
        .number = number, .what = NO_COMMAND, .want = RETRY_WANT_KNOWN, .now_us = now_us};
    memcpy(request.key.identity, origin->identity, sizeof request.key.identity);
    memcpy(request.key.lsid, lsid, sizeof request.key.lsid);
    (void)retry_table_begin(merger->retries, &request, &answer);
}
