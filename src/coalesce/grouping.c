#include "coalesce/grouping.h"

#include <stdio.h>
#include <string.h>

#include "bson/scan.h"
#include "bson/validate.h"
#include "wire/sections.h"

#define BAR(name) GROUPING_BAR_##name

/* The table: which field, what it means, which bar where that is broken. */
const struct grouping_row grouping_table[] = {
    {"$db", GROUPING_DATABASE, BAR(FIELD_FORM)},
    {"let", GROUPING_BARS_MERGING, BAR(LET)},
    {"lsid", GROUPING_SESSION, BAR(FIELD_FORM)},
    {"insert", GROUPING_COLLECTION, BAR(FIELD_FORM)},
    {"stmtId", GROUPING_BARS_MERGING, BAR(STATEMENT_IDS)},
    {"comment", GROUPING_EQUAL, BAR(FIELD_FORM)},
    {"ordered", GROUPING_ORDERED, BAR(ORDERED_MANY)},
    {"stmtIds", GROUPING_BARS_MERGING, BAR(STATEMENT_IDS)},
    {"apiStrict", GROUPING_EQUAL, BAR(FIELD_FORM)},
    {"documents", GROUPING_DOCUMENTS, BAR(SECTIONS)},
    {"maxTimeMS", GROUPING_BARS_MERGING, BAR(MAX_TIME)},
    {"txnNumber", GROUPING_NUMBER, BAR(FIELD_FORM)},
    {"apiVersion", GROUPING_EQUAL, BAR(FIELD_FORM)},
    {"autocommit", GROUPING_BARS_MERGING, BAR(TRANSACTION)},
    {"readConcern", GROUPING_BARS_MERGING, BAR(READ_CONCERN)},
    {"$clusterTime", GROUPING_CLUSTER_TIME, BAR(FIELD_FORM)},
    {"shardVersion", GROUPING_BARS_MERGING, BAR(SHARD_VERSION)},
    {"writeConcern", GROUPING_WRITE_CONCERN, BAR(UNACKNOWLEDGED)},
    {"$readPreference", GROUPING_PRIMARY, BAR(READ_PREFERENCE)},
    {"databaseVersion", GROUPING_BARS_MERGING, BAR(SHARD_VERSION)},
    {"startTransaction", GROUPING_BARS_MERGING, BAR(TRANSACTION)},
    {"apiDeprecationErrors", GROUPING_EQUAL, BAR(FIELD_FORM)},
    {"encryptionInformation", GROUPING_BARS_MERGING, BAR(ENCRYPTION)},
    {"bypassDocumentValidation", GROUPING_EQUAL, BAR(FIELD_FORM)},
};
const size_t grouping_rows = sizeof grouping_table / sizeof grouping_table[0];
enum { ROWS = sizeof grouping_table / sizeof grouping_table[0] };
_Static_assert(ROWS <= 32, "a bit for each row");

const char *grouping_bar_name(enum grouping_bar bar)
{
#define GROUPING_NAME(identifier, name) name,
    static const char *const names[] = {GROUPING_BARS(GROUPING_NAME)};
#undef GROUPING_NAME
    return names[bar];
}

/* While a command is read. */
struct reading {
    struct coalesce_insert *out;
    uint32_t seen; /* a bit for each row */
    struct bytes equal[ROWS];
    bool in_transaction;
    bool has_number; /* a good txnNumber */
};

/* The first bar stays. */
static void set_bar(struct coalesce_insert *out, enum grouping_bar bar)
{
    if (out->bar == GROUPING_BAR_NONE)
        out->bar = bar;
}

static int compare_names(const char *name, size_t len, const char *field)
{
    size_t field_len = strlen(field);
    if (len != field_len)
        return len < field_len ? -1 : 1;
    return memcmp(name, field, len);
}

static int find_row(const char *name, size_t len)
{
    int low = 0;
    int high = ROWS - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        int order = compare_names(name, len, grouping_table[middle].field);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return -1;
}

