/* One command under check: what the files for the single commands share. */
#ifndef SLUICE_ENFORCE_CHECK_H
#define SLUICE_ENFORCE_CHECK_H

#include "enforce/grammar.h"
#include "enforce/judge.h"
#include "enforce/message.h"
#include "enforce/splice.h"

/* What is known of a command before its message is whole. */
struct concern {
    const struct registry *registry;
    const struct enforce_command *command;
    bool guarded;   /* its database has a schema */
    bool sequences; /* it has document sequences */
};

struct check {
    const struct enforce_command *command;
    struct concern concern;
    struct judge judge;
    struct message_options options;
    struct plan plan;
    bool reads_only; /* a refusal has ended the command: the rest need only have their form */
    struct enforce_result *result;
    struct error *err;
};

/* Where the command writes, by the name that was read for its collection; judged by from here on.
 */
void check_enter(struct check *check, const struct grammar_found *found);

typedef enum judged check_statement_fn(void *arg, struct check *check, uint32_t index,
                                       struct bytes statement);

/* Judges every statement of the list, or up to the first refusal where that ends the command.
 * Then decides what goes upstream and what is answered. */
bool check_statements(struct check *check, const struct message_list *list, enum splice_form form,
                      check_statement_fn *judge_statement, void *arg);

/* For commands with one statement, whose refusal is the command's error: answers with the refusal
 * that is in the plan. */
bool check_answer_error(struct check *check);

/* False where it has document sequences, which the server does not take with this command. */
bool check_no_sequences(struct check *check);

/* For commands that write what the proxy does not see: unproved, for that reason. */
bool check_unproved(struct check *check, struct judge_target target,
                    const struct judge_reason *why);

/* Each command. On true, check->result says what to do (it is ENFORCE_FORWARD beforehand). */
bool check_insert(struct check *check);
bool check_update(struct check *check);
bool check_find_and_modify(struct check *check);
bool check_bulk_write(struct check *check);
bool check_aggregate(struct check *check);
bool check_view(struct check *check);
bool check_map_reduce(struct check *check);
bool check_rename(struct check *check);
bool check_clone_as_capped(struct check *check);
bool check_operations(struct check *check);

/* Whether the command may write to a namespace with a schema, or is not understood, by its body
 * alone. */
bool concerns_collection(const struct concern *concern);
bool concerns_bulk_write(const struct concern *concern);
bool concerns_aggregate(const struct concern *concern);
bool concerns_view(const struct concern *concern);
bool concerns_map_reduce(const struct concern *concern);
bool concerns_rename(const struct concern *concern);
bool concerns_clone_as_capped(const struct concern *concern);
bool concerns_operations(const struct concern *concern);

#endif
