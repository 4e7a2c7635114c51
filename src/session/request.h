/* What a command is to its client: whether it ends a transaction, and what an error may say. Pure.
 */
#ifndef SLUICE_SESSION_REQUEST_H
#define SLUICE_SESSION_REQUEST_H

#include "wire/command.h"

/* Whether it commits or aborts a transaction. */
bool request_ends_transaction(enum command_name command);

/* The labels (enum wire_label) that an error of the proxy's own may carry in answer to it. */
uint32_t request_error_labels(const struct wire_command *request);

#endif