static bool read_text(const struct scan_element *element, struct bytes *out)
{
    const char *text = NULL;
    size_t len = 0;
    if (!scan_as_string(element, &text, &len) || len == 0 || memchr(text, 0, len) != NULL)
        return false;
    *out = bytes_of(text, len);
    return true;
}

/* {id: UUID} and nothing else: a session that a driver made. */
static bool read_lsid(const struct scan_element *element, const uint8_t **lsid)
{
    bool alone = false;
    const uint8_t *id = lsid_read(element, &alone);
    if (id == NULL || !alone)
        return false;
    *lsid = id;
    return true;
}

static bool is_cluster_time(const struct scan_element *element)
{
    struct scan_element time;
    return element->kind == BSON_KIND_OBJECT && scan_find(element->value, "clusterTime", &time) &&
           time.kind == BSON_KIND_TIMESTAMP;
}

static bool is_primary(const struct scan_element *element)
{
    struct scan scan;
    struct scan_element mode;
    struct bytes text;
    return element->kind == BSON_KIND_OBJECT && scan_open(&scan, element->value) &&
           scan_next(&scan, &mode) && scan_name_is(&mode, "mode") && read_text(&mode, &text) &&
           bytes_left(&text) == 7 && memcmp(text.pos, "primary", 7) == 0 &&
           bytes_left(&scan.rest) == 0;
}

static bool is_acknowledged(const struct scan_element *element)
{
    struct scan_element w;
    int64_t number = 0;
    return element->kind == BSON_KIND_OBJECT &&
           (!scan_find(element->value, "w", &w) || !scan_as_int64(&w, &number) || number != 0);
}

/* False when the field breaks its rule. */
static bool read_field(struct reading *reading, const struct grouping_row *row,
                       const struct scan_element *element)
{
    struct coalesce_insert *out = reading->out;
    switch (row->rule) {
    case GROUPING_EQUAL:
        return true;
    case GROUPING_COLLECTION:
        return read_text(element, &out->collection);
    case GROUPING_DATABASE:
        return read_text(element, &out->database);
    case GROUPING_WRITE_CONCERN:
        return is_acknowledged(element);
    case GROUPING_ORDERED:
        out->ordered = scan_is_true(element);
        return element->kind == BSON_KIND_BOOL;
    case GROUPING_DOCUMENTS:
        if (element->kind != BSON_KIND_ARRAY)
            return false;
        out->documents_in_body = true;
        out->documents = (struct bytes){element->value.pos + 4, element->value.end - 1};
        return true;
    case GROUPING_SESSION:
        return read_lsid(element, &out->lsid);
    case GROUPING_NUMBER:
        reading->has_number = element->kind == BSON_KIND_INT64 &&
                              scan_as_int64(element, &out->number) && out->number >= 0;
        return reading->has_number;
    case GROUPING_CLUSTER_TIME:
        return is_cluster_time(element);
    case GROUPING_PRIMARY:
        return is_primary(element);
    case GROUPING_BARS_MERGING:
        reading->in_transaction |= row->bar == GROUPING_BAR_TRANSACTION;
        break;
    }
    return false;
}

static bool must_be_equal(enum grouping_rule rule)
{
    return rule == GROUPING_EQUAL || rule == GROUPING_COLLECTION || rule == GROUPING_DATABASE ||
           rule == GROUPING_WRITE_CONCERN;
}

static void read_element(struct reading *reading, const struct scan_element *element)
{
    struct coalesce_insert *out = reading->out;
    int row = find_row(element->name, element->name_len);
    if (row < 0) {
        set_bar(out, GROUPING_BAR_UNKNOWN_FIELD);
        return;
    }
    uint32_t bit = (uint32_t)1 << row;
    if ((reading->seen & bit) != 0)
        set_bar(out, GROUPING_BAR_REPEATED_FIELD);
    reading->seen |= bit;
    if (!read_field(reading, &grouping_table[row], element))
        set_bar(out, grouping_table[row].bar);
    if (must_be_equal(grouping_table[row].rule))
        reading->equal[row] =
            (struct bytes){(const uint8_t *)element->name - 1, element->value.end};
}

