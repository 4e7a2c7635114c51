/* Answers as MongoDB writes them: their fields and the order of these. */
#include <string.h>

#include "server/operation.h"

static bool is_current(const struct operation *operation)
{
    return operation->cluster->plan->server == PLAN_SERVER_CURRENT;
}

const char *code_name(const struct operation *operation, int code)
{
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {2, "BadValue"},
        {6, "HostUnreachable"},
        {9, "FailedToParse"},
        {11, "UserNotFound"},
        {13, "Unauthorized"},
        {14, "TypeMismatch"},
        {16, "InvalidLength"},
        {18, "AuthenticationFailed"},
        {20, "IllegalOperation"},
        {26, "NamespaceNotFound"},
        {43, "CursorNotFound"},
        {48, "NamespaceExists"},
        {50, "MaxTimeMSExpired"},
        {52, "DollarPrefixedFieldName"},
        {59, "CommandNotFound"},
        {64, "WriteConcernFailed"},
        {66, "ImmutableField"},
        {72, "InvalidOptions"},
        {73, "InvalidNamespace"},
        {112, "WriteConflict"},
        {117, "ConflictingOperationInProgress"},
        {121, "DocumentValidationFailure"},
        {125, "CommandFailed"},
        {133, "FailedToSatisfyReadPreference"},
        {189, "PrimarySteppedDown"},
        {204, "TimeProofMismatch"},
        {225, "TransactionTooOld"},
        {251, "NoSuchTransaction"},
        {256, "TransactionCommitted"},
        {280, "ChangeStreamFatalError"},
        {352, "UnsupportedOpQueryCommand"},
        {462, "IngressRequestRateLimitExceeded"},
        {11000, "DuplicateKey"},
        {14031, "OutOfDiskSpace"},
        {11602, "InterruptedDueToReplStateChange"},
        {13436, "NotPrimaryOrSecondary"},
    };
    bool current = is_current(operation);
    if (code == 100)
        return current ? "UnsatisfiableWriteConcern" : "CannotSatisfyWriteConcern";
    if (code == 10107)
        return "NotWritablePrimary";
    if (code == 13435)
        return "NotPrimaryNoSecondaryOk";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].code == code)
            return names[i].name;
    return NULL;
}

bool code_is_retryable(int code)
{
    static const int codes[] = {6,    7,     89,    91,    134,   189,  262,
                                9001, 10107, 11600, 11602, 13435, 13436};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == code)
            return true;
    return false;
}

static bool changes_topology(int code)
{
    return code == 189 || code == 10107 || code == 11600 || code == 11602 || code == 13435 ||
           code == 13436 || code == 91;
}

/* --- times --- */

void append_time(bson_t *out, const char *name, uint32_t seconds, uint32_t increment)
{
    bson_append_timestamp(out, name, -1, seconds, increment);
}

void append_op_time(bson_t *out, const char *name, const struct entry *entry)
{
    bson_t time;
    bson_append_document_begin(out, name, -1, &time);
    append_time(&time, "ts", entry == NULL ? 0 : entry->seconds,
                entry == NULL ? 0 : entry->increment);
    bson_append_int64(&time, "t", 1, entry == NULL ? -1 : entry->term);
    bson_append_document_end(out, &time);
}

void append_topology_version(const struct front *front, bson_t *out)
{
    bson_t version;
    bson_oid_t process;
    memcpy(process.bytes, front->process_id, sizeof process.bytes);
    bson_append_document_begin(out, "topologyVersion", -1, &version);
    bson_append_oid(&version, "processId", -1, &process);
    bson_append_int64(&version, "counter", -1, front->topology_counter);
    bson_append_document_end(out, &version);
}

/* Later terms have higher ids, as drivers expect. */
void append_election_id(const struct member *member, bson_t *out)
{
    bson_oid_t id = {{0x7f, 0xff, 0xff, 0xff}};
    for (int i = 0; i < 8; i++)
        id.bytes[11 - i] = (uint8_t)((uint64_t)member->term >> (8 * i));
    bson_append_oid(out, "electionId", -1, &id);
}

void cluster_sign(const struct cluster *cluster, uint32_t seconds, uint32_t increment,
                  uint8_t hash[20])
{
    uint64_t state = world_seed(cluster->world) ^ ((uint64_t)seconds << 32) ^ increment;
    for (int i = 0; i < 20; i++) {
        state = (state ^ (state >> 31)) * 0x9E3779B97F4A7C15U + 1;
        hash[i] = (uint8_t)(state >> 40);
    }
}

static void append_cluster_time(const struct operation *operation, bson_t *out)
{
    const struct cluster *cluster = operation->cluster;
    uint8_t hash[20] = {0};
    bson_t time;
    bson_t signature;
    bool has_users = cluster->plan->users > 0;
    if (has_users)
        cluster_sign(cluster, cluster->seconds, cluster->increment, hash);
    bson_append_document_begin(out, "$clusterTime", -1, &time);
    append_time(&time, "clusterTime", cluster->seconds, cluster->increment);
    bson_append_document_begin(&time, "signature", -1, &signature);
    bson_append_binary(&signature, "hash", -1, BSON_SUBTYPE_BINARY, hash, sizeof hash);
    bson_append_int64(&signature, "keyId", -1, has_users ? 7300000000000000001LL : 0);
    bson_append_document_end(&time, &signature);
    bson_append_document_end(out, &time);
}

static const struct entry *operation_time(const struct operation *operation)
{
    const struct member *member = operation->member;
    if (member == NULL)
        member = operation->front->member;
    if (member == NULL)
        member = cluster_primary(operation->cluster);
    return member == NULL ? NULL : member_last(member);
}

