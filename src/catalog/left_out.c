/* The collections of the upstream whose validators are not enforced here. */
#include "catalog/left_out.h"

#include <string.h>

#include "base/memory.h"

static void release(struct registry_left_out *one)
{
    memory_free(one->ns);
    memory_free(one->reason);
}

void left_out_release(struct left_out_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        release(&list->of[i]);
    memory_free(list->of);
    *list = (struct left_out_list){0};
}

/* Where the namespace stands, or would stand. */
static size_t find(const struct left_out_list *list, const char *ns, bool *there)
{
    size_t low = 0;
    size_t high = list->count;
    *there = false;
    while (low < high && !*there) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->of[middle].ns, ns);
        *there = order == 0;
        if (order == 0)
            low = middle;
        else if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make(struct registry_left_out *out, const char *ns, const char *reason)
{
    *out = (struct registry_left_out){memory_copy_string(ns), memory_copy_string(reason)};
    if (out->ns != NULL && out->reason != NULL)
        return true;
    release(out);
    return false;
}

bool left_out_put(struct left_out_list *list, const char *ns, const char *reason)
{
    bool there = false;
    struct registry_left_out made;
    size_t at = find(list, ns, &there);
    if (!make(&made, ns, reason))
        return false;
    if (there) {
        release(&list->of[at]);
        list->of[at] = made;
        return true;
    }
    struct registry_left_out *bigger = memory_resize(list->of, (list->count + 1) * sizeof *bigger);
    if (bigger == NULL) {
        release(&made);
        return false;
    }
    list->of = bigger;
    memmove(&bigger[at + 1], &bigger[at], (list->count - at) * sizeof *bigger);
    bigger[at] = made;
    list->count++;
    return true;
}

void left_out_remove(struct left_out_list *list, const char *ns)
{
    bool there = false;
    size_t at = find(list, ns, &there);
    if (!there)
        return;
    release(&list->of[at]);
    list->count--;
    memmove(&list->of[at], &list->of[at + 1], (list->count - at) * sizeof *list->of);
}

bool left_out_copy(struct left_out_list *to, const struct left_out_list *from)
{
    *to = (struct left_out_list){0};
    if (from->count == 0)
        return true;
    to->of = memory_array(from->count, sizeof *to->of);
    if (to->of == NULL)
        return false;
    for (size_t i = 0; i < from->count; i++, to->count++)
        if (!make(&to->of[i], from->of[i].ns, from->of[i].reason))
            return false;
    return true;
}

const struct registry_left_out *left_out_find(const struct left_out_list *list, const char *ns)
{
    bool there = false;
    size_t at = find(list, ns, &there);
    return there ? &list->of[at] : NULL;
}