/* The elements that must be equal, the command's name first: that is what makes it a command. */
static void order_equal(struct reading *reading)
{
    struct coalesce_insert *out = reading->out;
    size_t bytes = 0;
    for (int names = 1; names >= 0; names--) {
        for (size_t row = 0; row < ROWS; row++) {
            bool is_name = grouping_table[row].rule == GROUPING_COLLECTION;
            size_t len = bytes_left(&reading->equal[row]);
            if (len == 0 || is_name != (names == 1))
                continue;
            out->equal[out->equal_count++] = reading->equal[row];
            bytes += len;
        }
    }
    if (bytes > GROUPING_FIELDS_MAX_BYTES)
        set_bar(out, GROUPING_BAR_FIELD_FORM);
}

static bool is_name(const struct bytes *text, const char *name)
{
    return bytes_left(text) == strlen(name) && memcmp(text->pos, name, strlen(name)) == 0;
}

/* Writes there are special to servers: no oplog, no retryable writes, more than a document to it.
 */
static bool is_reserved(const struct coalesce_insert *insert)
{
    return is_name(&insert->database, "admin") || is_name(&insert->database, "config") ||
           is_name(&insert->database, "local") ||
           (bytes_left(&insert->collection) >= 7 &&
            memcmp(insert->collection.pos, "system.", 7) == 0);
}

/* The whole body. False when it is not one well-formed document. */
static bool read_body(struct reading *reading)
{
    struct coalesce_insert *out = reading->out;
    struct scan scan;
    struct scan_element element;
    if (!validate_document(out->body, NULL) || !scan_open(&scan, out->body))
        return false;
    while (scan_next(&scan, &element))
        read_element(reading, &element);
    out->numbered = out->lsid != NULL && reading->has_number && !reading->in_transaction;
    order_equal(reading);
    if (bytes_left(&out->database) == 0 || bytes_left(&out->collection) == 0 ||
        (reading->has_number && out->lsid == NULL))
        set_bar(out, GROUPING_BAR_FIELD_FORM);
    else if (is_reserved(out))
        set_bar(out, GROUPING_BAR_NAMESPACE);
    return true;
}

/* What stands beside the body: at most one list of documents. The sections were walked before, so
 * every size fits. */
