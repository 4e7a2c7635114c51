#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

bool error_set(struct error *err, int code, const char *format, ...)
{
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    err->code = code;
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return false;
}

bool error_no_memory(struct error *err, const char *purpose, ...)
{
    char text[sizeof err->message / 2];
    va_list args;
    va_start(args, purpose);
    (void)vsnprintf(text, sizeof text, purpose, args);
    va_end(args);
    return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "out of memory for %s", text);
}

const char *error_code_name(int code, char scratch[32])
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {ERROR_INTERNAL, "InternalError"},
        {ERROR_BAD_VALUE, "BadValue"},
        {ERROR_HOST_UNREACHABLE, "HostUnreachable"},
        {ERROR_FAILED_TO_PARSE, "FailedToParse"},
        {ERROR_TYPE_MISMATCH, "TypeMismatch"},
        {ERROR_OVERFLOW, "Overflow"},
        {ERROR_INVALID_LENGTH, "InvalidLength"},
        {ERROR_PROTOCOL, "ProtocolError"},
        {ERROR_AUTHENTICATION_FAILED, "AuthenticationFailed"},
        {ERROR_INVALID_BSON, "InvalidBSON"},
        {ERROR_CURSOR_NOT_FOUND, "CursorNotFound"},
        {ERROR_COMMAND_NOT_FOUND, "CommandNotFound"},
        {ERROR_INVALID_OPTIONS, "InvalidOptions"},
        {ERROR_INVALID_NAMESPACE, "InvalidNamespace"},
        {ERROR_SHUTDOWN_IN_PROGRESS, "ShutdownInProgress"},
        {ERROR_DOCUMENT_VALIDATION_FAILURE, "DocumentValidationFailure"},
        {ERROR_EXCEEDED_MEMORY_LIMIT, "ExceededMemoryLimit"},
        {ERROR_OPTION_NOT_SUPPORTED_ON_VIEW, "OptionNotSupportedOnView"},
        {ERROR_CLIENT_METADATA_CANNOT_BE_MUTATED, "ClientMetadataCannotBeMutated"},
        {ERROR_QUERY_FEATURE_NOT_ALLOWED, "QueryFeatureNotAllowed"},
        {ERROR_TRANSACTION_TOO_OLD, "TransactionTooOld"},
        {ERROR_EXCEEDED_TIME_LIMIT, "ExceededTimeLimit"},
        {ERROR_UNSUPPORTED_OP_QUERY_COMMAND, "UnsupportedOpQueryCommand"},
        {ERROR_OVERLOADED, "IngressRequestRateLimitExceeded"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].code == code)
            return names[i].name;
    (void)snprintf(scratch, 32, "Location%d", code);
    return scratch;
}
