/* findAndModify: one statement, whose refusal is the error of the command. */
#include "enforce/candidate.h"
#include "enforce/check.h"
#include "enforce/update.h"

/* The bytes of the answer beside the refusal. */
enum { ANSWER_REST_BYTES = 128 };

static size_t answer_bytes(const struct refusals *refusals)
{
    return ENFORCE_FRONT_BYTES + ANSWER_REST_BYTES + refusals->bytes_len;
}

/* Converts an element of writeErrors. */
static bool write_error(const struct refusals *refusals, struct build *out, struct bytes *reply)
{
    char scratch[32];
    struct scan_element field;
    struct bytes refusal = refusal_document(refusals, 0);
    build_begin_behind(out, ENFORCE_FRONT_BYTES, answer_bytes(refusals), INT32_MAX);
    refusals_write_double(out, "ok", false);
    if (scan_find(refusal, "errmsg", &field))
        build_value(out, field.name, field.kind, field.value);
    if (scan_find(refusal, "code", &field)) {
        int code = bytes_load_i32(field.value.pos);
        build_int32(out, "code", code);
        build_text(out, "codeName", error_code_name(code, scratch));
    }
    if (scan_find(refusal, "errInfo", &field))
        build_value(out, field.name, field.kind, field.value);
    return build_finish(out, reply);
}

static bool answer_error(struct check *check)
{
    struct enforce_result *result = check->result;
    struct build build;
    result->aborts_transaction = check->command->parsed->in_transaction;
    if (check->judge.silent) {
        result->outcome = ENFORCE_DROP;
        return true;
    }
    if (!check_take(check, answer_bytes(&check->plan.refusals)))
        return false;
    if (!write_error(&check->plan.refusals, &build, &result->reply)) {
        build_free(&build);
        return error_no_memory(check->err, "the reply to a refused command");
    }
    result->outcome = ENFORCE_ANSWER;
    result->block = build.data;
    return true;
}

bool check_answer_judged(struct check *check, enum judged judged)
{
    if (judged == JUDGED_REFUSED)
        return answer_error(check);
    return judged != JUDGED_FAILED;
}

static bool is_true(const struct grammar_found *found, enum grammar_meaning meaning)
{
    return grammar_has(found, meaning) && grammar_is_true(&found->at[meaning]);
}

/* A findAndModify either removes or changes. */
static bool check_form(const struct grammar_found *found, bool removes, struct error *err)
{
    bool changes = grammar_has(found, MEANS_CHANGE);
    if (removes && (changes || is_true(found, MEANS_UPSERT) || is_true(found, MEANS_NEW)))
        return error_set(err, ERROR_FAILED_TO_PARSE,
                         "findAndModify: 'remove' excludes 'update', 'upsert' and 'new'");
    return removes || changes ||
           error_set(err, ERROR_FAILED_TO_PARSE, "findAndModify: give either 'update' or 'remove'");
}

static bool judge_it(struct check *check, const struct grammar_found *found)
{
    struct update_statement update;
    if (!update_read_found(found, check->command->parsed, &update, check->err))
        return false;
    return check_answer_judged(check, candidate_update(&check->judge, 0, &update));
}

bool check_find_and_modify(struct check *check)
{
    struct grammar_found found;
    if (!message_read(check->command, &grammar_find_and_modify, &found, &check->options,
                      check->err))
        return false;
    bool removes = is_true(&found, MEANS_REMOVE);
    if (!check_form(&found, removes, check->err))
        return false;
    check_enter(check, &found);
    return check->judge.entry == NULL || removes || judge_it(check, &found);
}