static bool read_sections(struct coalesce_insert *out, uint32_t flags)
{
    struct bytes rest = out->payload;
    struct bytes section;
    const char *name = NULL;
    size_t name_len = 0;
    bool found = false;
    (void)bytes_skip(&rest, 4);
    if ((flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0)
        rest.end -= 4;
    while (bytes_left(&rest) > 0) {
        uint8_t kind = 0;
        if (!bytes_read_u8(&rest, &kind) || bytes_left(&rest) < 4 ||
            !bytes_take(&rest, bytes_load_u32(rest.pos), &section))
            return false;
        if (kind == 0)
            continue;
        if (found || out->documents_in_body || !bytes_skip(&section, 4) ||
            !bytes_read_cstring(&section, &name, &name_len) || name_len != 9 ||
            memcmp(name, "documents", 9) != 0)
            return false;
        out->documents = section;
        found = true;
    }
    return found || out->documents_in_body;
}

bool grouping_next_document(struct bytes *rest, bool in_body, uint32_t index,
                            struct bytes *document)
{
    struct bytes at = *rest;
    uint8_t kind = 0;
    const char *key = NULL;
    size_t key_len = 0;
    char expected[12];
    if (bytes_left(&at) == 0)
        return false;
    if (in_body) {
        int len = snprintf(expected, sizeof expected, "%u", index);
        if (!bytes_read_u8(&at, &kind) || kind != BSON_KIND_OBJECT ||
            !bytes_read_cstring(&at, &key, &key_len) || key_len != (size_t)len ||
            memcmp(key, expected, key_len) != 0)
            return false;
    }
    int32_t size = bytes_left(&at) < 4 ? 0 : bytes_load_i32(at.pos);
    if (size < 5 || !bytes_take(&at, (size_t)size, document))
        return false;
    *rest = at;
    return true;
}

/* Servers refuse these as an _id; some for the whole command. */
static bool has_plain_id(struct bytes document)
{
    struct scan_element id;
    return scan_find(document, "_id", &id) && id.kind != BSON_KIND_ARRAY &&
           id.kind != BSON_KIND_REGEX && id.kind != BSON_KIND_UNDEFINED;
}

static enum grouping_bar check_document(const struct coalesce_insert *insert, struct bytes document,
                                        const struct grouping_limits *limits)
{
    if (bytes_left(&document) > limits->max_document_bytes)
        return GROUPING_BAR_DOCUMENT_TOO_LARGE;
    if (!insert->documents_in_body && !validate_document(document, NULL)) /* else the body was */
        return GROUPING_BAR_DOCUMENT_MALFORMED;
    return has_plain_id(document) ? GROUPING_BAR_NONE : GROUPING_BAR_DOCUMENT_ID;
}

static void read_documents(struct coalesce_insert *out, const struct grouping_limits *limits)
{
    struct bytes rest = out->documents;
    struct bytes document;
    if (bytes_left(&rest) > limits->max_bytes)
        set_bar(out, GROUPING_BAR_LARGE);
    while (out->bar == GROUPING_BAR_NONE &&
           grouping_next_document(&rest, out->documents_in_body, out->document_count, &document)) {
        out->document_count++;
        out->document_bytes += bytes_left(&document);
        set_bar(out, check_document(out, document, limits));
        if (out->ordered && out->document_count > 1)
            set_bar(out, GROUPING_BAR_ORDERED_MANY);
        if (out->document_count > limits->max_docs)
            set_bar(out, GROUPING_BAR_LARGE);
    }
    if (out->bar == GROUPING_BAR_NONE && (bytes_left(&rest) > 0 || out->document_count == 0))
        set_bar(out, GROUPING_BAR_SECTIONS);
}

/* For retries: how many documents there are, also where merging is barred. */
static void count_documents(struct coalesce_insert *out)
{
    struct bytes rest = out->documents;
    struct bytes document;
    out->document_count = 0;
    out->document_bytes = 0;
    while (grouping_next_document(&rest, out->documents_in_body, out->document_count, &document)) {
        out->document_count++;
        out->document_bytes += bytes_left(&document);
    }
}

void grouping_classify(struct bytes payload, const struct grouping_limits *limits,
                       struct coalesce_insert *out)
{
    struct reading reading = {.out = out};
    uint32_t flags = 0;
    *out = (struct coalesce_insert){.payload = payload, .ordered = true};
    if (!wire_sections_find_body(payload, &out->body, &flags, NULL) || !read_body(&reading)) {
        set_bar(out, GROUPING_BAR_SECTIONS);
        return;
    }
    if ((flags & ~(uint32_t)WIRE_FLAG_CHECKSUM_PRESENT) != 0)
        set_bar(out, GROUPING_BAR_FLAGS);
    if ((flags & WIRE_FLAG_MORE_TO_COME) != 0)
        out->numbered = false; /* nobody waits for an answer, and nobody asks again */
    if (!read_sections(out, flags)) {
        set_bar(out, GROUPING_BAR_SECTIONS);
        out->numbered = false;
        return;
    }
    read_documents(out, limits);
    if (out->bar != GROUPING_BAR_NONE && out->numbered)
        count_documents(out);
}
