/* A command during its check: the common parts of the files for single commands. */
#ifndef SLUICE_ENFORCE_CHECK_H
#define SLUICE_ENFORCE_CHECK_H

#include "enforce/grammar.h"
#include "enforce/judge.h"
#include "enforce/message.h"
#include "enforce/splice.h"

/* The known facts about a command before its message is complete. */
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

/* Up to this many namespaces need no allocation. */
enum { CHECK_NAMESPACES_IN_PLACE = 16 };

enum check_phase {
    CHECK_DONE,
    CHECK_COUNT,      /* counts the statements, and checks that each is a document */
    CHECK_NAMESPACES, /* looks up the schemas of a bulkWrite's namespaces */
    CHECK_JUDGE,
    CHECK_REWRITE /* builds the command without the refused statements */
};

struct check;
typedef enum judged check_statement_fn(struct check *check, uint32_t index, struct bytes statement);

struct check {
    const struct enforce_command *command;
    struct concern concern;
    struct judge judge;
    struct message_options options;
    struct plan plan;
    bool reads_only; /* a refusal has ended the command: the other statements are only checked for
                        their form */
    struct enforce_result *result; /* made */
    struct enforce_result made;
    struct error *err;
    const uint8_t *base; /* the former place of the payload */
    struct schema_allowance allowance;
    size_t work; /* nanoseconds (about) since observer->spent was asked */
    /* for commands with a list of statements: */
    enum check_phase phase;
    check_statement_fn *judge_statement;
    uint8_t list;                    /* of the command's lists; see check_list */
    uint8_t namespace_list;          /* of a bulkWrite; CHECK_NO_LIST: there is none */
    bool skips_null;                 /* the server skips null in the list, and so does the check */
    bool all_validated;              /* all documents so far were checked as BSON */
    struct list_walk items;          /* the position of the phase in one of the two lists */
    uint64_t count;                  /* of statements counted so far */
    uint32_t index;                  /* of the current statement in CHECK_JUDGE */
    struct message_rewrite *rewrite; /* owned */
    /* of bulkWrite: */
    struct check_namespace *namespaces; /* owned; NULL: in_place */
    uint32_t namespace_count;
    bool any_guarded; /* one of them has a schema */
    bool opaque;      /* the whole command */
    struct check_namespace
        in_place[CHECK_NAMESPACES_IN_PLACE]; /* last, because it is not cleared */
};

/* The statements, or documents. */
static inline struct document_list *check_list(const struct check *check)
{
    return &check->command->parsed->lists[check->list];
}

/* moreToCome: the client expects no answer. */
static inline bool check_wants_no_reply(const struct enforce_command *command)
{
    return (command->parsed->flags & WIRE_FLAG_MORE_TO_COME) != 0;
}

/* Judges by the collection of the command, as concerns_collection noted it. */
void check_enter(struct check *check, const struct grammar_found *found);

/* Starts the judgement of all statements in the list (message_find_list), or up to the first
 * refusal if that ends the command. After it, the check decides what goes upstream and what the
 * answer is. */
void check_statements(struct check *check, uint8_t list, enum splice_form form,
                      check_statement_fn *judge_statement);

/* Continues with the phases as long as there is time. */
enum enforce_progress check_go_on(struct check *check);

/* True if others should have their turn; `work` adds nanoseconds. */
bool check_is_spent(struct check *check, size_t work);

/* Takes memory for the result's block. False with err set if there is none. */
bool check_take(struct check *check, size_t bytes);

/* CHECK_NAMESPACES, as far as there is time. */
enum enforce_progress check_namespaces(struct check *check);

/* For commands with one statement, whose refusal is the command's error: answers a refused one with
 * the refusal that is in the plan. False with err set if it failed. */
bool check_answer_judged(struct check *check, enum judged judged);

/* False if the command has document sequences, which the server does not accept for it. */
bool check_no_sequences(struct check *check);

/* For commands that write documents that the proxy does not see: unproved for this reason. */
bool check_unproved(struct check *check, struct judge_target target,
                    const struct judge_reason *why);

/* One function for each command. On true, check->result holds the decision (ENFORCE_FORWARD by
 * default), or check_statements was called. */
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

/* True if the command may write to a namespace with a schema, or is not understood, judged by its
 * body alone. */
bool concerns_collection(const struct concern *concern);
bool concerns_bulk_write(const struct concern *concern);
bool concerns_aggregate(const struct concern *concern);
bool concerns_view(const struct concern *concern);
bool concerns_map_reduce(const struct concern *concern);
bool concerns_rename(const struct concern *concern);
bool concerns_clone_as_capped(const struct concern *concern);
bool concerns_operations(const struct concern *concern);

#endif
