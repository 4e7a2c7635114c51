#include "session/request.h"

#include <string.h>

#include "bson/scan.h"
#include "wire/reply.h"

/* The last one counts, and it is known that there were others. */
static void read_database(struct request *request, const struct scan_element *element)
{
    const char *text = NULL;
    size_t len = 0;
    bool named = scan_as_string(element, &text, &len) && len > 0 && memchr(text, 0, len) == NULL;
    request->database_unclear = !named || request->has_database;
    request->has_database = true;
    if (text != NULL)
        request->database = bytes_of(text, len);
}

static void read_field(struct request *request, const struct scan_element *element)
{
    switch (element->name[0]) {
    case '$':
        if (scan_name_is(element, "$db"))
            read_database(request, element);
        break;
    case 'a':
        if (scan_name_is(element, "autocommit"))
            request->in_transaction = !scan_is_true(element);
        break;
    case 'l':
        if (scan_name_is(element, "lsid"))
            request->lsid = lsid_read(element, NULL);
        break;
    case 's':
        if (scan_name_is(element, "startTransaction"))
            request->starts_transaction = scan_is_true(element);
        break;
    case 't':
        if (scan_name_is(element, "txnNumber"))
            request->has_txn_number = true;
        break;
    default:
        break;
    }
}

/* No command has a hundred; those of five million take a tenth of a second to look at. */
enum { FIELDS_MAX = 65536 };

bool request_read(struct bytes body, uint32_t flags, struct request *out, struct error *err)
{
    struct scan scan;
    struct scan_element element;
    *out = (struct request){.body = body, .flags = flags, .name = "", .database = bytes_of("", 0)};
    bool whole = scan_open(&scan, body);
    if (whole && scan_next(&scan, &element)) {
        out->name = element.name;
        out->name_len = element.name_len;
        unsigned fields = 1;
        for (; scan_next(&scan, &element) && fields < FIELDS_MAX; fields++)
            read_field(out, &element);
        if (fields == FIELDS_MAX)
            return error_set(err, ERROR_FAILED_TO_PARSE,
                             "the command has more than %d fields at its top level; no command has "
                             "so many",
                             FIELDS_MAX);
    }
    out->database_unclear = out->database_unclear || !out->has_database;
    out->command = command_name_find(out->name, out->name_len);
    if (whole && !scan.broken)
        return true;
    return error_set(err, ERROR_INVALID_BSON, "the command's body is malformed BSON");
}

bool request_ends_transaction(enum command_name command)
{
    return command == COMMAND_COMMIT_TRANSACTION || command == COMMAND_ABORT_TRANSACTION;
}

uint32_t request_error_labels(const struct request *request)
{
    /* a commit may have been applied: the label that has a transaction run anew would have it done
     * twice. Commit and abort are retryable writes instead. */
    if (request->in_transaction && !request_ends_transaction(request->command))
        return WIRE_LABEL_TRANSIENT_TRANSACTION;
    return request->has_txn_number ? WIRE_LABEL_RETRYABLE_WRITE : 0;
}
