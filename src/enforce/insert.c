/* insert. */
#include "enforce/candidate.h"
#include "enforce/check.h"

static enum judged judge_document(struct check *check, uint32_t index, struct bytes document)
{
    return check->reads_only ? JUDGED_PASS : candidate_insert(&check->judge, index, document);
}

bool check_insert(struct check *check)
{
    struct message_list documents;
    struct grammar_found found;
    if (!message_read(check->command, &grammar_insert, &found, &check->options, check->err) ||
        !message_open_list(&found, MEANS_LIST, "documents", true, &documents, check->err))
        return false;
    check_enter(check, &found);
    if (check->judge.entry != NULL)
        check_statements(check, &documents, SPLICE_INSERT, judge_document);
    return true;
}
