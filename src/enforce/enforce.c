#include "enforce/enforce.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "enforce/commands.h"
#include "wire/sections.h"

enum {
    FLAG_BYTES = 4,
    CHECKSUM_BYTES = 4,
    CODE_DATABASE_TYPE = 13111,
    CODE_DUPLICATE = 40413,
    CODE_NO_SEQUENCES = 40472,
    CODE_NO_DATABASE = 40571
};

/* --- whether a command is looked at --- */

bool concerns_collection(const struct concern *concern)
{
    struct scan scan;
    struct scan_element own;
    struct scan_element field;
    struct bytes name;
    if (!concern->guarded)
        return false;
    if (!scan_open(&scan, concern->command->body) || !scan_next(&scan, &own) ||
        !grammar_is_name(&own, true, &name))
        return true;
    struct judge_target target = judge_find(concern->registry, concern->command->database, name);
    concern->noted->entry = target.entry;
    concern->noted->buckets = target.buckets;
    if (target.entry != NULL)
        return true;
    /* the name of a collection without a schema; is it the only one? */
    while (scan_next(&scan, &field))
        if (field.name_len == own.name_len && memcmp(field.name, own.name, own.name_len) == 0)
            return true;
    return false;
}

static bool has_sequences(const struct enforce_command *command)
{
    size_t trailer = (command->flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? CHECKSUM_BYTES : 0;
    return command->payload_bytes > FLAG_BYTES + 1 + bytes_left(&command->body) + trailer;
}

/* A command that is in no table may be one of a newer server that writes. */
static bool concerns_unknown(const struct concern *concern)
{
    return concern->guarded &&
           registry_strictest(concern->registry, concern->command->database) != NULL &&
           !command_is_harmless(concern->command->known);
}

bool enforce_concerns(const struct registry *registry, struct enforce_command *command)
{
    struct enforce_noted *noted = &command->noted;
    if (registry_size(registry) == 0)
        return false;
    noted->row = command_find(command->known);
    if (command->database_unclear)
        return noted->row != NULL || !command_is_harmless(command->known);
    noted->guarded = registry_guards(registry, command->database);
    noted->sequences = has_sequences(command);
    noted->entry = NULL;
    const struct concern concern = {.registry = registry,
                                    .command = command,
                                    .noted = noted,
                                    .guarded = noted->guarded,
                                    .sequences = noted->sequences};
    return noted->row != NULL ? noted->row->concerns(&concern) : concerns_unknown(&concern);
}

/* --- how it is understood --- */

/* Why it is not known which database the command is for. */
static bool refuse_database(const struct enforce_command *command, struct error *err)
{
    struct scan scan;
    struct scan_element field;
    struct bytes name;
    bool seen = false;
    (void)scan_open(&scan, command->body);
    while (scan_next(&scan, &field)) {
        if (!scan_name_is(&field, "$db"))
            continue;
        if (seen)
            return error_set(err, CODE_DUPLICATE, "'$db' is given twice");
        if (field.kind != BSON_KIND_STRING)
            return error_set(err, CODE_DATABASE_TYPE, "'$db' has the wrong type '%s'",
                             type_alias(field.kind));
        if (!grammar_is_name(&field, false, &name))
            return error_set(err, ERROR_INVALID_NAMESPACE,
                             "'$db' is no name of a database: it is empty, or has a NUL");
        seen = true;
    }
    return error_set(err, CODE_NO_DATABASE, "'$db' is missing");
}

static bool refuse_unknown(const struct enforce_command *command, struct error *err)
{
    return error_set(err, ERROR_COMMAND_NOT_FOUND,
                     "no such command: '%.100s'; mongosluice does not know it, and in this "
                     "database a schema asks for writes that can be judged (\"unproved\": "
                     "\"reject\")",
                     command->name);
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
                     (int)check->command->name_len, check->command->name);
}

bool check_unproved(struct check *check, struct judge_target target, const struct judge_reason *why)
{
    if (target.entry == NULL)
        return true;
    judge_enter(&check->judge, target.entry);
    check->judge.bypass = check->options.bypass;
    if (judge_bypasses(&check->judge))
        return true;
    switch (judge_unknown(&check->judge, 0, why, NULL)) {
    case JUDGED_FAILED:
        return false;
    case JUDGED_REFUSED:
        return check_answer_error(check);
    case JUDGED_PASS:
        break;
    }
    return true;
}

/* --- portions -----------------------------------------------------------------------------------
 */

/* What the parts of a check take, about. */
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
        return error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT,
                         "no room for %zu bytes of a command or reply without the documents that "
                         "were refused: the proxy's message buffers are at their limit (option "
                         "memory_max)",
                         bytes);
    check->result->block_bytes += bytes;
    return true;
}

static void give_back(const struct enforce_observer *observer, size_t bytes)
{
    if (bytes > 0 && observer != NULL && observer->give_back != NULL)
        observer->give_back(observer->arg, bytes);
}

/* --- phases -------------------------------------------------------------------------------------
 */

