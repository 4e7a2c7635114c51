/* The flat program against the slow reference, the evaluator of rules that also writes errInfo: the
 * same schema and document, generated from any bytes, get the same verdict. errInfo is BSON. A
 * proof about setting or removing a field holds after the change. Broken BSON is found whatever the
 * schema says of the fields before it. */
#include "schema_generate.h"

#include "bson/scan.h"
#include "bson/validate.h"
#include "fail_memory.h"
#include "schema/explain.h"
#include "schema/prove.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const struct schema *schema, struct schema_scratch *scratch,
                    struct bytes document)
{
    struct error err = {0};
    struct explain x = {.schema = schema, .scratch = scratch, .work = SCHEMA_WORK_MAX};
    struct explain_value whole = {BSON_KIND_OBJECT, true, document};
    enum schema_verdict verdict = schema_check(schema, scratch, document, &err);
    bool satisfied = explain_satisfies(&x, schema->document, &whole);
    if (verdict == SCHEMA_MALFORMED)
        abort();
    if (verdict == SCHEMA_CUT_OFF || x.cut_off || x.work == 0)
        return;
    if (satisfied != (verdict == SCHEMA_VALID)) {
        (void)fprintf(stderr, "program: %d, rules: %d\n", (int)verdict, (int)satisfied);
        abort();
    }
    if (verdict == SCHEMA_VALID)
        return;
    struct build build;
    struct bytes info;
    if (!schema_explain(schema, scratch, document, &build, &info, &err))
        abort();
    /* Deeper than a document may be: the nesting of the value and that of the schema add up. */
    if (!validate_document(info, &err) && err.code != ERROR_OVERFLOW)
        abort();
    build_free(&build);
}

/* The document with the field set (value->kind is not 0) or removed, in `out`. */
static struct bytes change(struct bytes document, const struct scan_element *value,
                           struct build *out)
{
    struct scan scan;
    struct scan_element field;
    struct bytes changed = {0};
    bool found = false;
    build_begin(out, 1 << 20);
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field)) {
        if (!scan_name_is(&field, value->name))
            build_value(out, field.name, field.kind, field.value);
        else if (value->kind != BSON_KIND_EOD && !found)
            build_value(out, field.name, value->kind, value->value);
        found = found || scan_name_is(&field, value->name);
    }
    if (!found && value->kind != BSON_KIND_EOD)
        build_value(out, value->name, value->kind, value->value);
    if (!build_finish(out, &changed))
        abort();
    return changed;
}

static void check_proof(const struct schema *schema, struct schema_scratch *scratch,
                        struct bytes document, const struct scan_element *value)
{
    struct build out;
    struct error err = {0};
    enum schema_proof proof =
        value->kind == BSON_KIND_EOD
            ? schema_prove_unset(schema, value->name)
            : schema_prove_set(schema, scratch, value->name, value->kind, value->value);
    enum schema_verdict before = schema_check(schema, scratch, document, &err);
    enum schema_verdict after = schema_check(schema, scratch, change(document, value, &out), &err);
    build_free(&out);
    if ((proof == SCHEMA_PROOF_WRONG && after == SCHEMA_VALID) ||
        (proof == SCHEMA_PROOF_RIGHT && before == SCHEMA_VALID && after == SCHEMA_INVALID)) {
        (void)fprintf(stderr, "proof %d, before %d, after %d: %s\n", (int)proof, (int)before,
                      (int)after, value->name);
        abort();
    }
}

/* Removes each field of the document, and sets it to the values of the others. */
static void prove(const struct schema *schema, struct schema_scratch *scratch,
                  struct bytes document)
{
    struct scan scan;
    struct scan_element field;
    struct scan_element first;
    (void)scan_open(&scan, document);
    if (!scan_next(&scan, &first))
        return;
    while (scan_next(&scan, &field)) {
        struct scan_element gone = {.kind = BSON_KIND_EOD, .name = field.name};
        struct scan_element set = {first.kind, field.name, field.name_len, first.value};
        check_proof(schema, scratch, document, &gone);
        check_proof(schema, scratch, document, &set);
    }
}

/* The document with one byte changed, in memory of exactly its size. */
static void check_broken(const struct schema *schema, struct schema_scratch *scratch,
                         struct bytes document, size_t place, uint8_t byte)
{
    struct error err = {0};
    size_t len = bytes_left(&document);
    uint8_t *copy = malloc(len);
    if (copy == NULL)
        return;
    memcpy(copy, document.pos, len);
    copy[place % len] = byte;
    bool whole = validate_document(bytes_of(copy, len), &err);
    enum schema_verdict verdict = schema_check(schema, scratch, bytes_of(copy, len), &err);
    if (whole == (verdict == SCHEMA_MALFORMED)) {
        (void)fprintf(stderr, "BSON: %d, verdict: %d\n", (int)whole, (int)verdict);
        abort();
    }
    free(copy);
}

/* The same steps while allocations fail: none may crash. */
static void run_without_memory(const struct schema *schema, struct bytes document)
{
    struct error err = {0};
    struct build build;
    struct bytes info;
    struct schema_scratch *scratch = schema_scratch_new();
    if (scratch != NULL && schema_check(schema, scratch, document, &err) == SCHEMA_INVALID) {
        (void)schema_explain(schema, scratch, document, &build, &info, &err);
        build_free(&build);
    }
    schema_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream in = {data, data + size};
    struct build schema_build;
    struct build document_build;
    struct bytes schema_bson;
    struct bytes document;
    struct error err = {0};
    if (size < 8)
        return 0;
    static const enum schema_dialect dialects[] = {SCHEMA_MONGODB, SCHEMA_JSON_SCHEMA,
                                                   SCHEMA_MONGODB_EXTENDED, SCHEMA_JSON_SCHEMA};
    enum schema_dialect dialect = dialects[*in.pos++ % 4];
    build_begin(&schema_build, 1 << 20);
    build_begin(&document_build, 1 << 20);
    generate_schema(&in, &schema_build, dialect);
    generate_document(&in, &document_build);
    struct schema *schema = NULL;
    static struct schema_scratch *scratch; /* for all inputs */
    if (scratch == NULL)
        scratch = schema_scratch_new();
    if (scratch != NULL && build_finish(&schema_build, &schema_bson) &&
        build_finish(&document_build, &document))
        schema = schema_compile(schema_bson, dialect, NULL, NULL, &err);
    for (int i = 0; schema != NULL && i < 4; i++) {
        compare(schema, scratch, document);
        prove(schema, scratch, document);
        if (fail_memory_for(data, size - (size_t)i))
            run_without_memory(schema, document);
        memory_fail_never();
        for (size_t n = 1; n <= 8; n++)
            check_broken(schema, scratch, document, (size_t)data[n % size] * n * 7,
                         data[(n + (size_t)i * 8) % size]);
        build_free(&document_build);
        build_begin(&document_build, 1 << 20);
        generate_document(&in, &document_build);
        if (!build_finish(&document_build, &document))
            break;
    }
    schema_free(schema);
    build_free(&schema_build);
    build_free(&document_build);
    return 0;
}
