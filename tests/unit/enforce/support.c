#include "support.h"

#include <stdio.h>

#include "base/memory.h"
#include "bson/scan.h"
#include "bson/validate.h"

struct registry_entry *support_entry(const char *text, enum registry_origin origin)
{
    struct schema_file file;
    struct error err = {0};
    if (!schema_file_parse(text, strlen(text), NULL, NULL, &file, &err))
        fail_msg("refused: %s: %s", text, err.message);
    struct registry_entry *entry = registry_entry_new(&file, origin, "test.json");
    assert_non_null(entry);
    return entry;
}

/* --- messages --- */

/* The block of `len` bytes has room for the next power of two. */
static void append(uint8_t **data, size_t *len, const void *more, size_t more_len)
{
    size_t room = 1;
    while (room <= *len)
        room *= 2;
    if (*data == NULL || *len + more_len >= room) {
        while (room <= *len + more_len)
            room *= 2;
        *data = memory_resize(*data, room);
        assert_non_null(*data);
    }
    memcpy(*data + *len, more, more_len);
    *len += more_len;
}

static void append_body(uint8_t **data, size_t *len, const char *json)
{
    bson_t *body = support_json(json);
    append(data, len, "", 1);
    append(data, len, bson_get_data(body), body->len);
    bson_destroy(body);
}

static void append_sequence(uint8_t **data, size_t *len, const char *name, const char *documents)
{
    struct scan scan;
    struct scan_element item;
    if (name == NULL)
        return;
    bson_t *array = support_json(documents);
    size_t start = *len;
    append(data, len, "\1....", 5);
    append(data, len, name, strlen(name) + 1);
    assert_true(scan_open(&scan, support_bytes(array)));
    while (scan_next(&scan, &item))
        append(data, len, item.value.pos, bytes_left(&item.value));
    bytes_store_i32(*data + start + 1, (int32_t)(*len - start - 1));
    bson_destroy(array);
}

uint8_t *support_payload(const struct support_message *message, size_t *len)
{
    uint8_t *data = NULL;
    uint8_t flags[4];
    *len = 0;
    bytes_store_i32(flags, (int32_t)message->flags);
    append(&data, len, flags, 4);
    if (!message->sequence_first)
        append_body(&data, len, message->body);
    append_sequence(&data, len, message->name, message->documents);
    append_sequence(&data, len, message->name_2, message->documents_2);
    if (message->sequence_first)
        append_body(&data, len, message->body);
    if ((message->flags & WIRE_FLAG_CHECKSUM_PRESENT) != 0)
        append(&data, len, "\xAA\xBB\xCC\xDD", 4);
    for (uint8_t *at = data; (at = memmem(at, *len - (size_t)(at - data), "?type", 6)) != NULL;)
        *at = '$';
    return memory_resize(data, *len); /* so that sanitizers see a read behind it */
}

/* --- fixtures --- */

static void on_refused(void *arg, const struct registry_entry *entry, bool warned, bool silent,
                       const char *reason, struct bytes info)
{
    (void)silent;
    struct fixture *f = arg;
    struct error err = {0};
    size_t len = strlen(f->told);
    f->info_len = bytes_left(&info);
    if (f->info_len > 0)
        assert_true(validate_document(info, &err));
    if (len < sizeof f->told - 1)
        (void)snprintf(f->told + len, sizeof f->told - len, "%s %s %s|", entry->file.ns,
                       warned ? "warned" : "refused", reason);
}

static uint64_t now_ns(void *arg)
{
    struct fixture *f = arg;
    return f->now += 7;
}

static int64_t wall_ms(void *arg)
{
    const struct fixture *f = arg;
    return f->wall_ms;
}

/* Every portion is as short as possible, at least at the start. */
static bool is_spent(void *arg)
{
    const struct fixture *f = arg;
    return f->portions < 100;
}

static bool take(void *arg, size_t bytes)
{
    struct fixture *f = arg;
    if (f->room > 0 && f->taken + bytes > f->room)
        return false;
    f->taken += bytes;
    return true;
}

static void give_back(void *arg, size_t bytes)
{
    struct fixture *f = arg;
    assert_true(bytes <= f->taken);
    f->taken -= bytes;
}

/* The bytes of a command that is checked in portions need not stay where they were. */
static uint8_t *moved(uint8_t *payload, size_t len)
{
    uint8_t *copy = memory_alloc(len);
    assert_non_null(copy);
    memcpy(copy, payload, len);
    memory_free(payload);
    return copy;
}

void fixture_forget(struct fixture *f)
{
    enforce_result_release(&f->result);
    f->taken = 0;
}

void fixture_open(struct fixture *f, const char *file)
{
    memset(f, 0, sizeof *f);
    f->writer = (struct tally_writer){"", ""};
    f->registry = registry_new();
    f->scratch = schema_scratch_new();
    assert_non_null(f->scratch);
    fixture_put(f, file);
}

void fixture_put(struct fixture *f, const char *file)
{
    assert_true(registry_put(f->registry, support_entry(file, REGISTRY_FILE)));
}

void fixture_close(struct fixture *f)
{
    enforce_result_release(&f->result);
    schema_scratch_free(f->scratch);
    registry_release(f->registry);
}

