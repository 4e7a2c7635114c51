/* Facts about a client's command: whether it ends a transaction, and the labels of an error. Pure.
 */
#ifndef SLUICE_SESSION_REQUEST_H
#define SLUICE_SESSION_REQUEST_H

#include "wire/command.h"

/* True if it commits or aborts a transaction. */
bool request_ends_transaction(enum command_name command);

/* The labels (enum wire_label) that the proxy's error for it may carry. */
uint32_t request_error_labels(const struct wire_command *request);

#endif
