/* Reads requests: OP_MSG with its sections, OP_QUERY, and the fields that all commands share. */
#include <stdio.h>
#include <string.h>

#include "server/operation.h"

enum { OPCODE_QUERY = 2004, OPCODE_MSG = 2013 };

static uint32_t read_u32(const uint8_t *at)
{
    uint32_t value = 0;
    memcpy(&value, at, sizeof value);
    return BSON_UINT32_FROM_LE(value);
}

/* The length of the document at `at`; 0 if it does not fit. */
static uint32_t document_len(const uint8_t *at, size_t left)
{
    uint32_t len = left < 5 ? 0 : read_u32(at);
    return len >= 5 && len <= left && at[len - 1] == 0 ? len : 0;
}

static bool take_body(struct operation *operation, const uint8_t *at, size_t left, size_t *taken)
{
    uint32_t len = document_len(at, left);
    *taken = len;
    return len > 0 && bson_init_static(&operation->body, at, len) &&
           bson_validate(&operation->body, BSON_VALIDATE_NONE, NULL);
}

static bool take_sequence(struct operation *operation, const uint8_t *at, size_t left,
                          size_t *taken)
{
    uint32_t len = left < 4 ? 0 : read_u32(at);
    if (len < 5 || len > left || operation->sequence_count == SERVER_SEQUENCES_MAX)
        return false;
    const uint8_t *end = memchr(at + 4, 0, len - 4);
    if (end == NULL)
        return false;
    size_t name_len = (size_t)(end - at) - 4;
    operation->sequences[operation->sequence_count++] =
        (struct sequence){(const char *)at + 4, at + 5 + name_len, len - 5 - name_len};
    *taken = len;
    const uint8_t *stop = at + len;
    for (const uint8_t *each = end + 1; each < stop;) {
        uint32_t one = document_len(each, (size_t)(stop - each));
        if (one == 0)
            return false;
        each += one;
    }
    return true;
}

static bool read_message(struct operation *operation)
{
    const uint8_t *at = operation->message + 20;
    const uint8_t *end = operation->message + operation->message_len;
    bool has_body = false;
    operation->flags = read_u32(operation->message + 16);
    if ((operation->flags & 0xFFFF & ~(uint32_t)(WIRE_CHECKSUM | WIRE_MORE_TO_COME)) != 0)
        return false;
    if (operation->flags & WIRE_CHECKSUM)
        end -= 4;
    while (at < end) {
        size_t taken = 0;
        uint8_t kind = *at++;
        size_t left = (size_t)(end - at);
        bool ok = kind == 0   ? !has_body && take_body(operation, at, left, &taken)
                  : kind == 1 ? take_sequence(operation, at, left, &taken)
                              : false;
        if (!ok)
            return false;
        has_body = has_body || kind == 0;
        at += taken;
    }
    return has_body && at == end;
}

static bool read_query(struct operation *operation)
{
    const uint8_t *at = operation->message + 20;
    const uint8_t *end = operation->message + operation->message_len;
    const uint8_t *stop = memchr(at, 0, (size_t)(end - at));
    size_t taken = 0;
    bson_iter_t query;
    operation->is_query = true;
    if (stop == NULL || end - stop < 9)
        return false;
    const char *dot = strchr((const char *)at, '.');
    if (dot == NULL || strcmp(dot, ".$cmd") != 0)
        return false;
    (void)snprintf(operation->database, sizeof operation->database, "%.*s",
                   (int)(dot - (const char *)at), (const char *)at);
    at = stop + 9;
    if (!take_body(operation, at, (size_t)(end - at), &taken) || at + taken != end)
        return false;
    if (bson_iter_init_find(&query, &operation->body, "$query") &&
        BSON_ITER_HOLDS_DOCUMENT(&query)) {
        uint32_t len = 0;
        const uint8_t *data = NULL;
        bson_iter_document(&query, &len, &data);
        return bson_init_static(&operation->body, data, len);
    }
    return true;
}

bool request_read(struct operation *operation)
{
    const uint8_t *message = operation->message;
    operation->request_id = (int32_t)read_u32(message + 4);
    switch (read_u32(message + 12)) {
    case OPCODE_MSG:
        return operation->message_len >= 26 && read_message(operation);
    case OPCODE_QUERY:
        return operation->message_len >= 34 && read_query(operation);
    default:
        return false; /* OP_COMPRESSED too: hello offers no compressor */
    }
}

/* --- shared fields --- */

