#include "merge/grouping.h"

#include <string.h>

#include "bson/build.h"
#include "bson/validate.h"

#define BAR(name) GROUPING_BAR_##name

/* Each field, its meaning, and the bar for a broken rule. */
const struct grouping_row grouping_table[FIELD_NAME_COUNT] = {
    [FIELD_DB] = {GROUPING_DATABASE, BAR(FIELD_FORM), 2},
    [FIELD_LET] = {GROUPING_BARS_MERGING, BAR(LET), 0},
    [FIELD_LSID] = {GROUPING_SESSION, BAR(FIELD_FORM), 0},
    [FIELD_INSERT] = {GROUPING_COLLECTION, BAR(FIELD_FORM), 1},
    [FIELD_STMT_ID] = {GROUPING_BARS_MERGING, BAR(STATEMENT_IDS), 0},
    [FIELD_COMMENT] = {GROUPING_COMMENT, BAR(FIELD_FORM), 3},
    [FIELD_ORDERED] = {GROUPING_ORDERED, BAR(ORDERED_MANY), 0},
    [FIELD_STMT_IDS] = {GROUPING_BARS_MERGING, BAR(STATEMENT_IDS), 0},
    [FIELD_API_STRICT] = {GROUPING_EQUAL, BAR(FIELD_FORM), 4},
    [FIELD_DOCUMENTS] = {GROUPING_DOCUMENTS, BAR(SECTIONS), 0},
    [FIELD_MAX_TIME_MS] = {GROUPING_BARS_MERGING, BAR(MAX_TIME), 0},
    [FIELD_TXN_NUMBER] = {GROUPING_NUMBER, BAR(FIELD_FORM), 0},
    [FIELD_API_VERSION] = {GROUPING_EQUAL, BAR(FIELD_FORM), 5},
    [FIELD_AUTOCOMMIT] = {GROUPING_BARS_MERGING, BAR(TRANSACTION), 0},
    [FIELD_READ_CONCERN] = {GROUPING_BARS_MERGING, BAR(READ_CONCERN), 0},
    [FIELD_CLUSTER_TIME] = {GROUPING_CLUSTER_TIME, BAR(FIELD_FORM), 0},
    [FIELD_SHARD_VERSION] = {GROUPING_BARS_MERGING, BAR(SHARD_VERSION), 0},
    [FIELD_WRITE_CONCERN] = {GROUPING_WRITE_CONCERN, BAR(UNACKNOWLEDGED), 6},
    [FIELD_READ_PREFERENCE] = {GROUPING_PRIMARY, BAR(READ_PREFERENCE), 0},
    [FIELD_DATABASE_VERSION] = {GROUPING_BARS_MERGING, BAR(SHARD_VERSION), 0},
    [FIELD_START_TRANSACTION] = {GROUPING_BARS_MERGING, BAR(TRANSACTION), 0},
    [FIELD_API_DEPRECATION_ERRORS] = {GROUPING_EQUAL, BAR(FIELD_FORM), 7},
    [FIELD_ENCRYPTION_INFORMATION] = {GROUPING_BARS_MERGING, BAR(ENCRYPTION), 0},
    [FIELD_BYPASS_DOCUMENT_VALIDATION] = {GROUPING_EQUAL, BAR(FIELD_FORM), 8},
};
_Static_assert(FIELD_NAME_COUNT <= 64, "a bit for each row");

const char *grouping_bar_name(enum grouping_bar bar)
{
#define GROUPING_NAME(identifier, name) name,
    static const char *const names[] = {GROUPING_BARS(GROUPING_NAME)};
#undef GROUPING_NAME
    return names[bar];
}

/* The state during the reading of a command. */
struct reading {
    struct merger_insert *out;
    enum grouping_comments ignored;
    uint64_t seen;                          /* a bit for each row */
    struct bytes equal[GROUPING_EQUAL_MAX]; /* by equal_place */
    bool in_transaction;
    bool has_session; /* a good lsid … */
    bool has_number;  /* … and txnNumber */
};

