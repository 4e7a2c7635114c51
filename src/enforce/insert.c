/* insert. */
#include "enforce/candidate.h"
#include "enforce/check.h"

static enum judged judge_document(struct check *check, uint32_t index, struct bytes document)
{
    if (check->reads_only)
        return JUDGED_PASS;
    enum judged judged = candidate_insert(&check->judge, index, document);
    check->all_validated = check->all_validated && check->judge.validated;
    return judged;
}

bool check_insert(struct check *check)
{
    struct grammar_found found;
    uint8_t documents = 0;
    if (!message_read(check->command, &grammar_insert, &found, &check->options, check->err) ||
        !message_find_list(check->command, &found, MEANS_LIST, &documents, check->err))
        return false;
    check->skips_null = true;
    check->all_validated = true;
    check_enter(check, &found);
    if (check->judge.entry != NULL)
        check_statements(check, documents, SPLICE_INSERT, judge_document);
    return true;
}