static bool read_lsid(struct operation *operation, const bson_iter_t *iter)
{
    bson_iter_t child;
    bson_subtype_t subtype = BSON_SUBTYPE_BINARY;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &child) ||
        !bson_iter_find(&child, "id") || !BSON_ITER_HOLDS_BINARY(&child))
        return false;
    bson_iter_binary(&child, &subtype, &len, &data);
    if (len != 16 || subtype != BSON_SUBTYPE_UUID)
        return false;
    memcpy(operation->lsid, data, 16);
    operation->has_lsid = true;
    return true;
}

static bool read_write_concern(struct operation *operation, const bson_iter_t *iter)
{
    bson_iter_t child;
    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &child))
        return false;
    operation->has_concern = true;
    while (bson_iter_next(&child)) {
        const char *key = bson_iter_key(&child);
        if (strcmp(key, "w") == 0 && BSON_ITER_HOLDS_UTF8(&child)) {
            operation->is_majority = strcmp(bson_iter_utf8(&child, NULL), "majority") == 0;
        } else if (strcmp(key, "w") == 0) {
            operation->concern_members = (int)bson_iter_as_int64(&child);
            operation->is_majority = false;
        } else if (strcmp(key, "j") == 0) {
            operation->is_journaled = bson_iter_as_bool(&child);
        } else if (strcmp(key, "wtimeout") == 0) {
            operation->concern_timeout_ms = bson_iter_as_int64(&child);
        } else {
            return false;
        }
    }
    return true;
}

static bool read_read_concern(struct operation *operation, const bson_iter_t *iter)
{
    bson_iter_t child;
    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &child))
        return false;
    while (bson_iter_next(&child)) {
        const char *key = bson_iter_key(&child);
        if (strcmp(key, "afterClusterTime") == 0 && BSON_ITER_HOLDS_TIMESTAMP(&child))
            bson_iter_timestamp(&child, &operation->after_seconds, &operation->after_increment);
        else if (strcmp(key, "level") == 0 && BSON_ITER_HOLDS_UTF8(&child))
            operation->reads_committed = strcmp(bson_iter_utf8(&child, NULL), "majority") == 0 ||
                                         strcmp(bson_iter_utf8(&child, NULL), "linearizable") == 0;
        else
            return false;
    }
    return true;
}

static bool read_preference(struct operation *operation, const bson_iter_t *iter)
{
    bson_iter_t child;
    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &child) ||
        !bson_iter_find(&child, "mode") || !BSON_ITER_HOLDS_UTF8(&child))
        return false;
    operation->reads_secondaries = strcmp(bson_iter_utf8(&child, NULL), "primary") != 0;
    return true;
}

/* A cluster time that no server signed is refused, if there are users. */
static bool check_cluster_time(struct operation *operation, const bson_iter_t *iter)
{
    bson_iter_t time;
    bson_iter_t hash;
    uint32_t seconds = 0;
    uint32_t increment = 0;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    uint8_t expected[20];
    if (!BSON_ITER_HOLDS_DOCUMENT(iter) || !bson_iter_recurse(iter, &time) ||
        !bson_iter_find(&time, "clusterTime") || !BSON_ITER_HOLDS_TIMESTAMP(&time))
        return false;
    if (operation->cluster->plan->users == 0)
        return true;
    bson_iter_timestamp(&time, &seconds, &increment);
    if (!bson_iter_recurse(iter, &time) ||
        !bson_iter_find_descendant(&time, "signature.hash", &hash) ||
        !BSON_ITER_HOLDS_BINARY(&hash))
        return false;
    bson_iter_binary(&hash, NULL, &len, &data);
    cluster_sign(operation->cluster, seconds, increment, expected);
    return len == sizeof expected && memcmp(data, expected, sizeof expected) == 0;
}

enum reading { READING_OTHER, READING_OK, READING_BAD };

static enum reading reading(bool ok)
{
    return ok ? READING_OK : READING_BAD;
}

static enum reading read_shared(struct operation *operation, const bson_iter_t *iter,
                                const char *key)
{
    if (strcmp(key, "$db") == 0) {
        if (!BSON_ITER_HOLDS_UTF8(iter))
            return READING_BAD;
        (void)snprintf(operation->database, sizeof operation->database, "%s",
                       bson_iter_utf8(iter, NULL));
        return READING_OK;
    }
    if (strcmp(key, "lsid") == 0)
        return reading(read_lsid(operation, iter));
    if (strcmp(key, "txnNumber") == 0) {
        operation->number = bson_iter_as_int64(iter);
        operation->has_number = true;
        return reading(BSON_ITER_HOLDS_INT64(iter) && operation->number >= 0);
    }
    if (strcmp(key, "autocommit") == 0) {
        operation->in_transaction = true;
        return reading(BSON_ITER_HOLDS_BOOL(iter) && !bson_iter_bool(iter));
    }
    if (strcmp(key, "startTransaction") == 0) {
        operation->starts_transaction = true;
        return reading(BSON_ITER_HOLDS_BOOL(iter) && bson_iter_bool(iter));
    }
    if (strcmp(key, "maxTimeMS") == 0) {
        operation->max_time_ms = bson_iter_as_int64(iter);
        return reading(BSON_ITER_HOLDS_NUMBER(iter) && operation->max_time_ms >= 0);
    }
    if (strcmp(key, "writeConcern") == 0)
        return reading(read_write_concern(operation, iter));
    if (strcmp(key, "readConcern") == 0)
        return reading(read_read_concern(operation, iter));
    if (strcmp(key, "$readPreference") == 0)
        return reading(read_preference(operation, iter));
    if (strcmp(key, "$clusterTime") == 0)
        return reading(check_cluster_time(operation, iter));
    return strcmp(key, "comment") == 0 || strcmp(key, "apiVersion") == 0 ||
                   strcmp(key, "apiStrict") == 0 || strcmp(key, "apiDeprecationErrors") == 0
               ? READING_OK
               : READING_OTHER;
}

