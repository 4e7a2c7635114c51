#include "support.h"

enum schema_verdict support_check(enum schema_dialect dialect, const char *schema,
                                  const char *document, struct error *err)
{
    bson_t *schema_bson = support_json(schema);
    bson_t *document_bson = support_json(document);
    struct schema *compiled = schema_compile(support_bytes(schema_bson), dialect, NULL, NULL, err);
    if (compiled == NULL)
        fail_msg("refused: %s: %s", schema, err->message);
    struct schema_scratch *scratch = schema_scratch_new();
    assert_non_null(scratch);
    enum schema_verdict verdict =
        schema_check(compiled, scratch, support_bytes(document_bson), err);
    schema_scratch_free(scratch);
    schema_free(compiled);
    bson_destroy(schema_bson);
    bson_destroy(document_bson);
    return verdict;
}

static void expect(enum schema_verdict wanted, enum schema_dialect dialect, const char *schema,
                   const char *document)
{
    struct error err = {0};
    enum schema_verdict verdict = support_check(dialect, schema, document, &err);
    if (verdict != wanted)
        fail_msg("verdict %d, not %d (%s): %s against %s", (int)verdict, (int)wanted, err.message,
                 document, schema);
}

void support_valid(enum schema_dialect dialect, const char *schema, const char *document)
{
    expect(SCHEMA_VALID, dialect, schema, document);
}

void support_invalid(enum schema_dialect dialect, const char *schema, const char *document)
{
    expect(SCHEMA_INVALID, dialect, schema, document);
}

void support_refused(enum schema_dialect dialect, const char *schema, int code)
{
    struct error err = {0};
    bson_t *bson = support_json(schema);
    struct schema *compiled = schema_compile(support_bytes(bson), dialect, NULL, NULL, &err);
    if (compiled != NULL)
        fail_msg("not refused: %s", schema);
    if (err.code != code)
        fail_msg("code %d (%s), not %d: %s", err.code, err.message, code, schema);
    bson_destroy(bson);
}
