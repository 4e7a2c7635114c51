/* An error for users and drivers: a MongoDB error code, and a sentence that says what is wrong,
 * where, and what to do. A function with a `struct error *` parameter returns false if and only if
 * it sets the error. The codes are those of MongoDB's documentation ("Error Codes"). */
#ifndef SLUICE_BASE_ERROR_H
#define SLUICE_BASE_ERROR_H

#include <stdbool.h>

enum error_code {
    ERROR_NONE = 0,
    ERROR_INTERNAL = 1,
    ERROR_BAD_VALUE = 2,
    ERROR_HOST_UNREACHABLE = 6,
    ERROR_FAILED_TO_PARSE = 9,
    ERROR_TYPE_MISMATCH = 14,
    ERROR_OVERFLOW = 15,
    ERROR_INVALID_LENGTH = 16,
    ERROR_PROTOCOL = 17,
    ERROR_AUTHENTICATION_FAILED = 18,
    ERROR_INVALID_BSON = 22,
    ERROR_CURSOR_NOT_FOUND = 43,
    ERROR_COMMAND_NOT_FOUND = 59,
    ERROR_INVALID_OPTIONS = 72,
    ERROR_INVALID_NAMESPACE = 73,
    ERROR_SHUTDOWN_IN_PROGRESS = 91,
    ERROR_DOCUMENT_VALIDATION_FAILURE = 121,
    ERROR_EXCEEDED_MEMORY_LIMIT = 146,
    ERROR_OPTION_NOT_SUPPORTED_ON_VIEW = 167,
    ERROR_CLIENT_METADATA_CANNOT_BE_MUTATED = 186,
    ERROR_QUERY_FEATURE_NOT_ALLOWED = 224,
    ERROR_TRANSACTION_TOO_OLD = 225,
    ERROR_EXCEEDED_TIME_LIMIT = 262,
    ERROR_UNSUPPORTED_OP_QUERY_COMMAND = 352,
    ERROR_OVERLOADED = 462,
    ERROR_INVALID_REGEX = 51091,
    ERROR_LEGACY_OPCODE_REMOVED = 5739101
};

struct error {
    int code;
    char message[512];
};

/* Formats the message (cut to fit) and sets the code. Returns false, so callers can write `return
 * error_set(...)`. err may be NULL. */
bool error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ERROR_EXCEEDED_MEMORY_LIMIT and "out of memory for PURPOSE"; the purpose is formatted: "a
 * worker", "the value of option %s". Returns false. err may be NULL. */
bool error_no_memory(struct error *err, const char *purpose, ...)
    __attribute__((format(printf, 2, 3)));

/* MongoDB's name of the code ("HostUnreachable"), or "Location<code>" in `scratch`. */
const char *error_code_name(int code, char scratch[32]);

#endif