struct enforce_command support_command(const struct support_message *message, struct bytes payload,
                                       struct wire_command *parsed)
{
    struct error err = {0};
    if (!wire_command_read_whole(payload, parsed, &err))
        fail_msg("not parsed: %s", err.message);
    if (!parsed->has_database) {
        parsed->database = bytes_of("d", 1);
        parsed->database_unclear = false;
    }
    parsed->in_transaction = message->in_transaction;
    return (struct enforce_command){.parsed = parsed,
                                    .max_document_bytes = (size_t)16 * 1024 * 1024};
}

bool fixture_check(struct fixture *f, const struct support_message *message)
{
    size_t len = 0;
    uint8_t *payload = support_payload(message, &len);
    struct wire_command parsed;
    struct enforce_command command = support_command(message, bytes_of(payload, len), &parsed);
    struct enforce_observer observer = {.arg = f,
                                        .refused = on_refused,
                                        .now_ns = now_ns,
                                        .wall_ms = wall_ms,
                                        .tally = f->tally,
                                        .writer = &f->writer,
                                        .spent = is_spent,
                                        .take = take,
                                        .give_back = give_back};
    f->told[0] = 0;
    fixture_forget(f);
    bool concerns = enforce_concerns(f->registry, &command);
    struct check *check = NULL;
    enum enforce_progress progress = concerns ? ENFORCE_PART : ENFORCE_DONE;
    for (f->portions = 0; progress == ENFORCE_PART; f->portions++) {
        const char *name = parsed.name;
        wire_command_move(&parsed, bytes_of(payload, len));
        assert_true(f->portions == 0 || parsed.name != name);
        command.max_statements = f->max_statements;
        progress = enforce_go_on(&check, f->registry, f->scratch, &command, &observer, &f->result,
                                 &f->err);
        assert_int_equal(check != NULL, progress == ENFORCE_PART);
        payload = moved(payload, len);
        f->now += 1000;
    }
    memory_free(payload);
    bool ok = progress == ENFORCE_DONE;
    if (ok)
        assert_int_equal(f->result.outcome == ENFORCE_REPLACE ||
                             f->result.outcome == ENFORCE_ANSWER,
                         f->result.block != NULL);
    size_t held = ok ? f->result.block_bytes : 0;
    if (ok && f->result.splice != NULL)
        held += enforce_splice_bytes(f->result.splice);
    assert_int_equal(f->taken, held);
    return ok;
}

static void expect(struct fixture *f, const struct support_message *message,
                   enum enforce_outcome outcome)
{
    if (!fixture_check(f, message))
        fail_msg("failed: %s: %s", message->body, f->err.message);
    if (f->result.outcome != outcome)
        fail_msg("outcome %d, not %d: %s", (int)f->result.outcome, (int)outcome, message->body);
}

static void expect_document(struct bytes got, const char *json)
{
    bson_t *wanted = support_json(json);
    bson_t given;
    struct error err = {0};
    if (!validate_document(got, &err))
        fail_msg("malformed: %s", err.message);
    assert_true(bson_init_static(&given, got.pos, bytes_left(&got)));
    if (bson_compare(wanted, &given) != 0) {
        char *a = bson_as_relaxed_extended_json(wanted, NULL);
        char *b = bson_as_relaxed_extended_json(&given, NULL);
        fail_msg("\nwanted %s\ngot    %s", a, b);
    }
    bson_destroy(wanted);
}

void fixture_forwards(struct fixture *f, const struct support_message *message)
{
    expect(f, message, ENFORCE_FORWARD);
    assert_false(f->result.aborts_transaction);
}

void fixture_answers(struct fixture *f, const struct support_message *message, const char *reply)
{
    expect(f, message, ENFORCE_ANSWER);
    assert_int_equal(f->result.aborts_transaction, message->in_transaction);
    expect_document(f->result.reply, reply);
}

void fixture_replaces(struct fixture *f, const struct support_message *message,
                      const struct support_message *by)
{
    expect(f, message, ENFORCE_REPLACE);
    assert_int_equal(f->result.aborts_transaction, message->in_transaction);
    assert_int_equal(f->result.splice == NULL, (message->flags & WIRE_FLAG_MORE_TO_COME) != 0);
    size_t len = 0;
    uint8_t *wanted = support_payload(by, &len);
    assert_int_equal(bytes_left(&f->result.payload), len);
    assert_memory_equal(f->result.payload.pos, wanted, len);
    memory_free(wanted);
}

void fixture_drops(struct fixture *f, const struct support_message *message)
{
    expect(f, message, ENFORCE_DROP);
    assert_null(f->result.splice);
}

void fixture_fails(struct fixture *f, const struct support_message *message, int code)
{
    if (fixture_check(f, message))
        fail_msg("does not fail: %s", message->body);
    assert_int_equal(f->err.code, code);
    assert_true(f->err.message[0] != 0);
}

void fixture_splices(struct fixture *f, const char *server, const char *client)
{
    bson_t *document = support_json(server);
    struct build build;
    struct bytes reply;
    assert_non_null(f->result.splice);
    bool ok =
        enforce_splice_reply(f->result.splice, support_bytes(document), &build, &reply, &f->err);
    if (!ok)
        fail_msg("not spliced: %s: %s", server, f->err.message);
    expect_document(reply, client);
    build_free(&build);
    bson_destroy(document);
}

void fixture_counted(struct fixture *f, enum registry_count which, uint64_t n)
{
    assert_int_equal(registry_find(f->registry, "d.c", 3)->stats->counts[which], n);
}
