/* Any payload as a write command, any document as the server's reply to the message that replaces
 * it. All statements of the replacing message would pass a check. A careless server could find no
 * invalid document in a replacing insert. Answers and joined replies are BSON if their parts are.
 * Input: a byte of settings (1: in a transaction, 2: in portions, 4: a limit of statements, 8: an
 * account of memory that is soon full, 16: the client leaves between two portions, 32: another
 * writer, whose counts are kept, 64: OP_QUERY), four of the payload's length, the payload, the
 * reply. Some inputs run once more while allocations fail. */
#include <stdlib.h>

#include "bson/scan.h"
#include "bson/validate.h"
#include "enforce/enforce.h"
#include "fail_memory.h"
#include "wire/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct registry *registry;
static struct schema_scratch *scratch;
static struct tally *tally;
static struct tally *second_tally; /* of another worker */

static bool without_memory; /* an allocation fails */

static void require(bool holds)
{
    if (!holds && !without_memory)
        abort();
}

static const char *const files[] = {
    "{\"ns\":\"d.c\",\"schema\":{\"required\":[\"a\"],\"properties\":{\"a\":{\"bsonType\":"
    "\"int\"},\"s\":{\"bsonType\":\"string\",\"pattern\":\"^x+y\"},\"t\":{\"bsonType\":\"array\","
    "\"uniqueItems\":true,\"items\":{\"bsonType\":\"string\"}},\"o\":{\"bsonType\":\"object\","
    "\"required\":[\"x\"]}}}}",
    "{\"ns\":\"d.r\",\"unproved\":\"reject\",\"allow_bypass\":false,\"schema\":{"
    "\"additionalProperties\":false,\"properties\":{\"_id\":{\"bsonType\":\"int\"},\"a\":{}}}}",
    "{\"ns\":\"d.m\",\"level\":\"moderate\",\"schema\":{\"required\":[\"a\"]}}",
    "{\"ns\":\"d.w\",\"action\":\"warn\",\"schema\":{\"required\":[\"a\"]}}",
    "{\"ns\":\"d.v\",\"unproved\":\"reject\",\"versions\":[{\"schema\":{\"required\":[\"a\"],"
    "\"properties\":{\"s\":{\"pattern\":\"^(x+)+y\"}}}},{\"schema\":{\"properties\":{\"a\":{"
    "\"bsonType\":\"int\"},\"_id\":{}},\"additionalProperties\":false}},{\"schema\":{},"
    "\"accepted_until\":{\"$date\":{\"$numberLong\":\"1\"}}}],\"candidate\":{\"schema\":{"
    "\"required\":["
    "\"b\"],\"properties\":{\"a\":{\"minimum\":1}}}}}",
    "{\"ns\":\"d.j\",\"dialect\":\"json-schema\",\"schema\":{\"type\":\"object\",\"required\":["
    "\"id\"],\"properties\":{\"id\":{\"type\":\"integer\"}}}}",
};

static void open_registry(void)
{
    registry = registry_new();
    scratch = schema_scratch_new();
    tally = tally_new();
    second_tally = tally_new();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct schema_file file;
        struct error err;
        require(schema_file_parse(files[i], strlen(files[i]), NULL, NULL, &file, &err));
        require(registry_put(registry, registry_entry_new(&file, REGISTRY_FILE, "fuzz")));
    }
}

/* Details hold values of the documents, which may be as deep as the depth limit of a document. */
static bool is_document(struct bytes document)
{
    struct error err = {0};
    return validate_document(document, &err) || err.code == ERROR_OVERFLOW;
}

static void on_refused(void *arg, const struct registry_entry *entry, bool warned, bool silent,
                       const char *reason, struct bytes info)
{
    (void)silent;
    (void)arg;
    (void)warned;
    require(entry != NULL && strlen(reason) > 0 && strlen(reason) < REGISTRY_REASON_BYTES);
    require(bytes_left(&info) == 0 || is_document(info));
}

