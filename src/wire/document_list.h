/* A list of documents in a command: a document sequence (section kind 1), or an array of the body.
 * Statements, documents to insert and namespaces come in such lists. Nothing is owned; all pointers
 * are into the message. Pure. Source: specification "OP_MSG". */
#ifndef SLUICE_WIRE_DOCUMENT_LIST_H
#define SLUICE_WIRE_DOCUMENT_LIST_H

#include "bson/scan.h"

struct document_list {
    const char *name;
    size_t name_len;
    struct bytes content; /* the documents one after another, or the array */
    bool in_body;         /* the latter */
    bool validated;       /* each document in it was checked as BSON (bson/validate.h) */
};

/* A walk over the items of a list. */
struct list_walk {
    bool in_body;
    uint8_t kind;     /* of the last item: in an array it may be any */
    const char *name; /* of the last item, in an array */
    size_t name_len;
    struct bytes rest; /* of a sequence */
    struct scan scan;  /* of an array */
};

void list_walk_open(struct list_walk *walk, const struct document_list *list);

/* The next item; false at the end, or where the list is broken. */
bool list_walk_next(struct list_walk *walk, struct bytes *item);

/* After the last item: false when a sequence ends inside a document, or an array is no BSON. */
bool list_walk_is_whole(const struct list_walk *walk);

/* The message stands elsewhere now, `moved` bytes further on. */
void list_walk_move(struct list_walk *walk, ptrdiff_t moved);

/* The same for bytes of it; NULL stays NULL. */
static inline void bytes_move(struct bytes *bytes, ptrdiff_t moved)
{
    if (bytes->pos == NULL)
        return;
    bytes->pos += moved;
    bytes->end += moved;
}

#endif
