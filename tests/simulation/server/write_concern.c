/* Write concerns: what a command waits for before its answer. */
#include "server/operation.h"

bool operation_ends_transaction(const struct operation *operation)
{
    return operation->command != NULL &&
           (operation->command->run == run_commit || operation->command->run == run_abort);
}

bool operation_writes(const struct operation *operation)
{
    return operation->command != NULL && (operation->command->flags & COMMAND_WRITES) != 0;
}

static int64_t member_has(const struct operation *operation, int members)
{
    const struct member *member = operation->member;
    int count = 0;
    for (unsigned i = 0; i < operation->cluster->member_count; i++)
        count += i == member->number || member->acknowledged[i] >= operation->concern_index;
    return count >= members;
}

static bool concern_is_met(struct operation *operation)
{
    const struct member *member = operation->member;
    bool is_set = cluster_is_set(operation->cluster);
    if (operation->is_majority && is_set)
        return member->committed >= operation->concern_index;
    /* On a standalone, a majority is its journal. */
    if ((operation->is_journaled || operation->is_majority) &&
        member->durable < operation->concern_index)
        return false;
    return operation->concern_members <= 1 || member_has(operation, operation->concern_members);
}

int64_t operation_deadline(const struct operation *operation)
{
    if (operation->max_time_ms == 0 || operation->command->run == run_get_more ||
        operation->command->run == run_hello)
        return 0;
    return operation->began_us + operation->max_time_ms * 1000;
}

bool concern_counts(const struct operation *operation)
{
    bool counts =
        operation->code == 0 || (operation->code == 251 && operation_ends_transaction(operation));
    bool is_part = operation->in_transaction && !operation_ends_transaction(operation);
    return operation_writes(operation) && counts && !is_part && operation->concern_members != 0 &&
           operation->member != NULL && operation->member->role == MEMBER_PRIMARY;
}

void concern_wait(struct operation *operation)
{
    int64_t deadline_us = operation_deadline(operation);
    int64_t timeout_us = operation->concern_timeout_ms * 1000;
    operation->concern_index = (int64_t)operation->member->log_count;
    if (operation->concern_members > (int)operation->cluster->member_count) {
        operation->concern_code = 100;
        operation->concern_text = "Not enough data-bearing nodes";
        operation_answer(operation);
        return;
    }
    if (concern_is_met(operation)) {
        operation_answer(operation);
        return;
    }
    if (operation->connection->end == NULL) {
        operation_end(operation); /* nobody waits for it */
        return;
    }
    operation->waits_concern = true;
    if (timeout_us != 0) {
        int64_t until_us = world_now_us(operation->cluster->world) + timeout_us;
        deadline_us = deadline_us == 0 || until_us < deadline_us ? until_us : deadline_us;
    }
    (void)operation_park(operation, concern_is_met, deadline_us);
}

void concern_end(struct operation *operation)
{
    if (operation->is_late) {
        bool is_command = operation_deadline(operation) != 0 &&
                          world_now_us(operation->cluster->world) >= operation_deadline(operation);
        operation->concern_code = is_command ? 50 : 64;
        operation->concern_text =
            is_command ? "operation exceeded time limit" : "waiting for replication timed out";
    }
    operation_answer(operation);
}
