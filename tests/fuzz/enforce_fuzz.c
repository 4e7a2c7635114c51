/* Any payload as a write command, any document as the server's reply to what goes in its place.
 * What goes is a message whose statements would all be let pass; answers and joined replies are
 * BSON where what they are made of is.
 * Input: a byte of settings (1: in a transaction, 2: in portions, 4: a limit of statements), four
 * of the payload's length, the payload, the reply. */
#include <stdlib.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "bson/validate.h"
#include "enforce/enforce.h"
#include "wire/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct registry *registry;
static struct schema_scratch *scratch;

static void require(bool holds)
{
    if (!holds)
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
    "{\"ns\":\"d.j\",\"dialect\":\"json-schema\",\"schema\":{\"type\":\"object\",\"required\":["
    "\"id\"],\"properties\":{\"id\":{\"type\":\"integer\"}}}}",
};

static void open_registry(void)
{
    registry = registry_new();
    scratch = schema_scratch_new();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct schema_file file;
        struct error err;
        require(schema_file_parse(files[i], strlen(files[i]), NULL, NULL, &file, &err));
        require(registry_put(registry, registry_entry_new(&file, REGISTRY_FILE, "fuzz")));
    }
}

/* Details hold values of the documents, which may be as deep as a document may be. */
static bool is_document(struct bytes document)
{
    struct error err = {0};
    return validate_document(document, &err) || err.code == ERROR_OVERFLOW;
}

static void on_refused(void *arg, const struct registry_entry *entry, bool warned,
                       const char *reason, struct bytes info)
{
    (void)arg;
    (void)warned;
    require(entry != NULL && strlen(reason) > 0 && strlen(reason) < REGISTRY_REASON_BYTES);
    require(bytes_left(&info) == 0 || is_document(info));
}

static bool read_command(struct bytes payload, struct enforce_command *command)
{
    struct scan scan;
    struct scan_element field;
    const char *text = NULL;
    size_t len = 0;
    command->payload = payload;
    command->payload_bytes = bytes_left(&payload);
    command->max_document_bytes = 4096;
    command->database = bytes_of("d", 1);
    if (!wire_sections_find_body(payload, &command->body, &command->flags, NULL) ||
        !scan_open(&scan, command->body) || !scan_next(&scan, &field))
        return false;
    command->name = field.name;
    command->name_len = field.name_len;
    if (scan_find(command->body, "$db", &field) && scan_as_string(&field, &text, &len))
        command->database = bytes_of(text, len);
    return true;
}

/* Nothing in the replaced message is refused once more. */
static void require_clean(const struct enforce_command *command, struct bytes payload)
{
    struct enforce_command again = {.in_transaction = command->in_transaction};
    struct enforce_result result;
    struct error err;
    require(read_command(payload, &again));
    require((again.flags & WIRE_FLAG_CHECKSUM_PRESENT) == 0);
    require(enforce_concerns(registry, &again));
    require(enforce_check(registry, scratch, &again, NULL, &result, &err));
    require(result.outcome == ENFORCE_FORWARD);
    enforce_result_release(&result);
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
        if (valid)
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

static bool take(void *arg, size_t bytes)
{
    (void)arg;
    taken += bytes;
    return true;
}

static void give_back(void *arg, size_t bytes)
{
    (void)arg;
    require(bytes <= taken);
    taken -= bytes;
}

/* In as many portions as there can be, between which the payload moves. */
static bool check_in_portions(const struct enforce_command *command,
                              const struct enforce_observer *observer,
                              struct enforce_result *result, struct error *err)
{
    struct check *check = NULL;
    uint8_t *kept = NULL;
    struct enforce_command moved = *command;
    enum enforce_progress progress = ENFORCE_PART;
    for (unsigned i = 0; progress == ENFORCE_PART; i++) {
        progress = enforce_go_on(&check, registry, scratch, &moved, observer, result, err);
        if (progress != ENFORCE_PART || i > 100)
            continue;
        size_t len = bytes_left(&command->payload);
        uint8_t *copy = memory_alloc(len);
        require(copy != NULL && read_command(command->payload, &moved));
        memcpy(copy, command->payload.pos, len);
        require(read_command(bytes_of(copy, len), &moved));
        moved.in_transaction = command->in_transaction;
        memory_free(kept);
        kept = copy;
    }
    memory_free(kept);
    require(check == NULL);
    return progress == ENFORCE_DONE;
}

/* What is held when a check is over is what the result holds. */
static void require_taken(const struct enforce_result *result)
{
    size_t held = result->block_bytes;
    if (result->splice != NULL)
        held += enforce_splice_bytes(result->splice);
    require(taken == held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct enforce_observer observer = {
        .refused = on_refused, .spent = is_spent, .take = take, .give_back = give_back};
    struct enforce_result result;
    struct error err = {0};
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
    struct enforce_command command = {.in_transaction = (data[0] & 1) != 0,
                                      .max_statements = (data[0] & 4) != 0 ? 3 : 0};
    if (!read_command(payload, &command))
        return 0;
    bool concerns = enforce_concerns(registry, &command);
    if (!concerns)
        return 0;
    taken = 0;
    bool ok = (data[0] & 2) != 0
                  ? check_in_portions(&command, &observer, &result, &err)
                  : enforce_check(registry, scratch, &command, &observer, &result, &err);
    if (!ok) {
        require(err.code != 0 && err.message[0] != 0 && taken == 0);
        return 0;
    }
    require_taken(&result);
    if (result.outcome == ENFORCE_ANSWER)
        require(is_document(result.reply));
    if (result.outcome == ENFORCE_REPLACE)
        require_clean(&command, result.payload);
    if (result.splice != NULL)
        splice(result.splice, reply);
    enforce_result_release(&result);
    return 0;
}
