/* What the files of operations share. */
#ifndef SIMULATION_OPERATIONS_H
#define SIMULATION_OPERATIONS_H

#include "batch.h"

/* Runs a command that may be repeated as a read is, and checks how it failed. */
struct result operation_command(struct operation *operation, const char *name, const char *database,
                                bson_t *body);

#endif