/* Keeps the first bar. */
static void set_bar(struct merger_insert *out, enum grouping_bar bar)
{
    if (out->bar == GROUPING_BAR_NONE)
        out->bar = bar;
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

/* False if the field breaks its rule. */
static bool read_field(struct reading *reading, const struct grouping_row *row,
                       const struct scan_element *element)
{
    struct merger_insert *out = reading->out;
    const struct wire_command *command = out->command;
    switch (row->rule) {
    case GROUPING_EQUAL:
    case GROUPING_COMMENT:
    case GROUPING_COLLECTION: /* these two: wire_command has them */
    case GROUPING_DATABASE:
        return true;
    case GROUPING_WRITE_CONCERN:
        return is_acknowledged(element);
    case GROUPING_ORDERED:
        out->ordered = scan_is_true(element);
        return element->kind == BSON_KIND_BOOL;
    case GROUPING_DOCUMENTS:
        if (element->kind != BSON_KIND_ARRAY)
            return false;
        out->documents = (struct document_list){.in_body = true, .content = element->value};
        return true;
    case GROUPING_SESSION: /* {id: UUID} and nothing else: a driver's session */
        reading->has_session = command->lsid != NULL && command->lsid_alone;
        return reading->has_session;
    case GROUPING_NUMBER:
        reading->has_number = command->number_kind == BSON_KIND_INT64 && command->number >= 0;
        return reading->has_number;
    case GROUPING_CLUSTER_TIME:
        return is_cluster_time(element);
    case GROUPING_PRIMARY:
        return is_primary(element);
    case GROUPING_UNKNOWN:
        break;
    case GROUPING_BARS_MERGING:
        reading->in_transaction |= row->bar == GROUPING_BAR_TRANSACTION;
        break;
    }
    return false;
}

/* True if the batch leaves the comment out. */
static bool is_ignored(const struct reading *reading, const struct scan_element *comment)
{
    struct trace_found found;
    if (reading->ignored == GROUPING_COMMENTS_NEVER)
        return false;
    trace_comment_read(comment, &found);
    if (!found.alone && reading->ignored != GROUPING_COMMENTS_ALWAYS)
        return false;
    reading->out->carrier = found.carrier;
    return true;
}

static void read_element(struct reading *reading, enum field_name known,
                         const struct scan_element *element)
{
    struct merger_insert *out = reading->out;
    const struct grouping_row *row = &grouping_table[known];
    if (row->rule == GROUPING_UNKNOWN) {
        set_bar(out, GROUPING_BAR_UNKNOWN_FIELD);
        return;
    }
    uint64_t bit = (uint64_t)1 << known;
    if ((reading->seen & bit) != 0)
        set_bar(out, GROUPING_BAR_REPEATED_FIELD);
    reading->seen |= bit;
    if (!read_field(reading, row, element))
        set_bar(out, row->bar);
    if (row->equal_place > 0 && (row->rule != GROUPING_COMMENT || !is_ignored(reading, element)))
        reading->equal[row->equal_place - 1] =
            (struct bytes){(const uint8_t *)element->name - 1, element->value.end};
}

/* Puts the elements that must be equal at their places. */
static void order_equal(struct reading *reading)
{
    struct merger_insert *out = reading->out;
    size_t bytes = 0;
    for (size_t i = 0; i < GROUPING_EQUAL_MAX; i++) {
        size_t len = bytes_left(&reading->equal[i]);
        if (len == 0)
            continue;
        out->equal[out->equal_count++] = reading->equal[i];
        bytes += len;
    }
    if (bytes > GROUPING_FIELDS_MAX_BYTES)
        set_bar(out, GROUPING_BAR_FIELD_FORM);
}

static bool is_name(const struct bytes *text, const char *name)
{
    return bytes_left(text) == strlen(name) && memcmp(text->pos, name, strlen(name)) == 0;
}

/* Servers treat writes there specially: no oplog, no retryable writes, other limits. */
static bool is_reserved(const struct wire_command *command)
{
    return is_name(&command->database, "admin") || is_name(&command->database, "config") ||
           is_name(&command->database, "local") ||
           (bytes_left(&command->collection) >= 7 &&
            memcmp(command->collection.pos, "system.", 7) == 0);
}

static bool has_namespace(const struct wire_command *command)
{
    const struct bytes *collection = &command->collection;
    return !command->database_unclear && bytes_left(collection) > 0 &&
           memchr(collection->pos, 0, bytes_left(collection)) == NULL;
}

/* The list of this field, if its documents are known to be BSON. */
static bool is_validated(const struct wire_command *command, const struct scan_element *element)
{
    for (size_t i = 0; i < command->list_count; i++)
        if (command->lists[i].in_body && command->lists[i].validated &&
            command->lists[i].content.pos == element->value.pos)
            return true;
    return false;
}

/* Makes the checks of validate_document for the body, field by field. */
static bool is_bson(const struct wire_command *command, const struct scan_element *element)
{
    struct validate_fault fault = {0};
    const uint8_t *end = element->value.end;
    return validate_skip_name((const uint8_t *)element->name, end, &fault) == element->value.pos &&
           (is_validated(command, element) ||
            validate_value(element->kind, element->value.pos, end, 1, &fault) == end);
}

/* Reads the whole body. False if it is not one well-formed document. */
static bool read_body(struct reading *reading)
{
    struct merger_insert *out = reading->out;
    const struct wire_command *command = out->command;
    struct wire_fields fields;
    struct scan_element element;
    wire_fields_open(&fields, command);
    while (wire_fields_next(&fields, &element)) {
        if (!is_bson(command, &element))
            return false;
        read_element(reading, fields.known, &element);
    }
    out->numbered = reading->has_session && reading->has_number && !reading->in_transaction;
    order_equal(reading);
    if (!has_namespace(command) || (reading->has_number && !reading->has_session))
        set_bar(out, GROUPING_BAR_FIELD_FORM);
    else if (is_reserved(command))
        set_bar(out, GROUPING_BAR_NAMESPACE);
    return true;
}

/* Finds the lists beside the body: at most one list of documents. */
static bool find_documents(struct merger_insert *out)
{
    const struct wire_command *command = out->command;
    for (size_t i = 0; i < command->list_count && !command->lists[i].in_body; i++) {
        const struct document_list *list = &command->lists[i];
        if (out->documents.content.pos != NULL || list->name_len != 9 ||
            memcmp(list->name, "documents", 9) != 0)
            return false;
        out->documents = *list;
    }
    return out->documents.content.pos != NULL && !command->lists_left_out;
}

/* --- documents --- */

/* True if the last item is a document with the key of its array index. */
static bool is_document(const struct list_walk *walk, uint32_t index)
{
    char key[BUILD_KEY_BYTES];
    if (!walk->in_body)
        return true;
    size_t len = build_key(index, key);
    return walk->kind == BSON_KIND_OBJECT && walk->name_len == len &&
           memcmp(walk->name, key, len) == 0;
}

/* Servers refuse other values as an _id; some refuse the whole command. */
static bool has_plain_id(struct bytes document)
{
    struct scan_element id;
    return scan_find(document, "_id", &id) && id.kind != BSON_KIND_ARRAY &&
           id.kind != BSON_KIND_REGEX && id.kind != BSON_KIND_UNDEFINED;
}

static enum grouping_bar check_document(const struct document_list *list, struct bytes document,
                                        const struct grouping_limits *limits)
{
    if (bytes_left(&document) > limits->max_document_bytes)
        return GROUPING_BAR_DOCUMENT_TOO_LARGE;
    /* documents in the body were validated with it */
    if (!list->in_body && !list->validated && !validate_document(document, NULL))
        return GROUPING_BAR_DOCUMENT_MALFORMED;
    return has_plain_id(document) ? GROUPING_BAR_NONE : GROUPING_BAR_DOCUMENT_ID;
}

static void read_documents(struct merger_insert *out, const struct grouping_limits *limits)
{
    enum { ARRAY_BYTES = 5 }; /* the length and the terminator */
    struct list_walk walk;
    struct bytes document;
    size_t most = limits->max_bytes + (out->documents.in_body ? ARRAY_BYTES : 0);
    if (bytes_left(&out->documents.content) > most)
        set_bar(out, GROUPING_BAR_LARGE);
    list_walk_open(&walk, &out->documents);
    while (out->bar == GROUPING_BAR_NONE && list_walk_next(&walk, &document)) {
        if (!is_document(&walk, out->document_count)) {
            set_bar(out, GROUPING_BAR_SECTIONS);
            return;
        }
        out->document_count++;
        out->document_bytes += bytes_left(&document);
        set_bar(out, check_document(&out->documents, document, limits));
        if (out->ordered && out->document_count > 1)
            set_bar(out, GROUPING_BAR_ORDERED_MANY);
        if (out->document_count > limits->max_docs)
            set_bar(out, GROUPING_BAR_LARGE);
    }
    if (!list_walk_is_whole(&walk) || out->document_count == 0)
        set_bar(out, GROUPING_BAR_SECTIONS);
}

/* For retries: counts the documents even if merging is forbidden. */
static void count_documents(struct merger_insert *out)
{
    struct list_walk walk;
    struct bytes document;
    out->document_count = 0;
    out->document_bytes = 0;
    list_walk_open(&walk, &out->documents);
    while (list_walk_next(&walk, &document) && is_document(&walk, out->document_count)) {
        out->document_count++;
        out->document_bytes += bytes_left(&document);
    }
}

void grouping_classify(const struct wire_command *command, const struct grouping_limits *limits,
                       struct merger_insert *out)
{
    struct reading reading = {.out = out, .ignored = limits->ignored};
    struct trace_found section;
    *out = (struct merger_insert){.command = command, .ordered = true};
    if (!read_body(&reading)) {
        set_bar(out, GROUPING_BAR_SECTIONS);
        return;
    }
    trace_section_read(command->telemetry, &section);
    if (section.carrier != TRACE_CARRIER_NONE)
        out->carrier = section.carrier;
    if ((command->flags & ~(uint32_t)WIRE_FLAG_CHECKSUM_PRESENT) != 0)
        set_bar(out, GROUPING_BAR_FLAGS);
    if ((command->flags & WIRE_FLAG_MORE_TO_COME) != 0)
        out->numbered = false; /* the client waits for no answer and does not retry */
    if (!find_documents(out)) {
        set_bar(out, GROUPING_BAR_SECTIONS);
        out->numbered = false;
        return;
    }
    read_documents(out, limits);
    if (out->bar != GROUPING_BAR_NONE && out->numbered)
        count_documents(out);
}