/* True if `name` is one of the words in `list`. */
static bool is_word_of(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += len)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
            return true;
    return false;
}

static bool is_repeated(const struct operation *operation, const char *key)
{
    bson_iter_t iter;
    unsigned count = 0;
    if (!bson_iter_init(&iter, &operation->body))
        return true;
    while (bson_iter_next(&iter))
        count += strcmp(bson_iter_key(&iter), key) == 0;
    for (unsigned i = 0; i < operation->sequence_count; i++)
        count += strcmp(operation->sequences[i].name, key) == 0;
    return count > 1;
}

static bool check_sequences(struct operation *operation)
{
    const char *fields = operation->command->fields;
    for (unsigned i = 0; i < operation->sequence_count; i++) {
        const char *name = operation->sequences[i].name;
        if (fields == NULL || !is_word_of(fields, name)) {
            (void)operation_fail(operation, 40415, "BSON field '%s.%s' is an unknown field.",
                                 operation->command->name, name);
            return false;
        }
        if (is_repeated(operation, name)) {
            (void)operation_fail(operation, 40433, "Duplicate field in command: %s", name);
            return false;
        }
    }
    return true;
}

bool request_read_fields(struct operation *operation)
{
    bson_iter_t iter;
    const char *fields = operation->command->fields;
    bool is_first = true;
    if (!bson_iter_init(&iter, &operation->body))
        return false;
    while (bson_iter_next(&iter)) {
        const char *key = bson_iter_key(&iter);
        enum reading result = is_first ? READING_OK : read_shared(operation, &iter, key);
        is_first = false;
        if (result == READING_BAD) {
            int code = strcmp(key, "$clusterTime") == 0 ? 204 : 14;
            (void)operation_fail(operation, code, "Invalid value of the field '%s.%s'",
                                 operation->command->name, key);
            return false;
        }
        if (result == READING_OTHER && fields != NULL && !is_word_of(fields, key)) {
            (void)operation_fail(operation, 40415, "BSON field '%s.%s' is an unknown field.",
                                 operation->command->name, key);
            return false;
        }
        if (is_repeated(operation, key)) {
            (void)operation_fail(operation, 40413, "BSON field '%s.%s' is a duplicate field",
                                 operation->command->name, key);
            return false;
        }
    }
    return check_sequences(operation);
}

/* --- fields of a command --- */

bool operation_field(const struct operation *operation, const char *field, bson_iter_t *out)
{
    return bson_iter_init_find(out, &operation->body, field);
}

int64_t operation_int(const struct operation *operation, const char *field, int64_t absent)
{
    bson_iter_t iter;
    bool found = operation_field(operation, field, &iter) && BSON_ITER_HOLDS_NUMBER(&iter);
    return found ? bson_iter_as_int64(&iter) : absent;
}

const struct sequence *operation_sequence(const struct operation *operation, const char *name)
{
    for (unsigned i = 0; i < operation->sequence_count; i++)
        if (strcmp(operation->sequences[i].name, name) == 0)
            return &operation->sequences[i];
    return NULL;
}

bool operation_namespace(struct operation *operation, char out[SERVER_NAMESPACE_BYTES])
{
    bson_iter_t iter;
    if (!bson_iter_init(&iter, &operation->body) || !bson_iter_next(&iter) ||
        !BSON_ITER_HOLDS_UTF8(&iter) || bson_iter_utf8(&iter, NULL)[0] == 0) {
        (void)operation_fail(operation, 73, "Invalid namespace");
        return false;
    }
    (void)snprintf(out, SERVER_NAMESPACE_BYTES, "%.35s.%.35s", operation->database,
                   bson_iter_utf8(&iter, NULL));
    return true;
}
