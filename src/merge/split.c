#include "merge/split.h"

#include <stdlib.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "bson/validate.h"

/* Retryable codes of the drivers ("Retryable Writes" specification); servers before 4.4 send no
 * label. */
static const int64_t retryable_codes[] = {6,    7,     89,    91,    189,   262,
                                          9001, 10107, 11600, 11602, 13435, 13436};

/* Errors of the whole command that servers raise before any write: during parsing, authorization,
 * or the check of its session and times. Other codes may come from the middle of a command: from a
 * deadline, an operator, or a shard behind a router. This costs nothing, because the proxy asks for
 * the results of numbered inserts. Source: MongoDB's error codes. */
static const int64_t not_run_codes[] = {
    2,     /* BadValue */
    9,     /* FailedToParse */
    13,    /* Unauthorized */
    14,    /* TypeMismatch */
    16,    /* InvalidLength: too many documents, or none */
    18,    /* AuthenticationFailed */
    20,    /* IllegalOperation: txnNumber at a standalone server */
    22,    /* InvalidBSON */
    59,    /* CommandNotFound */
    72,    /* InvalidOptions */
    73,    /* InvalidNamespace */
    115,   /* CommandNotSupported */
    166,   /* CommandNotSupportedOnView */
    204,   /* TimeProofMismatch: $clusterTime */
    205,   /* ClusterTimeFailsRateLimiter */
    206,   /* NoSuchSession */
    210,   /* CannotVerifyAndSignLogicalTime */
    211,   /* KeyNotFound: $clusterTime */
    214,   /* AuthenticationRestrictionUnmet */
    223,   /* IllegalOpMsgFlag */
    225,   /* TransactionTooOld */
    233,   /* TooManyDocumentSequences */
    261,   /* TooManyLogicalSessions */
    322,   /* APIVersionError */
    323,   /* APIStrictError */
    324,   /* APIDeprecationError */
    391,   /* ReauthenticationRequired */
    40413, /* IDL: duplicate field */
    40414, /* IDL: missing field */
    40415, /* IDL: unknown field */
};

static bool is_one_of(int64_t code, const int64_t *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (codes[i] == code)
            return true;
    return false;
}

static bool has_label(const struct scan_element *labels, const char *label)
{
    struct scan scan;
    struct scan_element each;
    const char *text = NULL;
    size_t len = 0;
    if (labels->kind != BSON_KIND_ARRAY || !scan_open(&scan, labels->value))
        return false;
    while (scan_next(&scan, &each))
        if (scan_as_string(&each, &text, &len) && len == strlen(label) &&
            memcmp(text, label, len) == 0)
            return true;
    return false;
}

static bool has_retry_label(const struct scan_element *labels)
{
    return has_label(labels, "RetryableWriteError");
}

/* True if a document with `code` and possibly `errorLabels` asks for a retry: the reply itself or
 * its writeConcernError. */
static bool asks_for_retry(struct bytes document)
{
    struct scan_element element;
    int64_t code = 0;
    if (scan_find(document, "errorLabels", &element) && has_retry_label(&element))
        return true;
    return scan_find(document, "code", &element) && scan_as_int64(&element, &code) &&
           is_one_of(code, retryable_codes, sizeof retryable_codes / sizeof retryable_codes[0]);
}

static bool malformed(struct error *err, const char *what)
{
    return error_set(err, ERROR_PROTOCOL, "the server's reply to an insert is inconsistent: %s",
                     what);
}

