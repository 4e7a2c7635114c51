/* A command during its check: counts its statements, judges them, and removes refused ones. */
#include "enforce/check.h"

#include <string.h>

enum { CODE_NO_SEQUENCES = 40472 };

bool concerns_collection(const struct concern *concern)
{
    const struct wire_command *parsed = concern->command->parsed;
    struct wire_fields fields;
    struct scan_element own;
    struct bytes name;
    if (!concern->guarded)
        return false;
    wire_fields_open(&fields, parsed);
    if (!wire_fields_next(&fields, &own) || !grammar_is_name(&own, true, &name))
        return true;
    struct judge_target target = judge_find(concern->registry, parsed->database, name);
    concern->noted->entry = target.entry;
    concern->noted->buckets = target.buckets;
    /* the name of a collection without a schema; another name may follow */
    return target.entry != NULL || parsed->repeats_name;
}

void check_enter(struct check *check, const struct grammar_found *found)
{
    const struct enforce_noted *noted = &check->command->noted;
    struct judge_target target = {noted->entry, noted->buckets};
    check->judge.bypass = check->options.bypass;
    judge_enter_target(&check->judge, target, grammar_has(found, MEANS_OPAQUE));
}

bool check_no_sequences(struct check *check)
{
    return !check->concern.sequences ||
           error_set(check->err, CODE_NO_SEQUENCES,
                     "%.*s takes no document sequences (section kind 1)",
                     (int)check->command->parsed->name_len, check->command->parsed->name);
}

bool check_unproved(struct check *check, struct judge_target target, const struct judge_reason *why)
{
    if (target.entry == NULL)
        return true;
    judge_enter(&check->judge, target.entry);
    check->judge.bypass = check->options.bypass;
    if (judge_bypasses(&check->judge))
        return true;
    return check_answer_judged(check, judge_unknown(&check->judge, 0, why, NULL));
}

/* --- portions -----------------------------------------------------------------------------------
 */

/* The approximate costs of the parts of a check. */
enum { COUNT_NS = 15, REFUSE_NS = 3000 };

bool check_is_spent(struct check *check, size_t work)
{
    const struct enforce_observer *observer = check->judge.observer;
    check->work += work;
    if (observer == NULL || observer->spent == NULL || check->work < observer->portion_ns)
        return false;
    check->work = 0;
    return observer->spent(observer->arg);
}

bool check_take(struct check *check, size_t bytes)
{
    const struct enforce_observer *observer = check->judge.observer;
    if (observer != NULL && observer->take != NULL && !observer->take(observer->arg, bytes))
        return error_set(
            check->err, ERROR_EXCEEDED_MEMORY_LIMIT,
            "no room for %zu bytes of a command or reply without the refused documents: the "
            "proxy's message buffers are at their limit (option memory_max)",
            bytes);
    check->result->block_bytes += bytes;
    return true;
}

/* --- phases -------------------------------------------------------------------------------------
 */

enum { STATEMENT_BYTES_MIN = 5 };

/* Counts only if a sequence is long enough for too many statements. */
static bool needs_count(const struct check *check)
{
    uint32_t max = check->command->max_statements;
    const struct document_list *list = check_list(check);
    return list->in_body || (max > 0 && bytes_left(&list->content) / STATEMENT_BYTES_MIN > max);
}

static void begin_phase(struct check *check, enum check_phase phase)
{
    if (phase == CHECK_COUNT && !needs_count(check))
        phase = CHECK_NAMESPACES;
    if (phase == CHECK_NAMESPACES && check->namespace_list == CHECK_NO_LIST)
        phase = CHECK_JUDGE;
    check->phase = phase;
    uint8_t list = phase == CHECK_NAMESPACES ? check->namespace_list : check->list;
    list_walk_open(&check->items, &check->command->parsed->lists[list]);
}

void check_statements(struct check *check, uint8_t list, enum splice_form form,
                      check_statement_fn *judge_statement)
{
    check->list = list;
    size_t most = bytes_left(&check_list(check)->content) / STATEMENT_BYTES_MIN;
    uint32_t max = check->command->max_statements;
    check->judge_statement = judge_statement;
    check->judge.silent = check->judge.silent || check->options.unheard;
    check->plan.refusals.form = check->judge.silent ? SPLICE_NOTHING : form;
    refusals_limit(&check->plan.refusals, max > 0 && max < most ? max : most,
                   check->command->max_document_bytes);
    begin_phase(check, CHECK_COUNT);
}

static bool is_null(const struct list_walk *items)
{
    return items->kind == BSON_KIND_NULL || items->kind == BSON_KIND_UNDEFINED;
}

static bool count_statement(struct check *check)
{
    if (check->skips_null && is_null(&check->items))
        return true;
    if (check->items.kind != BSON_KIND_OBJECT)
        return message_wrong_item(check_list(check), &check->items, check->err);
    check->count++;
    return true;
}

static bool check_count(const struct check *check)
{
    uint32_t max = check->command->max_statements;
    if (check->count == 0)
        return message_empty_list(check_list(check), check->err);
    return max == 0 || check->count <= max ||
           error_set(check->err, ERROR_INVALID_LENGTH,
                     "Write batch sizes must be between 1 and %u. Got %llu operations.", max,
                     (unsigned long long)check->count);
}

/* Counts the statements before any is judged, as the server does. */
static enum enforce_progress count_statements(struct check *check)
{
    struct bytes statement;
    while (list_walk_next(&check->items, &statement)) {
        if (!count_statement(check))
            return ENFORCE_FAILED;
        if (check_is_spent(check, COUNT_NS))
            return ENFORCE_PART;
    }
    if (!message_end_list(&check->items, check->err) || !check_count(check))
        return ENFORCE_FAILED;
    refusals_limit(&check->plan.refusals, check->count, check->command->max_document_bytes);
    begin_phase(check, CHECK_NAMESPACES);
    return ENFORCE_DONE;
}

