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
    struct bytes content; /* of the sequence, or the array */
};

/* Fields of the body that matter here. */
struct message_options {
    bool ordered;  /* true where it is not said */
    bool bypass;   /* bypassDocumentValidation */
    bool numbered; /* stmtId or stmtIds is there */
};

/* Reads the message by the command's table. False where it does not fit: err has the server's code.
 */
bool message_read(const struct enforce_command *command, const struct grammar *grammar,
                  struct grammar_found *found, struct message_options *options, struct error *err);

/* The list that a field was read for. `skips`: null among its documents is passed over, as the
 * server does. False where it is empty, or has what is no document. */
bool message_open_list(const struct grammar_found *found, enum grammar_meaning meaning,
                       const char *name, bool skips, struct message_list *out, struct error *err);

/* The next section of a kind 1, for looks at what may not fit; false at the end, or where it is
 * broken. Begin with *rest the payload, and *first. */
bool message_next_sequence(const struct enforce_command *command, struct bytes *rest, bool *first,
                           struct scan_element *sequence);

/* Walks over the documents of a list. */
struct message_items {
    bool in_body;
    struct bytes rest;
    struct scan scan;
};
void message_items_open(const struct message_list *list, struct message_items *items);
bool message_items_next(struct message_items *items, struct bytes *document);
/* After the last one: false where a sequence ends in the middle of a document. */
bool message_items_end(const struct message_items *items, struct error *err);

/* The message with the statements that `plan` keeps: the same sections and fields in the same
 * order, without a checksum. The statements' numbers (stmtId, stmtIds) stay those that they had.
 * *block (memory_alloc'd) holds *payload. False when memory is out. */
bool message_rewrite(const struct enforce_command *command, const struct message_list *list,
                     const struct message_options *options, const struct plan *plan,
                     uint8_t **block, struct bytes *payload, struct error *err);

#endif
