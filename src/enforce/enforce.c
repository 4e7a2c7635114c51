#include "enforce/enforce.h"

#include "base/memory.h"
#include "enforce/check.h"
#include "wire/sections.h"

const struct registry_entry *check_find(const struct enforce_command *command,
                                        const struct registry *registry,
                                        const struct scan_element *collection)
{
    const char *text = NULL;
    size_t len = 0;
    if (!scan_as_string(collection, &text, &len))
        return NULL;
    return judge_find(registry, command->database, text, len);
}

static bool concerns_collection(const struct registry *registry,
                                const struct enforce_command *command)
{
    struct scan scan;
    struct scan_element first;
    return scan_open(&scan, command->body) && scan_next(&scan, &first) &&
           check_find(command, registry, &first) != NULL;
}

/* The commands that are looked at. */
struct kind {
    const char *name;
    bool (*check)(struct check *check);
    bool (*concerns)(const struct registry *registry, const struct enforce_command *command);
};

static const struct kind kinds[] = {
    {"insert", check_insert, concerns_collection},
    {"update", check_update, concerns_collection},
    {"findAndModify", check_find_and_modify, concerns_collection},
    {"findandmodify", check_find_and_modify, concerns_collection},
    {"bulkWrite", check_bulk_write, concerns_bulk_write},
    {"aggregate", check_aggregate, concerns_aggregate},
};

static const struct kind *find_kind(const struct enforce_command *command)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i].name) == command->name_len &&
            memcmp(kinds[i].name, command->name, command->name_len) == 0)
            return &kinds[i];
    return NULL;
}

bool enforce_concerns(const struct registry *registry, const struct enforce_command *command)
{
    const struct kind *kind = registry_size(registry) == 0 ? NULL : find_kind(command);
    return kind != NULL && kind->concerns(registry, command);
}

/* --- what is done --- */

/* A refusal in a transaction ends it, ordered or not. */
static bool stops(const struct check *check)
{
    return check->options.ordered || check->command->in_transaction;
}

static bool judge_all(struct check *check, const struct message_list *list,
                      check_statement_fn *judge_statement, void *arg)
{
    struct message_items items;
    struct bytes statement;
    struct plan *plan = &check->plan;
    message_items_open(list, &items);
    for (; message_items_next(&items, &statement); plan->total++) {
        enum judged judged = judge_statement(arg, check, plan->total, statement);
        if (judged == JUDGED_FAILED)
            return false;
        if (judged == JUDGED_REFUSED && stops(check)) {
            plan->stopped = true;
            return true;
        }
    }
    return message_items_end(&items, check->err);
}

static bool replace(struct check *check, const struct message_list *list, enum splice_form form)
{
    struct enforce_result *result = check->result;
    if (!message_rewrite(check->command, list, &check->options, &check->plan,
                         &result->payload_block, &result->payload, check->err))
        return false;
    result->outcome = ENFORCE_REPLACE;
    if (check->judge.silent)
        return true;
    result->splice = splice_new(form, &check->plan);
    return result->splice != NULL ||
           error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT, "No memory for a command's refusals");
}

bool check_statements(struct check *check, const struct message_list *list, enum splice_form form,
                      check_statement_fn *judge_statement, void *arg)
{
    struct enforce_result *result = check->result;
    if (!judge_all(check, list, judge_statement, arg))
        return false;
    if (check->plan.refusals.count == 0)
        return true;
    result->aborts_transaction = check->command->in_transaction;
    if (plan_kept(&check->plan) > 0)
        return replace(check, list, form);
    if (check->judge.silent) {
        result->outcome = ENFORCE_DROP;
        return true;
    }
    result->outcome = ENFORCE_ANSWER;
    return splice_answer(form, &check->plan, &result->reply_block, &result->reply, check->err);
}

bool enforce_check(const struct registry *registry, struct schema_scratch *scratch,
                   const struct enforce_command *command, const struct enforce_observer *observer,
                   struct enforce_result *result, struct error *err)
{
    const struct kind *kind = find_kind(command);
    struct check check = {.command = command,
                          .registry = registry,
                          .judge = {.command = command,
                                    .observer = observer,
                                    .scratch = scratch,
                                    .silent = (command->flags & WIRE_FLAG_MORE_TO_COME) != 0},
                          .result = result};
    /* Verdicts are written to it, also where the check goes well. */
    struct error inner = {0};
    *result = (struct enforce_result){.outcome = ENFORCE_FORWARD};
    if (kind == NULL || registry_size(registry) == 0)
        return true;
    check.err = &inner;
    check.judge.err = &inner;
    check.judge.refusals = &check.plan.refusals;
    bool ok = kind->check(&check);
    if (!ok) /* the command is answered as a whole: none of its documents was let pass or refused */
        check.judge.entry = NULL;
    judge_leave(&check.judge);
    refusals_release(&check.plan.refusals);
    if (ok)
        return true;
    enforce_result_release(result);
    return error_set(err, inner.code, "%s", inner.message);
}

void enforce_result_release(struct enforce_result *result)
{
    memory_free(result->payload_block);
    memory_free(result->reply_block);
    enforce_splice_free(result->splice);
    *result = (struct enforce_result){.outcome = ENFORCE_FORWARD};
}