static void append_operation_time(const struct operation *operation, bson_t *out)
{
    const struct entry *last = operation_time(operation);
    if (last != NULL)
        append_time(out, "operationTime", last->seconds, last->increment);
}

void reply_times(const struct operation *operation, bson_t *out)
{
    if (!cluster_is_set(operation->cluster))
        return;
    append_cluster_time(operation, out);
    append_operation_time(operation, out);
}

/* --- labels --- */

static bool ends_transaction(const struct operation *operation)
{
    return operation->command != NULL && operation_ends_transaction(operation);
}

static bool is_transient(const struct operation *operation)
{
    if (!operation->in_transaction)
        return false;
    if (operation->code == 251)
        return operation->concern_code == 0;
    if (operation->code == 112 || operation->code == 24 || operation->code == 246)
        return true;
    return !ends_transaction(operation) && code_is_retryable(operation->code);
}

static bool is_retryable(const struct operation *operation)
{
    bool may = operation->command != NULL && operation->has_number &&
               (operation->command->flags & COMMAND_RETRYABLE) != 0 &&
               (!operation->in_transaction || ends_transaction(operation));
    return may &&
           (code_is_retryable(operation->code) || code_is_retryable(operation->concern_code));
}

static void append_labels(const struct operation *operation, bson_t *out)
{
    const char *labels[4];
    unsigned count = 0;
    bson_t list;
    if (is_transient(operation))
        labels[count++] = "TransientTransactionError";
    if (is_retryable(operation))
        labels[count++] = "RetryableWriteError";
    if (is_retryable(operation) && is_current(operation) && operation->code != 0 &&
        !operation->has_written && !ends_transaction(operation))
        labels[count++] = "NoWritesPerformed";
    if (operation->is_overloaded) {
        labels[count++] = "SystemOverloadedError";
        labels[count++] = "RetryableError";
    }
    if (count == 0)
        return;
    bson_append_array_begin(out, "errorLabels", -1, &list);
    for (unsigned i = 0; i < count; i++) {
        const char key[2] = {(char)('0' + i), 0};
        bson_append_utf8(&list, key, 1, labels[i], -1);
    }
    bson_append_array_end(out, &list);
}

/* --- the whole --- */

static void append_concern_info(const struct operation *operation, bson_t *error)
{
    bson_t info;
    bson_t concern;
    bson_append_document_begin(error, "errInfo", -1, &info);
    if (operation->concern_code == 64)
        bson_append_bool(&info, "wtimeout", -1, true);
    bson_append_document_begin(&info, "writeConcern", -1, &concern);
    if (operation->is_majority)
        bson_append_utf8(&concern, "w", 1, "majority", -1);
    else
        bson_append_int32(&concern, "w", 1,
                          operation->concern_members < 0 ? 1 : operation->concern_members);
    if (operation->is_journaled)
        bson_append_bool(&concern, "j", 1, true);
    bson_append_int32(&concern, "wtimeout", -1, (int32_t)operation->concern_timeout_ms);
    bson_append_utf8(&concern, "provenance", -1,
                     operation->has_concern ? "clientSupplied" : "implicitDefault", -1);
    bson_append_document_end(&info, &concern);
    bson_append_document_end(error, &info);
}

static void append_concern_error(const struct operation *operation, bson_t *out)
{
    bson_t error;
    if (operation->concern_code == 0)
        return;
    bson_append_document_begin(out, "writeConcernError", -1, &error);
    bson_append_int32(&error, "code", -1, operation->concern_code);
    bson_append_utf8(&error, "codeName", -1, code_name(operation, operation->concern_code), -1);
    bson_append_utf8(&error, "errmsg", -1, operation->concern_text, -1);
    append_concern_info(operation, &error);
    bson_append_document_end(out, &error);
}

static void append_topology(const struct operation *operation, bson_t *out)
{
    if (operation->front->member != NULL &&
        (changes_topology(operation->code) || changes_topology(operation->concern_code)))
        append_topology_version(operation->front, out);
}

static void finish_ok(const struct operation *operation, bson_t *out)
{
    append_concern_error(operation, out);
    if (operation->answers_set && cluster_is_set(operation->cluster)) {
        append_op_time(out, "opTime", member_last(operation->member));
        append_election_id(operation->member, out);
    }
    bson_append_double(out, "ok", 2, 1.0);
    append_labels(operation, out);
    append_topology(operation, out);
    reply_times(operation, out);
}

static void append_code(const struct operation *operation, bson_t *out)
{
    const char *name = code_name(operation, operation->code);
    char made[32];
    if (name == NULL) {
        (void)bson_snprintf(made, sizeof made, "Location%d", operation->code);
        name = made;
    }
    bson_append_double(out, "ok", 2, 0.0);
    bson_append_utf8(out, "errmsg", -1, operation->text, -1);
    bson_append_int32(out, "code", 4, operation->code);
    bson_append_utf8(out, "codeName", -1, name, -1);
    (void)bson_concat(out, &operation->extra);
}

static void finish_error(const struct operation *operation, bson_t *out)
{
    bool has_times = cluster_is_set(operation->cluster);
    append_labels(operation, out);
    append_topology(operation, out);
    if (has_times && !is_current(operation))
        append_operation_time(operation, out);
    append_concern_error(operation, out);
    append_code(operation, out);
    if (has_times)
        append_cluster_time(operation, out);
    if (has_times && is_current(operation))
        append_operation_time(operation, out);
}

void reply_finish(struct operation *operation, bson_t *out)
{
    if (operation->code != 0) {
        finish_error(operation, out);
        return;
    }
    (void)bson_concat(out, &operation->reply);
    finish_ok(operation, out);
}
