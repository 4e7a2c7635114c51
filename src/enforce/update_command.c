/* update. */
#include "enforce/candidate.h"
#include "enforce/check.h"
#include "enforce/update.h"

static enum judged judge_statement(struct check *check, uint32_t index, struct bytes statement)
{
    struct update_statement update;
    if (!update_read(&grammar_update_statement, statement, &update, check->err))
        return JUDGED_FAILED;
    return check->reads_only ? JUDGED_PASS : candidate_update(&check->judge, index, &update);
}

bool check_update(struct check *check)
{
    struct grammar_found found;
    uint8_t updates = 0;
    if (!message_read(check->command, &grammar_update, &found, &check->options, check->err) ||
        !message_find_list(check->command, &found, MEANS_LIST, &updates, check->err))
        return false;
    check->skips_null = true;
    check_enter(check, &found);
    if (check->judge.entry != NULL)
        check_statements(check, updates, SPLICE_UPDATE, judge_statement);
    return true;
}
