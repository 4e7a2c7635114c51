/* A command's message: its sections, the statements in it, and the message that goes in its place.
 * Statements (documents, updates, ops) stand in a sequence of their own (kind 1) or as an array in
 * the body. Nothing is owned; all pointers are into the payload. */
#ifndef SLUICE_ENFORCE_MESSAGE_H
#define SLUICE_ENFORCE_MESSAGE_H

#include "base/error.h"
#include "bson/scan.h"
#include "enforce/enforce.h"
#include "enforce/grammar.h"
#include "enforce/refusals.h"

/* A list of documents in it. */
struct message_list {
    const char *name; /* a static string */
    bool in_body;
    bool skips;           /* null among its documents is passed over, as the server does */
    struct bytes content; /* of the sequence, or the array */
};

/* Fields of the body that matter here. */
struct message_options {
    bool ordered;     /* true where it is not said */
    bool bypass;      /* bypassDocumentValidation */
    bool numbered;    /* stmtId or stmtIds is there */
    bool unheard;     /* by its write concern, w: 0, the server only says that it got the command */
    uint32_t numbers; /* how many stmtIds; 0: none are there */
};

/* Reads the message by the command's table. False where it does not fit: err has the server's code.
 */
bool message_read(const struct enforce_command *command, const struct grammar *grammar,
                  struct grammar_found *found, struct message_options *options, struct error *err);

/* The list that a field was read for; what its items are is for the caller to look at. False where
 * a sequence is empty. */
bool message_open_list(const struct grammar_found *found, enum grammar_meaning meaning,
                       const char *name, bool skips, struct message_list *out, struct error *err);

/* The next section of a kind 1, for looks at what may not fit; false at the end, or where it is
 * broken. Begin with *rest the payload, and *first. */
bool message_next_sequence(const struct enforce_command *command, struct bytes *rest, bool *first,
                           struct scan_element *sequence);

/* Walks over the items of a list. */
struct message_items {
    bool in_body;
    uint8_t kind; /* of the last one: in an array of the body it may be any */
    const char *name;
    struct bytes rest;
    struct scan scan;
};
void message_items_open(const struct message_list *list, struct message_items *items);
bool message_items_next(struct message_items *items, struct bytes *item);
/* After the last one: false where a sequence ends in the middle of a document, or an array is no
 * BSON. */
bool message_items_end(const struct message_items *items, struct error *err);

/* Whether the last item stands for no statement. */
static inline bool message_item_is_skipped(const struct message_list *list,
                                           const struct message_items *items)
{
    return list->skips && (items->kind == BSON_KIND_NULL || items->kind == BSON_KIND_UNDEFINED);
}
/* False: the errors for a last item that is no document, and for a list without any. */
bool message_wrong_item(const struct message_list *list, const struct message_items *items,
                        struct error *err);
bool message_empty_list(const struct message_list *list, struct error *err);

/* The payload stands elsewhere now, `moved` bytes further on. */
void message_list_move(struct message_list *list, ptrdiff_t moved);
void message_items_move(struct message_items *items, ptrdiff_t moved);

/* Making the message with the statements that `plan` keeps: the same sections and fields in the
 * same order, without a checksum. The statements' numbers (stmtId, stmtIds) stay those that they
 * had. What it is made of must be the same each time. */
struct message_rewrite;
enum message_progress { MESSAGE_DONE, MESSAGE_PART, MESSAGE_NO_MEMORY };

struct message_parts {
    const struct enforce_command *command;
    const struct message_list *list;
    const struct message_options *options;
    const struct plan *plan;
};

struct message_made {
    uint8_t *block; /* memory_alloc'd, for the caller */
    size_t block_bytes;
    struct bytes payload; /* behind ENFORCE_FRONT_BYTES of the block */
};

/* How large the block gets, unless the command's own lists do not fit each other. */
size_t message_rewrite_bytes(const struct message_parts *parts);
/* NULL when memory is out. */
struct message_rewrite *message_rewrite_new(const struct message_parts *parts);
void message_rewrite_free(struct message_rewrite *rewrite); /* NULL is allowed */
/* A little of it, which took *work nanoseconds or so. MESSAGE_DONE: *made is set. */
enum message_progress message_rewrite_step(struct message_rewrite *rewrite,
                                           const struct message_parts *parts, size_t *work,
                                           struct message_made *made);
void message_rewrite_move(struct message_rewrite *rewrite, ptrdiff_t moved);

#endif
