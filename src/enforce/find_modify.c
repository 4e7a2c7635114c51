/* findAndModify: one statement, whose refusal is the error of the command. */
#include "enforce/check.h"
#include "enforce/update.h"

static bool write_error(const struct refusals *refusals, struct build *out, struct bytes *reply)
{
    char scratch[32];
    const struct refusal *refusal = &refusals->items[0];
    build_begin(out, INT32_MAX);
    refusals_write_double(out, "ok", false);
    build_text(out, "errmsg", refusal_message(refusals, refusal));
    build_int32(out, "code", ERROR_DOCUMENT_VALIDATION_FAILURE);
    build_text(out, "codeName", error_code_name(ERROR_DOCUMENT_VALIDATION_FAILURE, scratch));
    if (refusal->info_len > 0)
        build_value(out, "errInfo", BSON_KIND_OBJECT, refusal_info(refusals, refusal));
    return build_finish(out, reply);
}

bool check_answer_error(struct check *check)
{
    struct enforce_result *result = check->result;
    struct build build;
    result->aborts_transaction = check->command->in_transaction;
    if (check->judge.silent) {
        result->outcome = ENFORCE_DROP;
        return true;
    }
    if (!write_error(&check->plan.refusals, &build, &result->reply)) {
        build_free(&build);
        return error_set(check->err, ERROR_EXCEEDED_MEMORY_LIMIT,
                         "No memory for the reply to a refused command");
    }
    result->outcome = ENFORCE_ANSWER;
    result->reply_block = build.data;
    return true;
}

bool check_find_and_modify(struct check *check)
{
    static const struct update_names names = {"query", "update"};
    struct update_statement update;
    if (!message_read(check->command, NULL, 0, &check->options, check->err))
        return false;
    const struct registry_entry *entry =
        check_find(check->command, check->registry, &check->options.first);
    if (entry == NULL)
        return true;
    judge_enter(&check->judge, entry);
    check->judge.bypass = check->options.bypass;
    if (!update_read(check->command->body, &names, &update, check->err))
        return false;
    switch (judge_update(&check->judge, 0, &update)) {
    case JUDGED_FAILED:
        return false;
    case JUDGED_REFUSED:
        return check_answer_error(check);
    case JUDGED_PASS:
        break;
    }
    return true;
}
