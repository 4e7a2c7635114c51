/* Any bytes as a document of the registry: it is read, or refused with an error. A read document
 * stays the same when it is written and read again, makes a schema file or an error, and accepts
 * every change. A made file is for the document's own namespace. */
#include "fail_memory.h"
#include "fleet/fleet_change.h"
#include "fleet/fleet_render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool without_memory; /* an allocation fails */

static void check(bool holds)
{
    if (!holds && !without_memory)
        abort();
}

static void check_file(const struct fleet_document *document)
{
    struct error err = {0};
    struct schema_file file;
    struct text text = text_growing();
    if (fleet_render(document, &text, &err)) {
        bool read = schema_file_parse(text.data, text.len, NULL, NULL, &file, &err);
        check(read);
        if (read) {
            check(strcmp(file.ns, document->ns) == 0);
            check(file.version_count == document->state.accepted_count);
            schema_file_release(&file);
        }
    } else {
        check(err.code != 0 && err.message[0] != 0);
    }
    text_release(&text);
}

/* Each version alone, as a file of its own; its schema is found in it again. */
static void check_versions(const struct fleet_document *document)
{
    for (size_t i = 0; i < document->version_count; i++) {
        const struct fleet_version *version = &document->versions[i];
        struct error err = {0};
        struct text text = text_growing();
        const char *start = NULL;
        size_t len = 0;
        char number[16];
        (void)snprintf(number, sizeof number, "%d", version->number);
        check(fleet_version_find(document, version->number) != NULL);
        check(fleet_version_named(document, number, &err) != NULL);
        if (version->name != NULL)
            (void)fleet_version_named(document, version->name, &err);
        (void)fleet_version_named(document, "0", &err);
        (void)fleet_find_schema_text(version->text, strlen(version->text), &start, &len);
        if (fleet_render_version(document, version, &text, &err)) {
            check(fleet_find_schema_text(text.data, text.len, &start, &len));
            check(start >= text.data && start + len <= text.data + text.len && *start == '{');
        }
        text_release(&text);
    }
}

static struct fleet_document *read_again(struct fleet_reader *reader,
                                         const struct fleet_document *document)
{
    bson_t bson;
    struct error err;
    struct fleet_document *again = NULL;
    if (fleet_document_write(document, &bson, &err)) {
        bool read =
            fleet_document_read(reader, bytes_of(bson_get_data(&bson), bson.len), &again, &err);
        check(read);
        check(!read || (again->revision == document->revision &&
                        again->version_count == document->version_count &&
                        again->step_count == document->step_count &&
                        again->state.accepted_count == document->state.accepted_count &&
                        again->state.candidate == document->state.candidate));
    }
    bson_destroy(&bson);
    return again;
}

/* Pushes a schema: a known or a new one, under a name of the document or another, by the bits of
 * `how`. */
static enum fleet_outcome push(struct fleet_document *document, unsigned how,
                               const struct fleet_author *author, struct error *err)
{
    static const char *const names[] = {NULL, "two", "", "7", "v7", "candidate", "newest", "new"};
    static const char text[] = "{\"required\": [\"x\"]}";
    const struct fleet_version *known = &document->versions[document->version_count - 1];
    struct fleet_push push = {
        .text = text,
        .text_len = strlen(text),
        .hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .name = names[how / 8 % 8],
        .as_candidate = (how & 1) != 0,
        .retire_others = (how & 2) != 0,
        .until_ms = (how & 2) == 0 ? 2000000000000 : 0};
    if ((how & 4) != 0) {
        push.text = known->text;
        push.text_len = strlen(known->text);
        push.hash = known->hash;
        push.dialect = known->dialect;
    }
    return fleet_push(document, &push, author, err);
}

static void change(struct fleet_reader *reader, const struct fleet_document *document, unsigned how)
{
    static const struct fleet_author author = {.by = "a", .note = "b", .at_ms = 1000000000000};
    struct error err = {0};
    enum fleet_outcome outcome = FLEET_IMPOSSIBLE;
    if (without_memory)
        memory_fail_never();
    struct fleet_document *copy = fleet_document_copy(document);
    if (copy == NULL)
        abort();
    if (without_memory)
        memory_fail_after(1 + how % 7);
    switch (how) {
    case 0:
        outcome = fleet_promote(copy, "1", 0, false, &author, &err);
        break;
    case 1:
        outcome = fleet_promote(copy, "candidate", 2000000000000, true, &author, &err);
        break;
    case 2:
        outcome = fleet_rollback(copy, 0, &author, &err);
        break;
    case 3:
        outcome = fleet_retire(copy, "1", 2000000000000, &author, &err);
        break;
    case 4:
        outcome = fleet_retire_others(copy, &author, &err);
        break;
    case 5:
        outcome = fleet_retire_all(copy, &author, &err);
        break;
    case 6:
        outcome = fleet_rollback(copy, document->revision - 1, &author, &err);
        break;
    case 7:
        outcome = fleet_promote(copy, "newest", 0, true, &author, &err);
        break;
    default:
        outcome = push(copy, how - 8, &author, &err);
        break;
    }
    check(outcome != FLEET_IMPOSSIBLE || err.message[0] != 0);
    if (outcome == FLEET_CHANGED) {
        check(copy->revision == document->revision + 1);
        fleet_document_free(read_again(reader, copy));
        check_file(copy);
    }
    fleet_document_free(copy);
}

/* Many pushes, until versions and steps have to make room. */
static void push_many(struct fleet_reader *reader, const struct fleet_document *document)
{
    static const struct fleet_author author = {.by = "a", .note = "b", .at_ms = 1000000000000};
    struct error err = {0};
    struct fleet_document *copy = fleet_document_copy(document);
    for (unsigned i = 0; copy != NULL && i < 260; i++) {
        char hash[SCHEMA_HASH_SIZE];
        struct fleet_push push = {.text = "{}", .text_len = 2, .hash = hash, .until_ms = i % 3};
        (void)snprintf(hash, sizeof hash, "%064x", i);
        push.retire_others = i % 16 == 15;
        (void)fleet_push(copy, &push, &author, &err);
    }
    if (copy != NULL)
        fleet_document_free(read_again(reader, copy));
    fleet_document_free(copy);
}

static void run(struct fleet_reader *reader, const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct fleet_document *document = NULL;
    if (!fleet_document_read(reader, bytes_of(data, size), &document, &err)) {
        if (document != NULL || err.code == 0 || err.message[0] == 0)
            abort();
        return;
    }
    check(fleet_is_namespace(document->ns, strlen(document->ns)));
    fleet_document_free(read_again(reader, document));
    check_file(document);
    check_versions(document);
    for (unsigned how = 0; how < 8 + 64 && document->revision < INT64_MAX; how++)
        change(reader, document, how);
    if ((document->revision & 31) == 9)
        push_many(reader, document);
    fleet_document_free(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fleet_reader *reader;
    struct error err = {0};
    if (reader == NULL)
        reader = fleet_reader_new(&err);
    check(reader != NULL);
    run(reader, data, size);
    without_memory = fail_memory_for(data, size);
    if (without_memory) {
        run(reader, data, size);
        /* and with a document that was read before */
        memory_fail_never();
        run(reader, data, size);
        (void)fail_memory_for(data, size);
        fleet_reader_free(fleet_reader_new(&err));
    }
    memory_fail_never();
    without_memory = false;
    return 0;
}
