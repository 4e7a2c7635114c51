/* Transactions: they live in the memory of the primary until they commit. */
#include <stdlib.h>
#include <string.h>

#include "server/operation.h"

struct transaction *operation_open_transaction(const struct operation *operation)
{
    if (!operation->in_transaction || operation->session < 0)
        return NULL;
    struct session_state *state = member_session(operation->member, operation->session);
    return state->open != NULL && state->number == operation->number ? state->open : NULL;
}

struct version *operation_version(const struct operation *operation, uint32_t slot)
{
    struct version *version = member_version(operation->member, slot);
    struct transaction *transaction = operation_open_transaction(operation);
    if (transaction == NULL)
        return version_at(version,
                          operation->reads_committed ? operation->member->committed : INT64_MAX);
    for (size_t i = transaction->versions.count; i-- > 0;)
        if (transaction->versions.all[i]->slot == slot)
            return transaction->versions.all[i]->is_deleted ? NULL : transaction->versions.all[i];
    return version_at(version, transaction->snapshot);
}

static void unlink_transaction(struct member *member, struct transaction *transaction)
{
    struct transaction **at = &member->transactions;
    while (*at != transaction)
        at = &(*at)->next;
    *at = transaction->next;
    for (size_t i = 0; i < transaction->versions.count; i++) {
        uint32_t slot = transaction->versions.all[i]->slot;
        if (slot < member->lock_capacity && member->locks[slot] == transaction)
            member->locks[slot] = NULL;
    }
    struct session_state *state = member_session(member, transaction->session);
    if (state->open == transaction)
        state->open = NULL;
    free(transaction->versions.all);
    free(transaction);
}

void transaction_abort(struct member *member, struct transaction *transaction)
{
    unlink_transaction(member, transaction);
}

void member_abort_all(struct member *member)
{
    while (member->transactions != NULL)
        transaction_abort(member, member->transactions);
}

struct transaction *transaction_locking(struct member *member, uint32_t slot)
{
    struct transaction *holder = slot < member->lock_capacity ? member->locks[slot] : NULL;
    if (holder == NULL || world_now_us(member->cluster->world) < holder->expires_us)
        return holder;
    transaction_abort(member, holder);
    return NULL;
}

/* --- the end of a transaction --- */

/* Only the newest state of each document goes into the log. */
static size_t keep_newest(struct transaction *transaction)
{
    struct version **all = transaction->versions.all;
    size_t kept = 0;
    for (size_t i = 0; i < transaction->versions.count; i++) {
        bool is_newest = true;
        for (size_t j = i + 1; j < transaction->versions.count && is_newest; j++)
            is_newest = all[j]->slot != all[i]->slot;
        if (is_newest)
            all[kept++] = all[i];
    }
    return kept;
}

static void commit(struct member *member, struct transaction *transaction)
{
    size_t count = keep_newest(transaction);
    int session = transaction->session;
    for (size_t i = 0; i < count; i++)
        transaction->versions.all[i]->previous =
            member_version(member, transaction->versions.all[i]->slot);
    (void)member_append(member, ENTRY_COMMIT, session, transaction->number, NULL,
                        transaction->versions.all, (unsigned)count);
    transaction->versions.count = count;
    unlink_transaction(member, transaction);
}

/* A transaction that is not known may have been committed by another primary. The answer counts
 * only if this member is the primary of a majority: a log entry shows it. */
static enum step answer_unknown(struct operation *operation, const struct session_state *state)
{
    (void)member_append(operation->member, ENTRY_NOTHING, -1, 0, NULL, NULL, 0);
    bool is_aborted = state->number == operation->number && state->is_transaction;
    if (is_aborted)
        return operation_fail(operation, 251, "Transaction %lld has been aborted.",
                              (long long)operation->number);
    return operation_fail(
        operation, 251,
        "Given transaction number %lld does not match any in-progress transactions. The active "
        "transaction number is %lld",
        (long long)operation->number, (long long)(state->number == 0 ? -1 : state->number));
}

/* A command that ends a transaction. STEP_GO_ON: *transaction is the open one, or NULL. */
static enum step begin_end(struct operation *operation, struct transaction **transaction)
{
    if (!operation->in_transaction || !operation->has_number)
        return operation_fail(operation, 125, "%s must be run within a transaction",
                              operation->command->name);
    enum step step = operation_check_out(operation);
    if (step == STEP_GO_ON)
        *transaction = operation_open_transaction(operation);
    return step;
}

enum step run_commit(struct operation *operation)
{
    struct transaction *transaction = NULL;
    enum step step = begin_end(operation, &transaction);
    if (step != STEP_GO_ON)
        return step;
    const struct session_state *state = member_session(operation->member, operation->session);
    if (transaction != NULL)
        commit(operation->member, transaction);
    else if (state->number != operation->number || !state->is_committed)
        return answer_unknown(operation, state);
    return STEP_DONE;
}

enum step run_abort(struct operation *operation)
{
    struct transaction *transaction = NULL;
    enum step step = begin_end(operation, &transaction);
    if (step != STEP_GO_ON)
        return step;
    const struct session_state *state = member_session(operation->member, operation->session);
    if (transaction != NULL)
        transaction_abort(operation->member, transaction);
    else if (state->number == operation->number && state->is_committed)
        return operation_fail(operation, 256, "Transaction %lld has been committed.",
                              (long long)operation->number);
    else
        return answer_unknown(operation, state);
    return STEP_DONE;
}
