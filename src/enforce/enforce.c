#include "enforce/enforce.h"

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
        !grammar_is_name(&own, true, &name) ||
        judge_find(concern->registry, concern->command->database, name).entry != NULL)
        return true;
    /* the name of a collection without a schema; is it the only one? */
    while (scan_next(&scan, &field))
        if (field.name_len == own.name_len && memcmp(field.name, own.name, own.name_len) == 0)
            return true;
    return false;
}

static struct concern look_at(const struct registry *registry,
                              const struct enforce_command *command)
{
    size_t trailer = (command->flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? CHECKSUM_BYTES : 0;
    size_t alone = FLAG_BYTES + 1 + bytes_left(&command->body) + trailer;
    return (struct concern){.registry = registry,
                            .command = command,
                            .guarded = registry_guards(registry, command->database),
                            .sequences = command->payload_bytes > alone};
}

/* A command that is in no table may be one of a newer server that writes. */
static bool concerns_unknown(const struct concern *concern)
{
    return concern->guarded &&
           registry_strictest(concern->registry, concern->command->database) != NULL &&
           !command_is_harmless(concern->command->name, concern->command->name_len);
}

bool enforce_concerns(const struct registry *registry, const struct enforce_command *command)
{
    if (registry_size(registry) == 0)
        return false;
    const struct command_row *row = command_find(command->name, command->name_len);
    if (command->database_unclear)
        return row != NULL || !command_is_harmless(command->name, command->name_len);
    const struct concern concern = look_at(registry, command);
    return row != NULL ? row->concerns(&concern) : concerns_unknown(&concern);
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
    struct bytes name;
    struct judge_target target = {NULL, false};
    if (grammar_has(found, MEANS_COLLECTION) &&
        grammar_is_name(&found->at[MEANS_COLLECTION], true, &name))
        target = judge_find(check->concern.registry, check->command->database, name);
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
    switch (judge_unproved(&check->judge, 0, why, NULL)) {
    case JUDGED_FAILED:
        return false;
    case JUDGED_REFUSED:
        return check_answer_error(check);
    case JUDGED_PASS:
        break;
    }
    return true;
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
    uint32_t index = 0;
    message_items_open(list, &items);
    for (; message_items_next(&items, &statement); index++) {
        enum judged judged = judge_statement(arg, check, index, statement);
        if (judged == JUDGED_FAILED)
            return false;
        if (plan->stopped)
            continue;
        if (judged == JUDGED_REFUSED && stops(check)) {
            plan->stopped = true;
            check->reads_only = true;
        } else {
            plan->total++;
        }
    }
    return message_items_end(&items, check->err);
}

static bool wants_no_reply(const struct enforce_command *command)
{
    return (command->flags & WIRE_FLAG_MORE_TO_COME) != 0;
}

/* {w: 0}; with j or fsync the server waits for its own disk, and says all. */
static bool is_unacknowledged(struct bytes write_concern)
{
    struct scan_element field;
    int64_t w = 0;
    if (!scan_find(write_concern, "w", &field) || !scan_as_int64(&field, &w) || w != 0)
        return false;
    return !(scan_find(write_concern, "j", &field) && scan_is_true(&field)) &&
           !(scan_find(write_concern, "fsync", &field) && scan_is_true(&field));
}

bool enforce_is_unheard(const struct enforce_command *command)
{
    static const char *const lists[] = {"insert", "update", "bulkWrite"};
    struct scan_element concern;
    if (wants_no_reply(command))
        return true;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (strlen(lists[i]) == command->name_len &&
            memcmp(lists[i], command->name, command->name_len) == 0)
            return scan_find(command->body, "writeConcern", &concern) &&
                   concern.kind == BSON_KIND_OBJECT && is_unacknowledged(concern.value);
    return false;
}

static bool replace(struct check *check, const struct message_list *list, enum splice_form form)
{
    struct enforce_result *result = check->result;
    if (!message_rewrite(check->command, list, &check->options, &check->plan,
                         &result->payload_block, &result->payload, check->err))
        return false;
    result->outcome = ENFORCE_REPLACE;
    if (wants_no_reply(check->command))
        return true;
    result->splice = splice_new(check->judge.silent ? SPLICE_NOTHING : form, &check->plan);
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
    if (wants_no_reply(check->command)) {
        result->outcome = ENFORCE_DROP;
        return true;
    }
    result->outcome = ENFORCE_ANSWER;
    return splice_answer(check->judge.silent ? SPLICE_NOTHING : form, &check->plan,
                         &result->reply_block, &result->reply, check->err);
}

bool enforce_check(const struct registry *registry, struct schema_scratch *scratch,
                   const struct enforce_command *command, const struct enforce_observer *observer,
                   struct enforce_result *result, struct error *err)
{
    const struct command_row *row = command_find(command->name, command->name_len);
    struct check check = {.command = command,
                          .concern = look_at(registry, command),
                          .judge = {.command = command,
                                    .observer = observer,
                                    .scratch = scratch,
                                    .silent = enforce_is_unheard(command)},
                          .result = result};
    /* Verdicts are written to it, also where the check goes well. */
    struct error inner = {0};
    *result = (struct enforce_result){.outcome = ENFORCE_FORWARD};
    if (command->database_unclear)
        return refuse_database(command, err);
    if (row == NULL)
        return refuse_unknown(command, err);
    check.err = &inner;
    check.judge.err = &inner;
    check.judge.refusals = &check.plan.refusals;
    bool ok = row->check(&check);
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
