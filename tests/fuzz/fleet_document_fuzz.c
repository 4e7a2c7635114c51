/* Any bytes as a document of the registry: it is read, or refused with an error. A read document
 * stays the same when it is written and read again, makes a schema file or an error, and accepts
 * every change. A made file is for the document's own namespace. */
#include "fleet/fleet_change.h"
#include "fleet/fleet_render.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_file(const struct fleet_document *document)
{
    struct error err = {0};
    struct schema_file file;
    struct text text = text_growing();
    if (fleet_render(document, &text, &err)) {
        check(schema_file_parse(text.data, text.len, NULL, NULL, &file, &err));
        check(strcmp(file.ns, document->ns) == 0);
        check(file.version_count == document->state.accepted_count);
        schema_file_release(&file);
    } else {
        check(err.code != 0 && err.message[0] != 0);
    }
    text_release(&text);
}

static struct fleet_document *read_again(struct fleet_reader *reader,
                                         const struct fleet_document *document)
{
    bson_t bson;
    struct error err;
    struct fleet_document *again = NULL;
    if (fleet_document_write(document, &bson, &err)) {
        check(fleet_document_read(reader, bytes_of(bson_get_data(&bson), bson.len), &again, &err));
        check(again->revision == document->revision &&
              again->version_count == document->version_count &&
              again->step_count == document->step_count &&
              again->state.accepted_count == document->state.accepted_count &&
              again->state.candidate == document->state.candidate);
    }
    bson_destroy(&bson);
    return again;
}

static void change(struct fleet_reader *reader, const struct fleet_document *document, unsigned how)
{
    static const struct fleet_author author = {.by = "a", .note = "b", .at_ms = 1000000000000};
    struct error err = {0};
    enum fleet_outcome outcome = FLEET_IMPOSSIBLE;
    struct fleet_document *copy = fleet_document_copy(document);
    check(copy != NULL);
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
    default:
        outcome = fleet_retire_all(copy, &author, &err);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fleet_reader *reader;
    struct error err = {0};
    struct fleet_document *document = NULL;
    if (reader == NULL)
        reader = fleet_reader_new(&err);
    check(reader != NULL);
    if (!fleet_document_read(reader, bytes_of(data, size), &document, &err)) {
        check(document == NULL && err.code != 0 && err.message[0] != 0);
        return 0;
    }
    check(fleet_is_namespace(document->ns, strlen(document->ns)));
    fleet_document_free(read_again(reader, document));
    check_file(document);
    for (unsigned how = 0; how < 6 && document->revision < INT64_MAX; how++)
        change(reader, document, how);
    fleet_document_free(document);
    return 0;
}
