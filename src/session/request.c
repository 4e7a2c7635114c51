#include "session/request.h"

#include "wire/reply.h"

bool request_ends_transaction(enum command_name command)
{
    return command == COMMAND_COMMIT_TRANSACTION || command == COMMAND_ABORT_TRANSACTION;
}

uint32_t request_error_labels(const struct wire_command *request)
{
    /* The server may have applied a commit; a label that restarts the transaction would apply it
     * twice. Commit and abort are retryable writes instead. */
    if (request->in_transaction && !request_ends_transaction(request->known))
        return WIRE_LABEL_TRANSIENT_TRANSACTION;
    return request->number_kind != 0 ? WIRE_LABEL_RETRYABLE_WRITE : 0;
}
