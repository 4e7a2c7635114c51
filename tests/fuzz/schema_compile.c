/* Any bytes as a schema, in the dialect that the first byte chooses: it compiles or is refused with
 * an error, also without memory. A compiled schema can check and explain any documents, and its
 * source is the schema again.
 * Input: a byte for the dialect, the schema, then documents. */
#include "bson/scan.h"
#include "bson/validate.h"
#include "fail_memory.h"
#include "mongosluice/validator.h"
#include "schema/prove.h"
#include "schema/schema.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool without_memory; /* an allocation fails */

static void require(bool holds)
{
    if (!holds && !without_memory)
        abort();
}

/* A document that begins at in->pos; the rest follows it. */
static struct bytes take_document(struct bytes *in)
{
    struct bytes document = *in;
    size_t len = bytes_left(in) >= 4 ? bytes_load_u32(in->pos) : SIZE_MAX;
    if (!bytes_take(in, len, &document))
        in->pos = in->end;
    return document;
}

static void count(void *arg, const struct schema_problem *problem)
{
    require(problem->code != 0 && problem->message[0] != 0);
    ++*(unsigned *)arg;
}

/* Paths below the field. Nothing is known of them but that the proofs end. */
static void prove_inside(const struct schema *schema, struct schema_scratch *scratch,
                         const struct scan_element *field)
{
    static const char *const below[] = {".b", ".0", ".$[]", ".$", ".a.1.b", ".12345", "."};
    char path[64];
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        (void)snprintf(path, sizeof path, "%.40s%s", field->name, below[i]);
        (void)schema_prove_set(schema, scratch, path, field->kind, field->value);
        (void)schema_prove_unset(schema, path);
        require(schema_prove_type(schema, path, TYPES_NUMBER) != SCHEMA_PROOF_RIGHT);
    }
}

/* A field that an update can name is never proved wrong with its own value. */
static void prove(const struct schema *schema, struct schema_scratch *scratch,
                  struct bytes document, enum schema_verdict verdict)
{
    struct scan scan;
    struct scan_element field;
    (void)scan_open(&scan, document);
    for (int i = 0; i < 8 && scan_next(&scan, &field); i++) {
        struct scan_element only;
        bool nameable = strpbrk(field.name, ".$") == NULL && field.name_len > 0;
        if (nameable && scan_find_once(document, field.name, &only) && verdict == SCHEMA_VALID)
            require(schema_prove_set(schema, scratch, field.name, field.kind, field.value) !=
                    SCHEMA_PROOF_WRONG);
        (void)schema_prove_unset(schema, field.name);
        prove_inside(schema, scratch, &field);
    }
}

/* The same schema and document behind the library's own interface. */
static void check_library(const struct sluice_schema *schema, struct bytes document,
                          enum schema_verdict expected)
{
    struct sluice_error error = {0};
    struct scan_element field;
    struct scan scan;
    uint8_t *info = NULL;
    size_t len = bytes_left(&document);
    size_t info_len = 0;
    struct sluice_scratch *scratch = sluice_scratch_new();
    require(scratch != NULL);
    if (scratch == NULL)
        return;
    enum sluice_verdict verdict = sluice_schema_check(schema, scratch, document.pos, len, &error);
    require((int)verdict == (int)expected);
    require(verdict == SLUICE_VALID || error.code != 0);
    if (verdict == SLUICE_INVALID &&
        sluice_schema_explain(schema, scratch, document.pos, len, &info, &info_len, &error) == 0) {
        require(info_len >= 5);
        sluice_bytes_free(info);
    }
    if (scan_open(&scan, document) && scan_next(&scan, &field))
        (void)sluice_schema_check_field(schema, scratch, document.pos, len, field.name, &error);
    (void)sluice_schema_check_field(schema, scratch, document.pos, len, "none", &error);
    sluice_scratch_free(scratch);
}

static void check(const struct schema *schema, struct schema_scratch *scratch,
                  const struct sluice_schema *library, struct bytes document)
{
    struct error err = {0};
    struct build build;
    struct bytes info;
    struct schema_allowance allowance = schema_allowance_of(bytes_left(&document));
    schema_scratch_allow(scratch, &allowance);
    schema_scratch_begin(scratch);
    enum schema_verdict verdict = schema_check(schema, scratch, document, &err);
    bool whole = validate_document(document, &err);
    require(whole == (verdict != SCHEMA_MALFORMED));
    if (verdict == SCHEMA_INVALID) {
        require(!schema_explain(schema, scratch, document, &build, &info, &err) ||
                validate_document(info, &err) || err.code == ERROR_OVERFLOW);
        build_free(&build);
    }
    if (whole)
        prove(schema, scratch, document, verdict);
    schema_scratch_allow(scratch, NULL);
    if (verdict != SCHEMA_CUT_OFF && library != NULL)
        check_library(library, document, verdict);
}

static void run(enum schema_dialect dialect, struct bytes in)
{
    struct error err = {0};
    unsigned problems = 0;
    struct bytes whole = in;
    struct bytes bson = take_document(&in);
    struct schema *schema = schema_compile(bson, dialect, count, &problems, &err);
    require(schema == NULL || problems == 0);
    if (schema == NULL) {
        struct sluice_error error = {0};
        require(err.code != 0 && err.message[0] != 0);
        require(sluice_schema_compile(bson.pos, bytes_left(&bson), (enum sluice_dialect)dialect,
                                      &error) == NULL &&
                error.code == err.code);
        return;
    }
    struct bytes source = schema_source(schema);
    require(bytes_left(&source) == bytes_left(&bson) && schema_bytes(schema) > 0 &&
            memcmp(source.pos, bson.pos, bytes_left(&bson)) == 0);
    require(!schema_encrypts(schema) || dialect != SCHEMA_JSON_SCHEMA);
    require(!schema_is_extended(schema) || dialect == SCHEMA_MONGODB_EXTENDED);
    struct sluice_error error = {0};
    struct sluice_schema *library =
        sluice_schema_compile(bson.pos, bytes_left(&bson), (enum sluice_dialect)dialect, &error);
    require(library != NULL);
    if (library != NULL)
        require(sluice_schema_is_extended(library) == schema_is_extended(schema));
    struct schema_scratch *scratch = schema_scratch_new();
    require(scratch != NULL);
    for (int i = 0; scratch != NULL && i < 5; i++) {
        check(schema, scratch, library, take_document(&whole)); /* a schema is a document too */
        if (bytes_left(&whole) == 0)
            break;
    }
    schema_scratch_free(scratch);
    sluice_schema_free(library);
    schema_free(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum schema_dialect dialects[] = {SCHEMA_MONGODB, SCHEMA_JSON_SCHEMA,
                                                   SCHEMA_MONGODB_EXTENDED, SCHEMA_JSON_SCHEMA};
    if (size == 0)
        return 0;
    enum schema_dialect dialect = dialects[data[0] % 4];
    run(dialect, bytes_of(data + 1, size - 1));
    without_memory = fail_memory_for(data, size);
    if (without_memory)
        run(dialect, bytes_of(data + 1, size - 1));
    memory_fail_never();
    without_memory = false;
    return 0;
}
