/* Sessions and the statements that they remember. */
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

/* transactionLifetimeLimitSeconds */
enum { TRANSACTION_LIFE_US = 10000000 };

struct session_state *member_session(struct member *member, int session)
{
    if ((size_t)session >= member->session_capacity)
        array_grow((void **)&member->sessions, &member->session_capacity, (size_t)session + 1,
                   sizeof *member->sessions);
    return &member->sessions[session];
}

static size_t hash_session(const uint8_t id[16], unsigned user)
{
    uint64_t parts[2];
    memcpy(parts, id, sizeof parts);
    uint64_t hash = (parts[0] ^ (parts[1] * 31) ^ user) * 0x9E3779B97F4A7C15U;
    return (size_t)(hash ^ (hash >> 29));
}

static void index_session(struct cluster *cluster, int number)
{
    const struct session *session = &cluster->sessions[number];
    size_t mask = cluster->session_index_capacity - 1;
    size_t at = hash_session(session->id, session->user) & mask;
    while (cluster->session_index[at] != 0)
        at = (at + 1) & mask;
    cluster->session_index[at] = number + 1;
}

static void grow_index(struct cluster *cluster)
{
    size_t capacity =
        cluster->session_index_capacity == 0 ? 64 : cluster->session_index_capacity * 2;
    free(cluster->session_index);
    cluster->session_index = calloc(capacity, sizeof *cluster->session_index);
    if (cluster->session_index == NULL)
        abort();
    cluster->session_index_capacity = capacity;
    for (size_t i = 0; i < cluster->session_count; i++)
        index_session(cluster, (int)i);
}

/* The number of a session: its id and its owner. */
int session_of(struct cluster *cluster, const uint8_t id[16], unsigned user)
{
    if ((cluster->session_count + 1) * 2 > cluster->session_index_capacity)
        grow_index(cluster);
    size_t mask = cluster->session_index_capacity - 1;
    for (size_t at = hash_session(id, user) & mask; cluster->session_index[at] != 0;
         at = (at + 1) & mask) {
        int number = cluster->session_index[at] - 1;
        if (cluster->sessions[number].user == user &&
            memcmp(cluster->sessions[number].id, id, 16) == 0)
            return number;
    }
    array_grow((void **)&cluster->sessions, &cluster->session_capacity, cluster->session_count + 1,
               sizeof *cluster->sessions);
    int number = (int)cluster->session_count++;
    memcpy(cluster->sessions[number].id, id, 16);
    cluster->sessions[number].user = user;
    index_session(cluster, number);
    return number;
}

struct statement *session_find(const struct session_state *state, int64_t number, int32_t id)
{
    if (state->number != number)
        return NULL;
    for (struct statement *each = state->statements; each != NULL; each = each->before)
        if (each->id == id)
            return each;
    return NULL;
}

/* --- commands run one after the other in a session with a number --- */

static enum step begin_transaction(struct operation *operation, struct session_state *state)
{
    struct member *member = operation->member;
    if (operation->number == state->number)
        return operation_fail(operation, 50911,
                              "Cannot start a transaction at given transaction number %lld as a "
                              "transaction with the same number is in progress or ended",
                              (long long)operation->number);
    if (state->open != NULL)
        transaction_abort(member, state->open);
    struct transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL)
        abort();
    *transaction = (struct transaction){
        .session = operation->session,
        .number = operation->number,
        .snapshot = (int64_t)member->log_count,
        .expires_us = world_now_us(operation->cluster->world) + TRANSACTION_LIFE_US,
        .next = member->transactions,
    };
    member->transactions = transaction;
    state->number = operation->number;
    state->is_transaction = true;
    state->is_committed = false;
    state->statements = NULL;
    state->open = transaction;
    return STEP_GO_ON;
}

static enum step go_on(struct operation *operation, struct session_state *state)
{
    if (state->open != NULL && state->number == operation->number)
        return STEP_GO_ON;
    if (state->number == operation->number && state->is_committed)
        return operation_fail(operation, 256, "Transaction %lld has been committed.",
                              (long long)operation->number);
    return operation_fail(
        operation, 251,
        "Given transaction number %lld does not match any in-progress transactions. The active "
        "transaction number is %lld",
        (long long)operation->number, (long long)(state->number == 0 ? -1 : state->number));
}

static enum step check_number(struct operation *operation, struct session_state *state)
{
    bool ends = operation->command->run == run_commit || operation->command->run == run_abort;
    if (operation->number < state->number)
        return operation_fail(operation, 225,
                              "Cannot start transaction %lld on session because a newer "
                              "transaction %lld has already started",
                              (long long)operation->number, (long long)state->number);
    if (ends)
        return STEP_GO_ON; /* it looks itself */
    if (operation->in_transaction)
        return operation->starts_transaction ? begin_transaction(operation, state)
                                             : go_on(operation, state);
    if (operation->number == state->number && state->is_transaction)
        return operation_fail(operation, 117,
                              "A retryable write may not use the number of a transaction: %lld",
                              (long long)operation->number);
    if (operation->number > state->number) {
        if (state->open != NULL)
            transaction_abort(operation->member, state->open);
        *state = (struct session_state){.number = operation->number};
    }
    return STEP_GO_ON;
}

enum step operation_check_out(struct operation *operation)
{
    struct member *member = operation->member;
    if (!operation->has_number || operation->holds_session)
        return STEP_GO_ON;
    if (!cluster_is_set(operation->cluster))
        return operation_fail(
            operation, 20,
            "Transaction numbers are only allowed on a replica set member or mongos");
    if (operation->session < 0)
        return operation_fail(operation, 72, "Transaction number requires a session ID");
    struct session_state *state = member_session(member, operation->session);
    if (state->is_checked_out) {
        operation->again_us = 100 + stream_below(&operation->connection->stream, 400);
        return STEP_AGAIN;
    }
    enum step step = check_number(operation, state);
    if (step != STEP_GO_ON)
        return step;
    member_session(member, operation->session)->is_checked_out = true;
    operation->holds_session = true;
    return STEP_GO_ON;
}

void operation_check_in(struct operation *operation)
{
    if (operation->holds_session)
        member_session(operation->member, operation->session)->is_checked_out = false;
    operation->holds_session = false;
}
