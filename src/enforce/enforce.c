#include "enforce/enforce.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "enforce/commands.h"

enum { CODE_DATABASE_TYPE = 13111, CODE_DUPLICATE = 40413, CODE_NO_DATABASE = 40571 };

/* --- selection of commands --- */

/* A command outside the tables may be a writing command of a newer server. */
static bool concerns_unknown(const struct concern *concern)
{
    return concern->guarded &&
           registry_strictest(concern->registry, concern->command->parsed->database) != NULL &&
           !command_is_harmless(concern->command->parsed->known);
}

bool enforce_concerns(const struct registry *registry, struct enforce_command *command)
{
    struct enforce_noted *noted = &command->noted;
    if (registry_size(registry) == 0)
        return false;
    noted->row = command_find(command->parsed->known);
    if (command->parsed->database_unclear)
        return noted->row != NULL || !command_is_harmless(command->parsed->known);
    noted->guarded = registry_guards(registry, command->parsed->database);
    noted->sequences = wire_command_has_sequences(command->parsed);
    noted->entry = NULL;
    const struct concern concern = {.registry = registry,
                                    .command = command,
                                    .noted = noted,
                                    .guarded = noted->guarded,
                                    .sequences = noted->sequences};
    return noted->row != NULL ? noted->row->concerns(&concern) : concerns_unknown(&concern);
}

/* --- understanding the command --- */

/* Sets the error for an unclear database. */
static bool refuse_database(const struct enforce_command *command, struct error *err)
{
    struct wire_fields fields;
    struct scan_element field;
    struct bytes name;
    bool seen = false;
    wire_fields_open(&fields, command->parsed);
    while (wire_fields_next(&fields, &field)) {
        if (!scan_name_is(&field, "$db"))
            continue;
        if (seen)
            return error_set(err, CODE_DUPLICATE, "'$db' is given twice");
        if (field.kind != BSON_KIND_STRING)
            return error_set(err, CODE_DATABASE_TYPE, "'$db' has the wrong type '%s'",
                             type_alias(field.kind));
        if (!grammar_is_name(&field, false, &name))
            return error_set(
                err, ERROR_INVALID_NAMESPACE,
                "'$db' is not a valid name of a database: it is empty or contains a NUL");
        seen = true;
    }
    return error_set(err, CODE_NO_DATABASE, "'$db' is missing");
}

static bool refuse_unknown(const struct enforce_command *command, struct error *err)
{
    return error_set(err, ERROR_COMMAND_NOT_FOUND,
                     "no such command: '%.100s'; mongosluice does not know it, and a schema in "
                     "this database requires judged writes (\"unproved\": \"reject\")",
                     command->parsed->name);
}

static void give_back(const struct enforce_observer *observer, size_t bytes)
{
    if (bytes > 0 && observer != NULL && observer->give_back != NULL)
        observer->give_back(observer->arg, bytes);
}

/* --- the whole check
 * ------------------------------------------------------------------------------
 *  */

/* Stores the objects that the caller lends for one call. */
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

/* Adjusts pointers after the command's bytes moved. */
static void move(struct check *check, ptrdiff_t moved)
{
    list_walk_move(&check->items, moved);
    if (check->rewrite != NULL)
        message_rewrite_move(check->rewrite, moved);
}

/* Releases everything except the result. */
static void release(struct check *check, const struct enforce_observer *observer)
{
    if (check->made.splice == NULL) /* otherwise the splice keeps the memory */
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
    check->base = command->parsed->payload.pos;
    check->namespace_list = CHECK_NO_LIST;
    check->judge.silent = check_wants_no_reply(command);
    check->allowance = schema_allowance_of(bytes_left(&command->parsed->payload));
    refusals_limit(&check->plan.refusals, 1, command->max_document_bytes);
    if (command->parsed->database_unclear)
        (void)refuse_database(command, check->err);
    else if (row == NULL)
        (void)refuse_unknown(command, check->err);
    else if (row->check(check))
        return check_go_on(check);
    return ENFORCE_FAILED;
}

static enum enforce_progress resume(struct check *check)
{
    ptrdiff_t moved =
        (ptrdiff_t)((uintptr_t)check->command->parsed->payload.pos - (uintptr_t)check->base);
    if (moved != 0)
        move(check, moved);
    check->base = check->command->parsed->payload.pos;
    judge_resume(&check->judge);
    return check_go_on(check);
}

/* Moves an unfinished check out of the caller's frame. */
static bool keep(struct check **kept, const struct check *check)
{
    if (*kept == check)
        return true;
    *kept = memory_alloc(sizeof **kept);
    if (*kept == NULL)
        return error_no_memory(check->err, "the check of a command");
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
    struct error inner; /* verdicts are written to it even in a successful check */
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
    } else { /* the command as a whole has an answer: none of its documents was accepted or refused
              */
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
