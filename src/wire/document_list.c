#include "wire/document_list.h"

void list_walk_open(struct list_walk *walk, const struct document_list *list)
{
    walk->in_body = list->in_body;
    walk->kind = BSON_KIND_OBJECT;
    walk->name = "";
    walk->name_len = 0;
    walk->rest = list->content;
    if (list->in_body)
        (void)scan_open(&walk->scan, list->content);
}

static bool next_in_body(struct list_walk *walk, struct bytes *item)
{
    struct scan_element element;
    if (!scan_next(&walk->scan, &element))
        return false;
    walk->kind = element.kind;
    walk->name = element.name;
    walk->name_len = element.name_len;
    *item = element.value;
    return true;
}

bool list_walk_next(struct list_walk *walk, struct bytes *item)
{
    if (walk->in_body)
        return next_in_body(walk, item);
    if (bytes_left(&walk->rest) < 5)
        return false;
    int32_t len = bytes_load_i32(walk->rest.pos);
    return len >= 5 && bytes_take(&walk->rest, (size_t)len, item);
}

bool list_walk_is_whole(const struct list_walk *walk)
{
    return walk->in_body ? !walk->scan.broken : bytes_left(&walk->rest) == 0;
}

void list_walk_move(struct list_walk *walk, ptrdiff_t moved)
{
    bytes_move(&walk->rest, moved);
    if (walk->in_body)
        bytes_move(&walk->scan.rest, moved);
}
