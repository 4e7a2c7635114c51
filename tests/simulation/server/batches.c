/* The order in which the statements of one command run, and what is known of them from before.
 *
 * An insert of MongoDB 4.4 collects documents and writes them together. It answers statements that
 * it knows at once, also in the midst of a collection, and it does not write the collection when
 * the last statement is a known one. So its results may stand at later places than their
 * statements. Current servers write the collection before a known statement. */
#include "server/operation.h"

enum { BATCH_MAX = 64 };

static bool add_known(struct operation *operation, size_t index)
{
    struct write_list *list = operation->writes;
    if (!operation->has_number || operation->in_transaction)
        return false;
    const struct statement *known =
        session_find(member_session(operation->member, operation->session), operation->number,
                     list->all[index].statement);
    if (known == NULL)
        return false;
    struct write_result *result = write_result_add(list, index);
    result->is_known = true;
    result->n = known->n;
    result->modified = known->modified;
    result->upserted = known->upserted;
    result->upserted_key = known->upserted_key;
    return true;
}

/* Now and then a command pauses between two statements. */
static bool pauses(struct operation *operation)
{
    if (!stream_chance(&operation->connection->stream, 15))
        return false;
    operation->again_us = stream_skewed(&operation->connection->stream, 20, 5000);
    return true;
}

static bool disk_is_full(struct operation *operation)
{
    struct cluster *cluster = operation->cluster;
    return world_now_us(cluster->world) < cluster->full_until_us &&
           stream_chance(&operation->connection->stream, cluster->full_per_mille);
}

static enum step run_one(struct operation *operation, size_t index)
{
    if (disk_is_full(operation)) {
        (void)operation_fail(operation, 14031,
                             "available disk space of 1 bytes is less than "
                             "required minimum of 524288000");
        return STEP_GO_ON;
    }
    if (statement_run(operation, index) == WRITE_STEP_WAIT) {
        operation->again_us = 500 + stream_below(&operation->connection->stream, 3000);
        return STEP_AGAIN;
    }
    return STEP_GO_ON;
}

static enum step flush(struct operation *operation)
{
    struct write_list *list = operation->writes;
    while (list->batch_next < list->batch_count && !list->stops && operation->code == 0) {
        enum step step = run_one(operation, list->batch[list->batch_next]);
        if (step != STEP_GO_ON)
            return step;
        list->batch_next++;
        if (list->batch_next < list->batch_count && pauses(operation))
            return STEP_AGAIN;
    }
    list->batch_next = 0;
    list->batch_count = 0;
    return STEP_GO_ON;
}

/* 4.4's insert. */
static enum step run_collected(struct operation *operation)
{
    struct write_list *list = operation->writes;
    if (list->batch_next > 0 || (list->batch_count > 0 && list->next == list->count)) {
        enum step step = flush(operation); /* it goes on after a pause */
        if (step != STEP_GO_ON)
            return step;
    }
    while (list->next < list->count && !list->stops && operation->code == 0) {
        size_t index = list->next++;
        if (add_known(operation, index))
            continue;
        array_grow((void **)&list->batch, &list->batch_capacity, list->batch_count + 1,
                   sizeof *list->batch);
        list->batch[list->batch_count++] = index;
        if (list->next < list->count && list->batch_count < BATCH_MAX)
            continue;
        enum step step = flush(operation);
        if (step != STEP_GO_ON)
            return step;
    }
    return STEP_GO_ON;
}

static enum step run_in_order(struct operation *operation)
{
    struct write_list *list = operation->writes;
    while (list->next < list->count && !list->stops && operation->code == 0) {
        if (!add_known(operation, list->next)) {
            enum step step = run_one(operation, list->next);
            if (step != STEP_GO_ON)
                return step;
        }
        list->next++;
        if (list->next < list->count && pauses(operation))
            return STEP_AGAIN;
    }
    return STEP_GO_ON;
}

/* Any error of a statement ends its transaction. */
static void end_failed_transaction(struct operation *operation)
{
    const struct write_list *list = operation->writes;
    struct transaction *transaction = operation_open_transaction(operation);
    bool failed = operation->code != 0;
    for (size_t i = 0; i < list->result_count; i++)
        failed = failed || list->results[i].code != 0;
    if (failed && transaction != NULL)
        transaction_abort(operation->member, transaction);
}

enum step writes_run(struct operation *operation)
{
    /* A second attempt of a mongos is exact here: its answers were not measured. */
    bool collects = operation->cluster->plan->server == PLAN_SERVER_4_4 &&
                    operation->command->run == run_insert && operation->attempts == 0;
    enum step step = operation_check_out(operation);
    if (step == STEP_GO_ON)
        step = collects ? run_collected(operation) : run_in_order(operation);
    if (step != STEP_GO_ON)
        return step;
    end_failed_transaction(operation);
    return operation->code == 0 ? STEP_GO_ON : STEP_DONE;
}
