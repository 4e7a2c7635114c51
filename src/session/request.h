/* Facts about a client's command: whether it ends a transaction, and the labels of an error. Pure.
 */
#ifndef SLUICE_SESSION_REQUEST_H
#define SLUICE_SESSION_REQUEST_H

#include "wire/command.h"
#include "wire/sections.h"

/* True if the client reads no reply to it. It would take one, an error included, for the answer to
 * its next request. */
static inline bool request_is_silent(const struct wire_command *request)
{
    return (request->flags & WIRE_FLAG_MORE_TO_COME) != 0;
}

/* True if it commits or aborts a transaction. */
bool request_ends_transaction(enum command_name command);

/* The labels (enum wire_label) that the proxy's error for it may carry. */
uint32_t request_error_labels(const struct wire_command *request);

#endif
