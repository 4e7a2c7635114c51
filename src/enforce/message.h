/* A command's message: its sections, the statements in it, and the message that goes in its place.
 * Statements (documents, updates, ops) stand in a sequence of their own (kind 1) or as an array in
 * the body. Nothing is owned; all pointers are into the payload. */
#ifndef SLUICE_ENFORCE_MESSAGE_H
#define SLUICE_ENFORCE_MESSAGE_H

#include "base/error.h"
#include "enforce/enforce_terms.h"
#include "enforce/grammar.h"
#include "enforce/refusals.h"

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

/* Which of the command's lists a field was read for; what its items are is for the caller to look
 * at. False where a sequence is empty. */
bool message_find_list(const struct enforce_command *command, const struct grammar_found *found,
                       enum grammar_meaning meaning, uint8_t *list, struct error *err);

/* After the last item: false, with the error, where the list is broken. */
bool message_end_list(const struct list_walk *walk, struct error *err);

/* False: the errors for a last item that is no document, and for a list without any. */
bool message_wrong_item(const struct document_list *list, const struct list_walk *walk,
                        struct error *err);
bool message_empty_list(const struct document_list *list, struct error *err);

/* Making the message with the statements that `plan` keeps: the same sections and fields in the
 * same order, without a checksum. The statements' numbers (stmtId, stmtIds) stay those that they
 * had. What it is made of must be the same each time. */
struct message_rewrite;
enum message_progress { MESSAGE_DONE, MESSAGE_PART, MESSAGE_NO_MEMORY };

struct message_parts {
    const struct enforce_command *command;
    const struct document_list *list;
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
