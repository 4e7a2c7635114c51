#include "schema/versions.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bson/number.h"
#include "bson/scan.h"

const char *const schema_dialect_names[] = {"mongodb", "json-schema", NULL};

static bool write_hash(struct bytes bson, char out[SCHEMA_HASH_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(bson.pos, bytes_left(&bson), digest, &len, EVP_sha256(), NULL) != 1)
        return false;
    for (size_t i = 0; i < len && 2 * i + 2 < SCHEMA_HASH_SIZE; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[SCHEMA_HASH_SIZE - 1] = 0;
    return true;
}

void schema_version_release(struct schema_version *version)
{
    memory_free(version->name);
    schema_free(version->schema);
    *version = (struct schema_version){.name = NULL};
}

bool schema_version_is_same(const struct schema_version *a, const struct schema_version *b)
{
    return a->dialect == b->dialect && strcmp(a->hash, b->hash) == 0;
}

uint32_t schema_versions_accepted(const struct schema_version *versions, size_t count,
                                  int64_t now_ms)
{
    uint32_t accepted = 0;
    for (size_t i = 0; i < count; i++)
        if (versions[i].accepted_until_ms == 0 || now_ms < versions[i].accepted_until_ms)
            accepted |= UINT32_C(1) << i;
    return accepted;
}

/* --- reading --- */

bool schema_version_read_name(const struct scan_element *field, struct problem_relay *relay,
                              struct schema_version *version)
{
    const char *text = NULL;
    size_t len = 0;
    bool good = scan_as_string(field, &text, &len) && len > 0 && len <= SCHEMA_VERSION_NAME_MAX;
    for (size_t i = 0; good && i < len; i++)
        good = (unsigned char)text[i] > ' ' && (unsigned char)text[i] != 0x7F;
    if (!good)
        return problem_relay_field(relay, "name", ERROR_BAD_VALUE,
                                   "must be a string of 1 to 64 bytes without spaces");
    version->name = memory_copy_string(text);
    return version->name != NULL || problem_relay_field(relay, "name", ERROR_EXCEEDED_MEMORY_LIMIT,
                                                        "out of memory for the schema file");
}

static bool read_dialect(const struct scan_element *field, struct problem_relay *relay,
                         enum schema_dialect *dialect)
{
    const char *text = NULL;
    size_t len = 0;
    for (size_t i = 0; scan_as_string(field, &text, &len) && schema_dialect_names[i] != NULL; i++)
        if (strlen(schema_dialect_names[i]) == len &&
            memcmp(schema_dialect_names[i], text, len) == 0) {
            *dialect = (enum schema_dialect)i;
            return true;
        }
    return problem_relay_field(relay, "dialect", ERROR_BAD_VALUE,
                               "must be one of \"mongodb\", \"json-schema\"");
}

static bool read_until(const struct scan_element *field, bool limited, struct problem_relay *relay,
                       struct schema_version *version)
{
    if (!limited)
        return problem_relay_field(relay, "accepted_until", ERROR_BAD_VALUE,
                                   "is for versions that are not the newest: the newest is "
                                   "accepted for good");
    if (field->kind != BSON_KIND_DATE || bytes_load_i64(field->value.pos) <= 0)
        return problem_relay_field(relay, "accepted_until", ERROR_TYPE_MISMATCH,
                                   "must be a date after 1970: "
                                   "{\"$date\": \"2030-01-31T12:00:00Z\"}");
    version->accepted_until_ms = bytes_load_i64(field->value.pos);
    return true;
}

bool schema_version_check_plain(const struct scan_element *field, struct problem_relay *relay)
{
    struct scan_element inner;
    return !scan_find(field->value, "$jsonSchema", &inner) ||
           problem_relay_field(relay, "schema/$jsonSchema", ERROR_FAILED_TO_PARSE,
                               "the field 'schema' holds the schema itself: take out $jsonSchema "
                               "around it");
}

struct version_fields {
    enum schema_dialect dialect;
    bool has_dialect;
    struct bytes schema;
    bool has_schema;
};

static bool read_field(const struct scan_element *field, bool limited, struct problem_relay *relay,
                       struct version_fields *fields, struct schema_version *version)
{
    if (scan_name_is(field, "dialect")) {
        fields->has_dialect = true;
        return read_dialect(field, relay, &fields->dialect);
    }
    if (scan_name_is(field, "name"))
        return version->name == NULL
                   ? schema_version_read_name(field, relay, version)
                   : problem_relay_field(relay, "name", ERROR_BAD_VALUE, "is given twice");
    if (scan_name_is(field, "accepted_until"))
        return read_until(field, limited, relay, version);
    if (!scan_name_is(field, "schema"))
        return problem_relay_field(relay, field->name, ERROR_FAILED_TO_PARSE,
                                   "unknown field: a version has schema, dialect, name and "
                                   "accepted_until");
    if (field->kind != BSON_KIND_OBJECT)
        return problem_relay_field(relay, "schema", ERROR_TYPE_MISMATCH, "must be an object");
    if (!schema_version_check_plain(field, relay))
        return false;
    fields->schema = field->value;
    fields->has_schema = true;
    return true;
}

/* Counts problems with words that one dialect has and the other does not. A wrong value says
 * nothing about the dialect: it may be a path, which JSON Schema would take as a name. */
static void count_problem(void *arg, const struct schema_problem *problem)
{
    if (problem->code != ERROR_BAD_VALUE)
        ++*(unsigned *)arg;
}

/* True if a schema with `found` such problems has fewer of them as JSON Schema. */
static bool is_rather_json_schema(struct bytes schema, enum schema_dialect dialect, unsigned found)
{
    unsigned problems = 0;
    if (dialect == SCHEMA_JSON_SCHEMA || found == 0)
        return false;
    struct schema *other =
        schema_compile(schema, SCHEMA_JSON_SCHEMA, count_problem, &problems, NULL);
    bool compiles = other != NULL;
    schema_free(other);
    return compiles || (problems > 0 && problems < found);
}

static void suggest_json_schema(struct problem_relay *relay, const char *choice)
{
    char message[160];
    const char *value = strcmp(choice, "dialect") == 0
                            ? "json-schema"
                            : "https://json-schema.org/draft/2020-12/schema";
    (void)snprintf(message, sizeof message, "this is JSON Schema: add \"%s\": \"%s\"", choice,
                   value);
    (void)problem_relay_field(relay, choice, ERROR_FAILED_TO_PARSE, message);
}

bool schema_version_compile(struct bytes schema, enum schema_dialect dialect, const char *choice,
                            const char *pointer, struct problem_relay *relay,
                            struct schema_version *version)
{
    struct error err = {0};
    struct problem_relay inner = {.report = problem_relay_report, .arg = relay, .prefix = pointer};
    struct schema *compiled = NULL;
    unsigned found = 0;
    if (choice != NULL)
        compiled = schema_compile(schema, dialect, count_problem, &found, NULL);
    if (compiled == NULL) {
        if (is_rather_json_schema(schema, dialect, found))
            suggest_json_schema(relay, choice);
        compiled = schema_compile(schema, dialect, problem_relay_report, &inner, &err);
    }
    version->schema = compiled;
    version->dialect = dialect == SCHEMA_MONGODB_EXTENDED ? SCHEMA_MONGODB : dialect;
    if (compiled != NULL && write_hash(schema_source(compiled), version->hash))
        return true;
    /* without a problem of its own: no memory, or a limit */
    if (inner.problems == 0)
        problem_relay_report(
            &inner, &(struct schema_problem){
                        .code = compiled == NULL ? err.code : ERROR_EXCEEDED_MEMORY_LIMIT,
                        .pointer = "",
                        .message = compiled == NULL ? err.message
                                                    : "out of memory for the hash of the schema"});
    return false;
}

bool schema_version_read(struct bytes document, enum schema_dialect dialect, bool limited,
                         struct problem_relay *relay, struct schema_version *version)
{
    struct scan scan;
    struct scan_element field;
    struct version_fields fields = {.dialect = dialect};
    unsigned before = relay->problems;
    *version = (struct schema_version){.name = NULL};
    (void)scan_open(&scan, document);
    while (scan_next(&scan, &field))
        (void)read_field(&field, limited, relay, &fields, version);
    if (fields.dialect == SCHEMA_MONGODB)
        fields.dialect = SCHEMA_MONGODB_EXTENDED;
    if (fields.has_schema)
        (void)schema_version_compile(fields.schema, fields.dialect,
                                     fields.has_dialect ? NULL : "dialect", "/schema", relay,
                                     version);
    else
        (void)problem_relay_field(relay, "", ERROR_FAILED_TO_PARSE,
                                  "the field 'schema' is missing");
    if (relay->problems == before)
        return true;
    schema_version_release(version);
    return false;
}