static int compare_errors(const void *a, const void *b)
{
    const struct split_error *x = a;
    const struct split_error *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static size_t count_elements(struct bytes array)
{
    struct scan scan;
    struct scan_element each;
    size_t count = 0;
    if (!scan_open(&scan, array))
        return 0;
    while (scan_next(&scan, &each))
        count++;
    return count;
}

static bool read_errors(struct split *split, struct bytes array, uint32_t documents,
                        struct error *err)
{
    struct scan scan;
    struct scan_element each;
    struct scan_element at;
    int64_t index = 0;
    size_t count = count_elements(array);
    if (count > documents)
        return malformed(err, "more writeErrors than documents");
    split->errors = memory_array(count, sizeof *split->errors);
    if (split->errors == NULL)
        return error_no_memory(err, "a reply");
    (void)scan_open(&scan, array);
    while (scan_next(&scan, &each)) {
        if (each.kind != BSON_KIND_OBJECT || !scan_find(each.value, "index", &at) ||
            !scan_as_int64(&at, &index) || index < 0 || index >= (int64_t)documents)
            return malformed(err, "a writeError without an index of a document");
        split->errors[split->error_count++] = (struct split_error){(uint32_t)index, each.value};
    }
    qsort(split->errors, split->error_count, sizeof *split->errors, compare_errors);
    for (size_t i = 1; i < split->error_count; i++)
        if (split->errors[i].index == split->errors[i - 1].index)
            return malformed(err, "two writeErrors of one document");
    return true;
}

static bool read_failure(struct split *split, struct error *err)
{
    struct scan_element code;
    struct scan_element labels;
    int64_t number = 0;
    if (!scan_find(split->reply, "code", &code) || !scan_as_int64(&code, &number))
        return malformed(err, "ok:0 without a code");
    bool has_labels = scan_find(split->reply, "errorLabels", &labels);
    /* the server refused the batch at its door; only clients that back off are in it */
    bool overloaded = has_labels && has_label(&labels, "SystemOverloadedError");
    split->kind = SPLIT_UNCERTAIN;
    split->alike = true;
    if (overloaded || asks_for_retry(split->reply))
        split->kind = SPLIT_RETRY;
    else if (is_one_of(number, not_run_codes, sizeof not_run_codes / sizeof not_run_codes[0]))
        split->kind = SPLIT_NOT_RUN;
    split->claims_nothing = split->kind == SPLIT_NOT_RUN || overloaded ||
                            (has_labels && has_label(&labels, "NoWritesPerformed"));
    return true;
}

static bool read_success(struct split *split, uint32_t documents, struct error *err)
{
    struct scan_element element;
    struct scan_element n;
    int64_t count = 0;
    if (scan_find(split->reply, "writeErrors", &element)) {
        if (element.kind != BSON_KIND_ARRAY)
            return malformed(err, "writeErrors is not an array");
        if (!read_errors(split, element.value, documents, err))
            return false;
    }
    if (!scan_find(split->reply, "n", &n) || !scan_as_int64(&n, &count))
        return malformed(err, "ok:1 without n");
    if (count < 0 || (uint64_t)count + split->error_count != documents)
        return malformed(err, "n and writeErrors do not add up to the documents");
    bool retry = scan_find(split->reply, "errorLabels", &element) && has_retry_label(&element);
    if (scan_find(split->reply, "writeConcernError", &element) && element.kind == BSON_KIND_OBJECT)
        retry = retry || asks_for_retry(element.value);
    split->kind = retry ? SPLIT_RETRY : SPLIT_DONE;
    split->alike = split->error_count == 0 && !scan_find(split->reply, "retriedStmtIds", &element);
    return true;
}

bool split_read(struct split *split, struct bytes reply, uint32_t documents, struct error *err)
{
    struct scan_element ok;
    *split = (struct split){.reply = reply, .kind = SPLIT_DONE};
    if (!validate_document(reply, err))
        return false;
    if (!scan_find(reply, "ok", &ok))
        return malformed(err, "no field ok");
    split->ok = scan_is_true(&ok);
    return split->ok ? read_success(split, documents, err) : read_failure(split, err);
}

void split_release(struct split *split)
{
    memory_free(split->errors);
    split->errors = NULL;
}

/* The start of the errors of the documents from `first` on. */
static size_t find_errors(const struct split *split, uint32_t first)
{
    size_t low = 0;
    size_t high = split->error_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (split->errors[middle].index < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Writes a number in the server's type. */
static void write_number(struct build *out, const char *name, uint8_t kind, uint32_t value)
{
    double real = value;
    uint8_t bytes[sizeof real];
    if (kind == BSON_KIND_INT32) {
        build_int32(out, name, (int32_t)value);
    } else if (kind == BSON_KIND_INT64) {
        build_int64(out, name, value);
    } else {
        memcpy(bytes, &real, sizeof real);
        build_value(out, name, kind, bytes_of(bytes, sizeof bytes));
    }
}

static void write_error(struct build *out, const struct split_error *error, uint32_t first)
{
    struct scan scan;
    struct scan_element each;
    build_open_object(out, NULL);
    (void)scan_open(&scan, error->fields);
    while (scan_next(&scan, &each)) {
        if (scan_name_is(&each, "index"))
            write_number(out, "index", each.kind, error->index - first);
        else
            build_value(out, each.name, each.kind, each.value);
    }
    build_close(out);
}

struct part {
    uint32_t first;
    uint32_t count;
    uint32_t first_statement;
    size_t error_first;
    size_t error_count;
};

static void write_errors(const struct split *split, const struct part *part, struct build *out)
{
    if (part->error_count == 0)
        return;
    build_open_array(out, "writeErrors");
    for (size_t i = 0; i < part->error_count; i++)
        write_error(out, &split->errors[part->error_first + i], part->first);
    build_close(out);
}

static bool is_own_statement(const struct part *part, const struct scan_element *element,
                             uint32_t *own)
{
    int64_t id = 0;
    if (!scan_as_int64(element, &id) || id < (int64_t)part->first_statement ||
        id - (int64_t)part->first_statement >= (int64_t)part->count)
        return false;
    *own = (uint32_t)(id - (int64_t)part->first_statement);
    return true;
}

static void write_statements(const struct scan_element *ids, const struct part *part,
                             struct build *out)
{
    struct scan scan;
    struct scan_element each;
    uint32_t own = 0;
    bool any = false;
    if (ids->kind != BSON_KIND_ARRAY || !scan_open(&scan, ids->value))
        return;
    while (scan_next(&scan, &each)) {
        if (!is_own_statement(part, &each, &own))
            continue;
        if (!any)
            build_open_array(out, ids->name);
        any = true;
        write_number(out, NULL, each.kind, own);
    }
    if (any)
        build_close(out);
}

bool split_write(const struct split *split, uint32_t first, uint32_t count,
                 uint32_t first_statement, struct build *out, struct bytes *document)
{
    struct scan scan;
    struct scan_element each;
    struct part part = {first, count, first_statement, find_errors(split, first), 0};
    part.error_count = find_errors(split, first + count) - part.error_first;
    build_begin(out, SIZE_MAX);
    (void)scan_open(&scan, split->reply);
    while (scan_next(&scan, &each)) {
        if (split->ok && scan_name_is(&each, "n"))
            write_number(out, "n", each.kind, count - (uint32_t)part.error_count);
        else if (split->ok && scan_name_is(&each, "writeErrors"))
            write_errors(split, &part, out);
        else if (split->ok && scan_name_is(&each, "retriedStmtIds"))
            write_statements(&each, &part, out);
        else
            build_value(out, each.name, each.kind, each.value);
    }
    return build_finish(out, document);
}

/* --- joining ---------------------------------------------------------------------------------- */

static bool next_reply(struct bytes *rest, struct bytes *reply)
{
    return bytes_left(rest) > 0 && bytes_take(rest, bytes_load_u32(rest->pos), reply);
}

/* True if the field is a non-empty array; *first is then its first element. */
static bool find_first(struct bytes reply, const char *name, struct scan_element *first)
{
    struct scan scan;
    struct scan_element array;
    return scan_find(reply, name, &array) && array.kind == BSON_KIND_ARRAY &&
           scan_open(&scan, array.value) && scan_next(&scan, first);
}

static void write_joined_errors(struct bytes replies, struct build *out)
{
    struct bytes reply;
    struct scan_element first;
    bool any = false;
    for (uint32_t i = 0; next_reply(&replies, &reply); i++) {
        if (!find_first(reply, "writeErrors", &first))
            continue;
        if (!any)
            build_open_array(out, "writeErrors");
        any = true;
        write_error(out, &(struct split_error){i, first.value}, 0);
    }
    if (any)
        build_close(out);
}

static void write_joined_statements(struct bytes replies, struct build *out)
{
    struct bytes reply;
    struct scan_element first;
    bool any = false;
    for (uint32_t i = 0; next_reply(&replies, &reply); i++) {
        if (!find_first(reply, "retriedStmtIds", &first))
            continue;
        if (!any)
            build_open_array(out, "retriedStmtIds");
        any = true;
        write_number(out, NULL, first.kind, i);
    }
    if (any)
        build_close(out);
}

/* True for fields that are written once, and not at their place in the last reply. */
static bool is_joined(const struct scan_element *field)
{
    return scan_name_is(field, "n") || scan_name_is(field, "writeErrors") ||
           scan_name_is(field, "retriedStmtIds") || scan_name_is(field, "writeConcernError") ||
           scan_name_is(field, "errorLabels");
}

bool split_join(struct bytes replies, struct build *out, struct bytes *document)
{
    struct scan scan;
    struct scan_element each;
    struct scan_element n;
    struct bytes last = {0};
    struct bytes concern = {0};
    struct bytes rest = replies;
    uint32_t stored = 0;
    while (next_reply(&rest, &last)) {
        stored += !find_first(last, "writeErrors", &each);
        if (scan_find(last, "writeConcernError", &each))
            concern = last;
    }
    if (bytes_left(&concern) == 0)
        concern = last;
    build_begin(out, SIZE_MAX);
    (void)scan_find(last, "n", &n);
    write_number(out, "n", n.kind, stored);
    write_joined_errors(replies, out);
    if (scan_find(concern, "writeConcernError", &each))
        build_value(out, each.name, each.kind, each.value);
    if (scan_find(concern, "errorLabels", &each))
        build_value(out, each.name, each.kind, each.value);
    write_joined_statements(replies, out);
    (void)scan_open(&scan, last);
    while (scan_next(&scan, &each))
        if (!is_joined(&each))
            build_value(out, each.name, each.kind, each.value);
    return build_finish(out, document);
}