static bool read_command(struct bytes payload, bool legacy, struct wire_command *parsed)
{
    if (legacy ? !wire_command_read_legacy(payload, bytes_of("d", 1), parsed, NULL)
               : !wire_command_read_whole(payload, parsed, NULL))
        return false;
    if (!parsed->has_database) {
        parsed->database = bytes_of("d", 1);
        parsed->database_unclear = false;
    }
    return true;
}

/* --- documents that a careless server would store of a passed insert: any document, at any place,
 * into any named collection, in any form --- */

static const struct registry_entry *named(const struct wire_command *command,
                                          const struct scan_element *name)
{
    char ns[64];
    bool text = name->kind == BSON_KIND_STRING || name->kind == BSON_KIND_SYMBOL ||
                name->kind == BSON_KIND_CODE;
    size_t database_len = bytes_left(&command->database);
    size_t len = text && bytes_left(&name->value) > 5 ? bytes_left(&name->value) - 5 : 0;
    if (len == 0 || database_len > 16 || len > 16)
        return NULL;
    memcpy(ns, command->database.pos, database_len);
    ns[database_len] = '.';
    memcpy(ns + database_len + 1, name->value.pos + 4, len);
    const struct registry_entry *entry = registry_find(registry, ns, database_len + 1 + len);
    struct scan_element bypass;
    bool asks = scan_find(command->body, "bypassDocumentValidation", &bypass);
    bool lenient = entry == NULL || entry->file.action == SCHEMA_ACTION_WARN ||
                   (entry->file.allow_bypass && asks);
    return lenient ? NULL : entry;
}

/* The server adds an _id to documents without one: those are left out. */
static void require_document(const struct registry_entry *entry, struct bytes document)
{
    struct scan_element id;
    struct error err;
    bool valid = !scan_find(document, "_id", &id);
    for (size_t i = 0; i < entry->file.version_count; i++)
        valid = valid || (entry->file.versions[i].accepted_until_ms == 0 &&
                          schema_check(entry->file.versions[i].schema, scratch, document, &err) ==
                              SCHEMA_VALID);
    require(valid);
}

static void require_body(const struct registry_entry *entry, struct bytes body)
{
    struct scan scan;
    struct scan documents;
    struct scan_element field;
    struct scan_element item;
    require(scan_open(&scan, body));
    while (scan_next(&scan, &field)) {
        bool list = field.kind == BSON_KIND_ARRAY || field.kind == BSON_KIND_OBJECT;
        if (!list || !scan_name_is(&field, "documents") || !scan_open(&documents, field.value))
            continue;
        while (scan_next(&documents, &item))
            if (item.kind == BSON_KIND_OBJECT)
                require_document(entry, item.value);
    }
}

