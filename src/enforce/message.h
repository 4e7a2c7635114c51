/* A command's message: its sections, its statements, and the message that replaces it. Statements
 * (documents, updates, ops) are in a document sequence (kind 1) or in an array of the body. Nothing
 * is owned; all pointers point into the payload. */
#ifndef SLUICE_ENFORCE_MESSAGE_H
#define SLUICE_ENFORCE_MESSAGE_H

#include "base/error.h"
#include "enforce/enforce_terms.h"
#include "enforce/grammar.h"
#include "enforce/refusals.h"

/* The relevant fields of the body. */
struct message_options {
    bool ordered;     /* true by default */
    bool bypass;      /* bypassDocumentValidation */
    bool numbered;    /* stmtId or stmtIds is present */
    bool unheard;     /* because of its write concern, w: 0, the server only confirms the receipt */
    uint32_t numbers; /* the number of stmtIds; 0: none */
    /* A retryable write whose statements the server would number itself, as they arrive. */
    bool retryable;
};

/* Reads the message by the command's table. False if it does not fit: err has the server's code. */
bool message_read(const struct enforce_command *command, const struct grammar *grammar,
                  struct grammar_found *found, struct message_options *options, struct error *err);

/* Finds the list for a field; the caller checks the items. False for an empty sequence. */
bool message_find_list(const struct enforce_command *command, const struct grammar_found *found,
                       enum grammar_meaning meaning, uint8_t *list, struct error *err);

/* Call it after the last item: false, with the error, for a broken list. */
bool message_end_list(const struct list_walk *walk, struct error *err);

/* Returns false with the error for a last item that is not a document, or for an empty list. */
bool message_wrong_item(const struct document_list *list, const struct list_walk *walk,
                        struct error *err);
bool message_empty_list(const struct document_list *list, struct error *err);

/* Builds the message with the statements that `plan` keeps: the same sections and fields in the
 * same order, without a checksum. The statements keep their numbers (stmtId, stmtIds); those of a
 * retryable write get the numbers that the whole command would have had. The parts must be the same
 * in each call. */
struct message_rewrite;
enum message_progress { MESSAGE_DONE, MESSAGE_PART, MESSAGE_NO_MEMORY };

struct message_parts {
    const struct enforce_command *command;
    const struct document_list *list;
    const struct message_options *options;
    const struct plan *plan;
};

struct message_made {
    uint8_t *block; /* from memory_alloc, for the caller */
    size_t block_bytes;
    struct bytes payload; /* behind ENFORCE_FRONT_BYTES of the block */
};

/* The size of the block, unless the command's own lists do not match. */
size_t message_rewrite_bytes(const struct message_parts *parts);
/* NULL without memory. */
struct message_rewrite *message_rewrite_new(const struct message_parts *parts);
void message_rewrite_free(struct message_rewrite *rewrite); /* NULL is allowed */
/* Does a part of the work; *work is its approximate cost in nanoseconds. MESSAGE_DONE: *made is
 * set. */
enum message_progress message_rewrite_step(struct message_rewrite *rewrite,
                                           const struct message_parts *parts, size_t *work,
                                           struct message_made *made);
void message_rewrite_move(struct message_rewrite *rewrite, ptrdiff_t moved);

#endif