enum { STATEMENT_BYTES_MIN = 5 };

/* Where a sequence is so short that it cannot hold too many statements, they are not counted. */
static bool needs_count(const struct check *check)
{
    uint32_t max = check->command->max_statements;
    return check->list.in_body ||
           (max > 0 && bytes_left(&check->list.content) / STATEMENT_BYTES_MIN > max);
}

static bool wants_no_reply(const struct enforce_command *command)
{
    return (command->flags & WIRE_FLAG_MORE_TO_COME) != 0;
}

static void begin_phase(struct check *check, enum check_phase phase)
{
    if (phase == CHECK_COUNT && !needs_count(check))
        phase = CHECK_NAMESPACES;
    if (phase == CHECK_NAMESPACES && check->namespace_list.name == NULL)
        phase = CHECK_JUDGE;
    check->phase = phase;
    message_items_open(phase == CHECK_NAMESPACES ? &check->namespace_list : &check->list,
                       &check->items);
}

void check_statements(struct check *check, const struct message_list *list, enum splice_form form,
                      check_statement_fn *judge_statement)
{
    size_t most = bytes_left(&list->content) / STATEMENT_BYTES_MIN;
    uint32_t max = check->command->max_statements;
    check->list = *list;
    check->judge_statement = judge_statement;
    check->judge.silent = check->judge.silent || check->options.unheard;
    check->plan.refusals.form = check->judge.silent ? SPLICE_NOTHING : form;
    refusals_limit(&check->plan.refusals, max > 0 && max < most ? max : most,
                   check->command->max_document_bytes);
    begin_phase(check, CHECK_COUNT);
}

static bool count_statement(struct check *check)
{
    if (message_item_is_skipped(&check->list, &check->items))
        return true;
    if (check->items.kind != BSON_KIND_OBJECT)
        return message_wrong_item(&check->list, &check->items, check->err);
    check->count++;
    return true;
}

static bool check_count(const struct check *check)
{
    uint32_t max = check->command->max_statements;
    if (check->count == 0)
        return message_empty_list(&check->list, check->err);
    return max == 0 || check->count <= max ||
           error_set(check->err, ERROR_INVALID_LENGTH,
                     "Write batch sizes must be between 1 and %u. Got %llu operations.", max,
                     (unsigned long long)check->count);
}

/* How many statements there are; it is asked before any is looked at, as by the server. */
static enum enforce_progress count_statements(struct check *check)
{
    struct bytes statement;
    while (message_items_next(&check->items, &statement)) {
        if (!count_statement(check))
            return ENFORCE_FAILED;
        if (check_is_spent(check, COUNT_NS))
            return ENFORCE_PART;
    }
    if (!message_items_end(&check->items, check->err) || !check_count(check))
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

/* A refusal in a transaction ends it, ordered or not. */
static bool stops(const struct check *check)
{
    return check->options.ordered || check->command->in_transaction;
}

/* Every statement was judged that has to be. */
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
    if (plan->refusals.count == 0)
        return ENFORCE_DONE;
    result->aborts_transaction = check->command->in_transaction;
    if (plan_kept(plan) > 0) {
        check->phase = CHECK_REWRITE;
        return ENFORCE_DONE;
    }
    if (wants_no_reply(check->command)) {
        result->outcome = ENFORCE_DROP;
        return ENFORCE_DONE;
    }
    result->outcome = ENFORCE_ANSWER;
    return check_take(check, splice_answer_bytes(plan)) &&
                   splice_answer(plan, &result->block, &result->reply, check->err)
               ? ENFORCE_DONE
               : ENFORCE_FAILED;
}

/* False when the command fails. *work: what it took. */
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
    while (message_items_next(&check->items, &statement)) {
        size_t work = COUNT_NS;
        if (check->items.kind == BSON_KIND_OBJECT && !judge_next(check, statement, &work))
            return ENFORCE_FAILED;
        if (check_is_spent(check, work))
            return ENFORCE_PART;
    }
    return message_items_end(&check->items, check->err) ? decide(check) : ENFORCE_FAILED;
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
    if (wants_no_reply(check->command))
        return ENFORCE_DONE;
    result->splice = splice_new(&check->plan);
    if (result->splice != NULL)
        return ENFORCE_DONE;
    (void)error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory for a command's refusals");
    return ENFORCE_FAILED;
}

