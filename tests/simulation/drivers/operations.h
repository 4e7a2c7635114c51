/* What the files of operations share. */
#ifndef SIMULATION_OPERATIONS_H
#define SIMULATION_OPERATIONS_H

#include "batch.h"

/* Runs a command that may be repeated as a read is, and checks how it failed. */
struct result step_command(struct operation *operation, const char *name, const char *database,
                           bson_t *body);
/* Checks how a command ended that was not answered with ok: 1. */
void step_check_failure(const struct operation *operation, const char *name,
                        const struct result *result);
/* A stored document, which is busy from now on: one of the client's, or a new one. NULL: none could
 * be stored. */
struct written *step_take_stored(struct operation *operation);

/* (operation_change.c) update with $inc, and delete. */
void step_increment(struct operation *operation);
void step_delete(struct operation *operation);
/* The answer to an increment that counted `n` documents. */
void step_take_increment(const struct operation *operation, struct written *written,
                         const bson_t *reply, int64_t n, bool majority);

/* (operation_read.c) */
void step_find(struct operation *operation);
void step_cursor(struct operation *operation);
/* The documents of a reply's batch, one after another. False: none is left. `iter` is at none
 * before the first call, with `batch` "firstBatch" or "nextBatch". */
bool step_next_document(const bson_t *reply, const char *batch, bson_iter_t *iter, bool *started,
                        bson_t *out);

/* (operation_unacknowledged.c) */
void step_insert_unacknowledged(struct operation *operation);
/* (step_bulk.c) */
void step_bulk(struct operation *operation);
/* (step_transaction.c) */
void step_transaction(struct operation *operation);
/* (operation_stream.c) */
void step_change_stream(struct operation *operation);

#endif