static enum enforce_progress look_up_namespaces(struct check *check)
{
    enum enforce_progress progress = check_namespaces(check);
    if (progress != ENFORCE_DONE)
        return progress;
    if (check->any_guarded)
        begin_phase(check, CHECK_JUDGE);
    else
        check->phase = CHECK_DONE;
    return ENFORCE_DONE;
}

/* A refusal ends a transaction, ordered or not. */
static bool stops(const struct check *check)
{
    return check->options.ordered || check->command->parsed->in_transaction;
}

/* Decides after the last judgement. */
static enum enforce_progress decide(struct check *check)
{
    struct enforce_result *result = check->result;
    const struct plan *plan = &check->plan;
    uint32_t numbers = check->options.numbers;
    check->phase = CHECK_DONE;
    if (numbers > 0 && numbers != check->index) {
        (void)error_set(check->err, ERROR_INVALID_LENGTH,
                        "The command has %u statements, and %u numbers for them in 'stmtIds'",
                        check->index, numbers);
        return ENFORCE_FAILED;
    }
    if (plan->refusals.count == 0) {
        check_list(check)->validated = check->all_validated;
        return ENFORCE_DONE;
    }
    result->aborts_transaction = check->command->parsed->in_transaction;
    if (plan_kept(plan) > 0) {
        check->phase = CHECK_REWRITE;
        return ENFORCE_DONE;
    }
    if (check_wants_no_reply(check->command)) {
        result->outcome = ENFORCE_DROP;
        return ENFORCE_DONE;
    }
    result->outcome = ENFORCE_ANSWER;
    return check_take(check, splice_answer_bytes(plan)) &&
                   splice_answer(plan, &result->block, &result->reply, check->err)
               ? ENFORCE_DONE
               : ENFORCE_FAILED;
}

/* False if the command fails. *work is the cost. */
static bool judge_next(struct check *check, struct bytes statement, size_t *work)
{
    struct plan *plan = &check->plan;
    const struct schema_allowance before = check->allowance;
    enum judged judged = check->judge_statement(check, check->index++, statement);
    *work = JUDGE_NS + bytes_left(&statement) / JUDGE_BYTES_A_NS + check->judge.other_ns +
            (size_t)(before.work - check->allowance.work + before.steps - check->allowance.steps) *
                JUDGE_STEP_NS;
    check->judge.other_ns = 0;
    if (judged == JUDGED_FAILED)
        return false;
    if (judged == JUDGED_REFUSED)
        *work += REFUSE_NS;
    if (plan->stopped)
        return true;
    if (judged == JUDGED_REFUSED && stops(check)) {
        plan->stopped = true;
        check->reads_only = true;
    } else {
        plan->total++;
    }
    return true;
}

static enum enforce_progress judge_statements(struct check *check)
{
    struct bytes statement;
    while (list_walk_next(&check->items, &statement)) {
        size_t work = COUNT_NS;
        if (check->items.kind == BSON_KIND_OBJECT && !judge_next(check, statement, &work))
            return ENFORCE_FAILED;
        if (check_is_spent(check, work))
            return ENFORCE_PART;
    }
    return message_end_list(&check->items, check->err) ? decide(check) : ENFORCE_FAILED;
}

static enum enforce_progress finish_rewrite(struct check *check, const struct message_made *made)
{
    struct enforce_result *result = check->result;
    result->block = made->block;
    result->payload = made->payload;
    result->outcome = ENFORCE_REPLACE;
    check->phase = CHECK_DONE;
    if (made->block_bytes > result->block_bytes &&
        !check_take(check, made->block_bytes - result->block_bytes))
        return ENFORCE_FAILED;
    if (check_wants_no_reply(check->command))
        return ENFORCE_DONE;
    result->splice = splice_new(&check->plan);
    if (result->splice != NULL)
        return ENFORCE_DONE;
    (void)error_no_memory(check->err, "the refusals of a command");
    return ENFORCE_FAILED;
}

static enum enforce_progress rewrite(struct check *check)
{
    struct message_parts parts = {check->command, check_list(check), &check->options, &check->plan};
    struct message_made made;
    if (check->rewrite == NULL) {
        if (!check_take(check, message_rewrite_bytes(&parts)))
            return ENFORCE_FAILED;
        check->rewrite = message_rewrite_new(&parts);
    }
    enum message_progress progress = MESSAGE_NO_MEMORY;
    size_t work = 0;
    if (check->rewrite != NULL) {
        do
            progress = message_rewrite_step(check->rewrite, &parts, &work, &made);
        while (progress == MESSAGE_PART && !check_is_spent(check, work));
    }
    if (progress == MESSAGE_PART)
        return ENFORCE_PART;
    message_rewrite_free(check->rewrite);
    check->rewrite = NULL;
    if (progress == MESSAGE_DONE)
        return finish_rewrite(check, &made);
    (void)error_no_memory(check->err, "the rest of a command");
    return ENFORCE_FAILED;
}

static enum enforce_progress go_on_phase(struct check *check)
{
    switch (check->phase) {
    case CHECK_COUNT:
        return count_statements(check);
    case CHECK_NAMESPACES:
        return look_up_namespaces(check);
    case CHECK_JUDGE:
        return judge_statements(check);
    case CHECK_REWRITE:
        return rewrite(check);
    case CHECK_DONE:
        break;
    }
    return ENFORCE_DONE;
}

enum enforce_progress check_go_on(struct check *check)
{
    enum enforce_progress progress = ENFORCE_DONE;
    while (progress == ENFORCE_DONE && check->phase != CHECK_DONE)
        progress = go_on_phase(check);
    return progress;
}
