/* insert. */
#include "enforce/check.h"

static enum judged judge_document(void *arg, struct check *check, uint32_t index,
                                  struct bytes document)
{
    (void)arg;
    return judge_insert(&check->judge, index, document);
}

bool check_insert(struct check *check)
{
    struct message_list documents = {.name = "documents"};
    if (!message_read(check->command, &documents, 1, &check->options, check->err))
        return false;
    const struct registry_entry *entry =
        check_find(check->command, check->registry, &check->options.first);
    if (entry == NULL || !documents.found)
        return true;
    check->judge.bypass = check->options.bypass;
    judge_enter(&check->judge, entry);
    return check_statements(check, &documents, SPLICE_INSERT, judge_document, NULL);
}
