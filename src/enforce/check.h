/* One command under check: what the files for the single commands share. */
#ifndef SLUICE_ENFORCE_CHECK_H
#define SLUICE_ENFORCE_CHECK_H

#include "enforce/judge.h"
#include "enforce/message.h"
#include "enforce/splice.h"

struct check {
    const struct enforce_command *command;
    const struct registry *registry;
    struct judge judge;
    struct message_options options;
    struct plan plan;
    struct enforce_result *result;
    struct error *err;
};

/* The entry for the collection that the element names, in the command's database. */
const struct registry_entry *check_find(const struct enforce_command *command,
                                        const struct registry *registry,
                                        const struct scan_element *collection);

typedef enum judged check_statement_fn(void *arg, struct check *check, uint32_t index,
                                       struct bytes statement);

/* Judges every statement of the list, or up to the first refusal where that ends the command.
 * Then decides what goes upstream and what is answered. */
bool check_statements(struct check *check, const struct message_list *list, enum splice_form form,
                      check_statement_fn *judge_statement, void *arg);

/* For commands with one statement, whose refusal is the command's error: answers with the refusal
 * that is in the plan. */
bool check_answer_error(struct check *check);

/* Each command. On true, check->result says what to do (it is ENFORCE_FORWARD beforehand). */
bool check_insert(struct check *check);
bool check_update(struct check *check);
bool check_find_and_modify(struct check *check);
bool check_bulk_write(struct check *check);
bool check_aggregate(struct check *check);

/* Whether the command may write to a namespace with a schema, by its body alone. */
bool concerns_bulk_write(const struct registry *registry, const struct enforce_command *command);
bool concerns_aggregate(const struct registry *registry, const struct enforce_command *command);

#endif