static enum enforce_progress rewrite(struct check *check)
{
    struct message_parts parts = {check->command, &check->list, &check->options, &check->plan};
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
    (void)error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory for the rest of a command");
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

static enum enforce_progress go_on(struct check *check)
{
    enum enforce_progress progress = ENFORCE_DONE;
    while (progress == ENFORCE_DONE && check->phase != CHECK_DONE)
        progress = go_on_phase(check);
    return progress;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

/* What the caller lends for one call. */
static void lend(struct check *check, const struct registry *registry,
                 struct schema_scratch *scratch, const struct enforce_command *command,
                 const struct enforce_observer *observer)
{
    check->command = command;
    check->concern.registry = registry;
    check->concern.command = command;
    check->judge.command = command;
    check->judge.observer = observer;
    check->judge.scratch = scratch;
    check->judge.refusals = &check->plan.refusals;
    check->judge.allowance = &check->allowance;
    check->result = &check->made;
    schema_scratch_allow(scratch, &check->allowance);
}

/* The command's bytes are somewhere else than they were. */
static void move(struct check *check, ptrdiff_t moved)
{
    message_list_move(&check->list, moved);
    message_list_move(&check->namespace_list, moved);
    message_items_move(&check->items, moved);
    if (check->rewrite != NULL)
        message_rewrite_move(check->rewrite, moved);
}

/* All but the result. */
static void release(struct check *check, const struct enforce_observer *observer)
{
    if (check->made.splice == NULL) /* else it goes on with what it holds */
        give_back(observer, check->judge.held_bytes);
    message_rewrite_free(check->rewrite);
    memory_free(check->namespaces);
    refusals_release(&check->plan.refusals);
}

static void discard(struct check *check, const struct enforce_observer *observer)
{
    release(check, observer);
    if (check->made.splice != NULL)
        give_back(observer, check->judge.held_bytes);
    give_back(observer, check->made.block_bytes);
    enforce_result_release(&check->made);
}

void enforce_check_free(struct check *check, const struct enforce_observer *observer)
{
    if (check == NULL)
        return;
    discard(check, observer);
    memory_free(check);
}

static enum enforce_progress begin(struct check *check)
{
    const struct enforce_command *command = check->command;
    const struct command_row *row = command->noted.row;
    check->concern.guarded = command->noted.guarded;
    check->concern.sequences = command->noted.sequences;
    check->base = command->payload.pos;
    check->judge.silent = wants_no_reply(command);
    check->allowance = schema_allowance_of(bytes_left(&command->payload));
    refusals_limit(&check->plan.refusals, 1, command->max_document_bytes);
    if (command->database_unclear)
        (void)refuse_database(command, check->err);
    else if (row == NULL)
        (void)refuse_unknown(command, check->err);
    else if (row->check(check))
        return go_on(check);
    return ENFORCE_FAILED;
}

static enum enforce_progress resume(struct check *check)
{
    ptrdiff_t moved = (ptrdiff_t)((uintptr_t)check->command->payload.pos - (uintptr_t)check->base);
    if (moved != 0)
        move(check, moved);
    check->base = check->command->payload.pos;
    judge_resume(&check->judge);
    return go_on(check);
}

/* To be gone on with: it moves out of the caller's frame. */
static bool keep(struct check **kept, const struct check *check)
{
    if (*kept == check)
        return true;
    *kept = memory_alloc(sizeof **kept);
    if (*kept == NULL)
        return error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory to check a command");
    **kept = *check;
    return true;
}

enum enforce_progress enforce_go_on(struct check **kept, const struct registry *registry,
                                    struct schema_scratch *scratch,
                                    const struct enforce_command *command,
                                    const struct enforce_observer *observer,
                                    struct enforce_result *result, struct error *err)
{
    struct check fresh;
    struct check *check = *kept == NULL ? &fresh : *kept;
    struct error inner; /* verdicts are written to it, also where the check goes well */
    inner.code = 0;
    inner.message[0] = 0;
    if (check == &fresh)
        memset(&fresh, 0, offsetof(struct check, in_place));
    lend(check, registry, scratch, command, observer);
    check->err = &inner;
    check->judge.err = &inner;
    enum enforce_progress progress = check == &fresh ? begin(check) : resume(check);
    schema_scratch_allow(scratch, NULL);
    if (progress == ENFORCE_PART) {
        judge_pause(&check->judge);
        if (keep(kept, check))
            return ENFORCE_PART;
        progress = ENFORCE_FAILED;
    }
    if (progress == ENFORCE_DONE) {
        judge_leave(&check->judge);
        *result = check->made;
        release(check, observer);
    } else { /* answered as a whole: none of its documents was let pass or refused */
        discard(check, observer);
        *result = (struct enforce_result){.outcome = ENFORCE_FORWARD};
        (void)error_set(err, inner.code, "%s", inner.message);
    }
    if (check != &fresh)
        memory_free(check);
    *kept = NULL;
    return progress;
}

bool enforce_check(const struct registry *registry, struct schema_scratch *scratch,
                   const struct enforce_command *command, const struct enforce_observer *observer,
                   struct enforce_result *result, struct error *err)
{
    struct check *check = NULL;
    struct enforce_observer patient = {0};
    if (observer != NULL)
        patient = *observer;
    patient.spent = NULL;
    return enforce_go_on(&check, registry, scratch, command, observer == NULL ? NULL : &patient,
                         result, err) == ENFORCE_DONE;
}

void enforce_result_release(struct enforce_result *result)
{
    memory_free(result->block);
    enforce_splice_free(result->splice);
    *result = (struct enforce_result){.outcome = ENFORCE_FORWARD};
}
