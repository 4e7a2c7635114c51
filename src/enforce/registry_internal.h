/* What the two files of the registry share. */
#ifndef SLUICE_ENFORCE_REGISTRY_INTERNAL_H
#define SLUICE_ENFORCE_REGISTRY_INTERNAL_H

#include "enforce/registry.h"

/* What was counted for the older entry is counted on for the new one, which nobody else knows yet.
 */
void registry_entry_adopt_stats(struct registry_entry *entry, const struct registry_entry *older);

/* Collections by namespace; zero-initialised is empty. */
struct left_out_list {
    struct registry_left_out *of; /* owned; sorted */
    size_t count;
};

void left_out_release(struct left_out_list *list);
/* Those that answer bool: false when memory is out. A copy that failed is to be released, too. */
bool left_out_put(struct left_out_list *list, const char *ns, const char *reason);
void left_out_remove(struct left_out_list *list, const char *ns);
bool left_out_copy(struct left_out_list *to, const struct left_out_list *from);
const struct registry_left_out *left_out_find(const struct left_out_list *list, const char *ns);

#endif
