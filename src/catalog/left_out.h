/* The upstream's collections whose validators the proxy does not enforce, by namespace. Pure. */
#ifndef SLUICE_CATALOG_LEFT_OUT_H
#define SLUICE_CATALOG_LEFT_OUT_H

#include <stdbool.h>
#include <stddef.h>

/* The server enforces the validator of this collection, the proxy does not. */
struct registry_left_out {
    char *ns;
    char *reason; /* one line */
};

/* Collections by namespace; all zeros means empty. */
struct left_out_list {
    struct registry_left_out *of; /* owned; sorted */
    size_t count;
};

void left_out_release(struct left_out_list *list);
/* Functions with a bool result return false without memory. A failed copy must be released too. */
bool left_out_put(struct left_out_list *list, const char *ns, const char *reason);
void left_out_remove(struct left_out_list *list, const char *ns);
bool left_out_copy(struct left_out_list *to, const struct left_out_list *from);
const struct registry_left_out *left_out_find(const struct left_out_list *list, const char *ns);

#endif