static void require_sequences(const struct registry_entry *entry, struct bytes payload,
                              uint32_t flags)
{
    struct bytes rest = payload;
    rest.pos += 4;
    rest.end -= (flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0 ? 4 : 0;
    while (bytes_left(&rest) > 5) {
        bool sequence = *rest.pos++ == 1;
        struct bytes part = bytes_of(rest.pos, (size_t)bytes_load_i32(rest.pos));
        rest.pos = part.end;
        if (!sequence)
            continue;
        part.pos += 4;
        part.pos += strlen((const char *)part.pos) + 1;
        while (bytes_left(&part) >= 5) {
            struct bytes document = bytes_of(part.pos, (size_t)bytes_load_i32(part.pos));
            part.pos = document.end;
            require_document(entry, document);
        }
    }
}

static void require_kept(const struct wire_command *command)
{
    struct scan scan;
    struct scan_element field;
    if (command->known != COMMAND_INSERT || !scan_open(&scan, command->body))
        return;
    while (scan_next(&scan, &field)) {
        const struct registry_entry *entry =
            scan_name_is(&field, "insert") ? named(command, &field) : NULL;
        if (entry == NULL)
            continue;
        require_body(entry, command->body);
        require_sequences(entry, command->payload, command->flags);
    }
}

static int64_t wall_ms(void *arg)
{
    (void)arg;
    return 2;
}

static struct enforce_command command_of(struct wire_command *parsed)
{
    return (struct enforce_command){.parsed = parsed, .max_document_bytes = 4096};
}

/* The check refuses no statement of the replaced message once more. */
static void require_clean(const struct wire_command *command, struct bytes payload)
{
    struct wire_command parsed;
    struct enforce_result result;
    struct error err;
    if (!read_command(payload, false, &parsed))
        abort();
    parsed.in_transaction = command->in_transaction;
    struct enforce_command again = command_of(&parsed);
    require_kept(&parsed);
    require((parsed.flags & WIRE_FLAG_CHECKSUM_PRESENT) == 0);
    require(enforce_concerns(registry, &again));
    const struct enforce_observer observer = {.refused = on_refused, .wall_ms = wall_ms};
    require(enforce_check(registry, scratch, &again, &observer, &result, &err));
    require(result.outcome == ENFORCE_FORWARD);
    enforce_result_release(&result);
}

/* A list that is marked as validated holds only BSON. */
static void require_validated(const struct wire_command *command)
{
    for (size_t i = 0; i < command->list_count; i++) {
        const struct document_list *list = &command->lists[i];
        struct list_walk walk;
        struct bytes document;
        list_walk_open(&walk, list);
        while (list->validated && list_walk_next(&walk, &document))
            require(walk.kind != BSON_KIND_OBJECT || is_document(document));
        require(!list->validated || list_walk_is_whole(&walk));
    }
}

static void splice(struct enforce_splice *splice, struct bytes document)
{
    for (int i = 0; i < 2; i++) {
        struct build build;
        struct bytes reply;
        struct error err;
        bool valid = validate_document(document, &err);
        bool ok = enforce_splice_reply(splice, document, &build, &reply, &err);
        require(ok || !valid);
        if (ok && valid)
            require(is_document(reply));
        build_free(&build);
        if (enforce_splice_cursor(splice) == 0)
            return;
    }
}

static bool is_spent(void *arg)
{
    (void)arg;
    return true;
}

static size_t taken;
static size_t room;

static bool take(void *arg, size_t bytes)
{
    (void)arg;
    if (bytes > room - taken)
        return false;
    taken += bytes;
    return true;
}

static void give_back(void *arg, size_t bytes)
{
    (void)arg;
    if (bytes > taken)
        abort();
    taken -= bytes;
}

/* Checks in as many portions as possible, and moves the payload between them. */
static bool check_in_portions(const struct enforce_command *command,
                              const struct enforce_observer *observer, bool leaves,
                              struct enforce_result *result, struct error *err)
{
    struct check *check = NULL;
    uint8_t *kept = NULL;
    struct wire_command parsed = *command->parsed;
    struct enforce_command moved = *command;
    moved.parsed = &parsed;
    enum enforce_progress progress = ENFORCE_PART;
    for (unsigned i = 0; progress == ENFORCE_PART; i++) {
        progress = enforce_go_on(&check, registry, scratch, &moved, observer, result, err);
        if (progress != ENFORCE_PART || i > 100)
            continue;
        if (leaves) {
            enforce_check_free(check, observer);
            check = NULL;
            (void)error_set(err, ERROR_INTERNAL, "the client left");
            break;
        }
        size_t len = bytes_left(&parsed.payload);
        uint8_t *copy = malloc(len);
        if (copy == NULL)
            abort();
        memcpy(copy, parsed.payload.pos, len);
        wire_command_move(&parsed, bytes_of(copy, len));
        free(kept);
        kept = copy;
    }
    free(kept);
    if (check != NULL)
        abort();
    return progress == ENFORCE_DONE;
}

/* The counts of the candidate add up, alone and with those of another worker. Then it is forgotten,
 * unless its counts are kept. */
static void require_tally(bool keeps)
{
    struct tally_report report = {0};
    uint64_t counts[TALLY_COUNTS] = {0};
    const struct registry_entry *entry = registry_find(registry, "d.v", 3);
    tally_report_add(&report, tally, entry, &entry->file.candidate);
    tally_report_add(&report, second_tally, entry, &entry->file.candidate);
    tally_report_finish(&report);
    uint64_t refused = report.other;
    for (size_t i = 0; i < report.row_count; i++)
        refused += report.rows[i].count;
    require(refused == report.counts[TALLY_REFUSED] || report.no_memory);
    for (size_t i = 0; i < report.sample_count; i++)
        require(report.samples[i].info == NULL ||
                is_document(bytes_of(report.samples[i].info, report.samples[i].info_len)));
    tally_sum(tally, entry, &entry->file.candidate, counts);
    tally_sum(second_tally, entry, &entry->file.candidate, counts);
    require(memcmp(counts, report.counts, sizeof counts) == 0);
    tally_report_release(&report);
    tally_trim(second_tally, registry);
    if (keeps)
        return;
    tally_trim(tally, NULL);
    tally_trim(second_tally, NULL);
}

/* After a check only the result holds memory. */
static void require_taken(const struct enforce_result *result)
{
    size_t held = result->block_bytes;
    if (result->splice != NULL)
        held += enforce_splice_bytes(result->splice);
    require(taken == held);
}

static void check_result(const struct enforce_command *command, struct enforce_result *result,
                         struct bytes reply)
{
    if (!without_memory) {
        require_taken(result);
        require_validated(command->parsed);
        if (result->outcome == ENFORCE_FORWARD)
            require_kept(command->parsed);
        if (result->outcome == ENFORCE_ANSWER)
            require(is_document(result->reply));
        if (result->outcome == ENFORCE_REPLACE)
            require_clean(command->parsed, result->payload);
    }
    if (result->splice != NULL)
        splice(result->splice, reply);
    enforce_result_release(result);
}

static void run(uint8_t settings, struct bytes payload, struct bytes reply)
{
    static const struct tally_writer writers[] = {{"fuzz", "none"}, {"other", "driver \xff"}};
    bool other = (settings & 32) != 0;
    struct enforce_observer observer = {.refused = on_refused,
                                        .spent = is_spent,
                                        .take = take,
                                        .give_back = give_back,
                                        .wall_ms = wall_ms,
                                        .tally = other ? second_tally : tally,
                                        .writer = &writers[other]};
    struct enforce_result result;
    struct error err = {0};
    struct wire_command parsed;
    if (!read_command(payload, (settings & 64) != 0, &parsed))
        return;
    parsed.in_transaction = (settings & 1) != 0;
    struct enforce_command command = command_of(&parsed);
    command.max_statements = (settings & 4) != 0 ? 3 : 0;
    bool concerns = enforce_concerns(registry, &command);
    if (!concerns) {
        require_kept(&parsed);
        return;
    }
    taken = 0;
    room = (settings & 8) != 0 ? 100 : SIZE_MAX;
    bool ok = (settings & 2) != 0
                  ? check_in_portions(&command, &observer, (settings & 16) != 0, &result, &err)
                  : enforce_check(registry, scratch, &command, &observer, &result, &err);
    require_tally(other);
    if (ok)
        check_result(&command, &result, reply);
    else
        require(err.code != 0 && err.message[0] != 0 && taken == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (registry == NULL)
        open_registry();
    if (size < 5)
        return 0;
    struct bytes payload = bytes_of(data + 5, size - 5);
    struct bytes reply = payload;
    size_t len = bytes_load_u32(data + 1);
    len = len > size - 5 ? size - 5 : len;
    payload.end = payload.pos + len;
    reply.pos = payload.end;
    run(data[0], payload, reply);
    without_memory = fail_memory_for(data, size);
    if (without_memory)
        run(data[0], payload, reply);
    memory_fail_never();
    without_memory = false;
    return 0;
}
