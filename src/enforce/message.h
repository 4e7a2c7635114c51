/* A command's message: its sections, the statements in it, and the message that goes in its place.
 * Statements (documents, updates, ops) stand in a sequence of their own (kind 1) or as an array in
 * the body. Nothing is owned; all pointers are into the payload. */
#ifndef SLUICE_ENFORCE_MESSAGE_H
#define SLUICE_ENFORCE_MESSAGE_H

#include "base/error.h"
#include "bson/scan.h"
#include "enforce/enforce.h"
#include "enforce/refusals.h"

/* A list of documents that the command has under this name. The caller sets the name. */
struct message_list {
    const char *name;
    bool found;
    bool in_body;
    struct bytes content; /* of the sequence, or the array */
};

/* Fields of the body that matter here. */
struct message_options {
    bool ordered;              /* true where it is not said */
    bool bypass;               /* bypassDocumentValidation */
    bool numbered;             /* stmtId or stmtIds is there */
    struct scan_element first; /* the command's own field */
};

/* Reads the options, and the lists that are there. A list is not found where an item of it is no
 * document: the server refuses such a command as a whole. False when the message is malformed or
 * has a list twice. */
bool message_read(const struct enforce_command *command, struct message_list *lists, size_t count,
                  struct message_options *options, struct error *err);

/* Walks over the documents of a list that message_read gave. */
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
