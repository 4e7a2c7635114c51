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
    struct enforce_noted *noted;
    bool guarded;   /* its database has a schema */
    bool sequences; /* it has document sequences */
};

/* A namespace of a bulkWrite. */
struct check_namespace {
    struct judge_target target;
    bool opaque;
};

enum { CHECK_NO_LIST = UINT8_MAX };

/* Namespaces up to this many need no memory. */
enum { CHECK_NAMESPACES_IN_PLACE = 16 };

enum check_phase {
    CHECK_DONE,
    CHECK_COUNT,      /* are there too many statements, and is each a document? */
    CHECK_NAMESPACES, /* of a bulkWrite: which schemas they have */
    CHECK_JUDGE,
    CHECK_REWRITE /* the command without those that are refused */
};

struct check;
typedef enum judged check_statement_fn(struct check *check, uint32_t index, struct bytes statement);

struct check {
    const struct enforce_command *command;
    struct concern concern;
    struct judge judge;
    struct message_options options;
    struct plan plan;
    bool reads_only; /* a refusal has ended the command: the rest need only have their form */
    struct enforce_result *result; /* made */
    struct enforce_result made;
    struct error *err;
    const uint8_t *base; /* where the payload was */
    struct schema_allowance allowance;
    size_t work; /* nanoseconds or so since observer->spent was asked */
    /* of commands with a list of statements: */
    enum check_phase phase;
    check_statement_fn *judge_statement;
    uint8_t list;           /* of the command's lists; see check_list */
    uint8_t namespace_list; /* of a bulkWrite; CHECK_NO_LIST: there is none */
    bool skips_null;        /* null in the list stands for no statement, as for the server */
    bool all_validated;     /* all of its documents so far were checked as BSON */
    struct list_walk items; /* where the phase stands in one of the two */
    uint64_t count;         /* of statements, as far as CHECK_COUNT is */
    uint32_t index;         /* of the statement that CHECK_JUDGE is at */
    struct message_rewrite *rewrite; /* owned */
    /* of bulkWrite: */
    struct check_namespace *namespaces; /* owned; NULL: in_place */
    uint32_t namespace_count;
    bool any_guarded;                                           /* of them has a schema */
    bool opaque;                                                /* the whole command */
    struct check_namespace in_place[CHECK_NAMESPACES_IN_PLACE]; /* last: not cleared */
};

/* The statements, or documents. */
static inline struct document_list *check_list(const struct check *check)
{
    return &check->command->parsed->lists[check->list];
}

/* moreToCome: nobody waits for an answer. */
static inline bool check_wants_no_reply(const struct enforce_command *command)
{
    return (command->parsed->flags & WIRE_FLAG_MORE_TO_COME) != 0;
}

/* Judges by the collection that the command names, as concerns_collection noted it. */
void check_enter(struct check *check, const struct grammar_found *found);

/* Every statement of the list (message_find_list) is to be judged, or up to the first refusal where
 * that ends the command. Then it is decided what goes upstream and what is answered. */
void check_statements(struct check *check, uint8_t list, enum splice_form form,
                      check_statement_fn *judge_statement);

/* Goes on with the phases, as far as there is time. */
enum enforce_progress check_go_on(struct check *check);

/* Whether it is time to let others have their turn, `work` nanoseconds later. */
bool check_is_spent(struct check *check, size_t work);

/* Takes so much for the result's block. False with err set where there is no room. */
bool check_take(struct check *check, size_t bytes);

/* CHECK_NAMESPACES, as far as it goes now. */
enum enforce_progress check_namespaces(struct check *check);

/* For commands with one statement, whose refusal is the command's error: answers with the refusal
 * that is in the plan. */
bool check_answer_error(struct check *check);

/* False where it has document sequences, which the server does not take with this command. */
bool check_no_sequences(struct check *check);

/* For commands that write what the proxy does not see: unproved, for that reason. */
bool check_unproved(struct check *check, struct judge_target target,
                    const struct judge_reason *why);

/* Each command. On true, check->result says what to do (it is ENFORCE_FORWARD beforehand), or
 * check_statements was called. */
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
