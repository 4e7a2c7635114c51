#include "schema/file.h"

#include "base/memory.h"
#include "base/namespace.h"
#include "base/text.h"
#include "bson/scan.h"
#include "schema/file_text.h"

#include <bson/bson.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)256 * 1024 * 1024)

static bool read_choice(struct problem_relay *relay, const struct scan_element *field,
                        const char *const *choices, int *out)
{
    char message[160] = "must be one of";
    const char *text = NULL;
    size_t len = 0;
    bool is_text = scan_as_string(field, &text, &len);
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (is_text && text_is(text, len, choices[i])) {
            *out = (int)i;
            return true;
        }
        size_t at = strlen(message);
        (void)snprintf(message + at, sizeof message - at, "%s \"%s\"", i == 0 ? "" : ",",
                       choices[i]);
    }
    return problem_relay_field(relay, field->name, ERROR_BAD_VALUE, message);
}

static bool read_ns(struct problem_relay *relay, const struct scan_element *field,
                    struct schema_file *file)
{
    const char *text = NULL;
    size_t len = 0;
    if (!scan_as_string(field, &text, &len) || strlen(text) != len ||
        !namespace_is_whole(bytes_of(text, len)) || file->ns != NULL)
        return problem_relay_field(relay, "ns", ERROR_BAD_VALUE,
                                   "must be given once, as \"database.collection\"");
    file->ns = memory_copy_string(text);
    return file->ns != NULL || problem_relay_field(relay, "ns", ERROR_EXCEEDED_MEMORY_LIMIT,
                                                   "out of memory for the schema file");
}

const char *const schema_level_names[] = {"strict", "moderate", "off", NULL};
const char *const schema_action_names[] = {"error", "warn", "errorAndLog", NULL};

int schema_name_index(const char *const *names, const char *name)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

/* The content of a file before its compilation. */
struct parts {
    enum schema_dialect dialect;
    const char *choice; /* the field that would select another dialect; NULL: the file sets one */
    struct bytes schema;
    const char *pointer;      /* to the schema; NULL: there is none */
    struct scan_element name; /* kind 0, here and below: absent */
    struct scan_element versions;
    struct scan_element candidate;
};

/* The fields with schemas or about them. */
static bool read_schema_field(struct problem_relay *relay, const struct scan_element *field,
                              struct parts *parts)
{
    if (scan_name_is(field, "name")) {
        parts->name = *field;
    } else if (scan_name_is(field, "versions")) {
        parts->versions = *field;
        return field->kind == BSON_KIND_ARRAY ||
               problem_relay_field(relay, "versions", ERROR_TYPE_MISMATCH, "must be an array");
    } else {
        bool candidate = scan_name_is(field, "candidate");
        if (!candidate && !scan_name_is(field, "schema"))
            return problem_relay_field(relay, field->name, ERROR_FAILED_TO_PARSE,
                                       "unknown field: a schema file has ns, dialect, level, "
                                       "action, unproved, allow_bypass, schema (or versions), name "
                                       "and candidate");
        if (field->kind != BSON_KIND_OBJECT)
            return problem_relay_field(relay, field->name, ERROR_TYPE_MISMATCH,
                                       "must be an object");
        if (candidate) {
            parts->candidate = *field;
            return true;
        }
        if (!schema_version_check_plain(field, relay))
            return false;
        parts->schema = field->value;
        parts->pointer = "/schema";
    }
    return true;
}

static bool read_field(struct problem_relay *relay, const struct scan_element *field,
                       struct schema_file *file, struct parts *parts)
{
    static const char *const unproved[] = {"allow", "reject", NULL};
    int choice = 0;
    bool ok = true;
    if (scan_name_is(field, "ns"))
        return read_ns(relay, field, file);
    if (scan_name_is(field, "dialect")) {
        ok = read_choice(relay, field, schema_dialect_names, &choice);
        parts->dialect = (enum schema_dialect)choice;
        parts->choice = NULL;
    } else if (scan_name_is(field, "level")) {
        ok = read_choice(relay, field, schema_level_names, &choice);
        file->level = (enum schema_level)choice;
    } else if (scan_name_is(field, "action")) {
        ok = read_choice(relay, field, schema_action_names, &choice);
        file->action = (enum schema_action)choice;
    } else if (scan_name_is(field, "unproved")) {
        ok = read_choice(relay, field, unproved, &choice);
        file->reject_unproved = choice == 1;
    } else if (scan_name_is(field, "allow_bypass")) {
        ok = field->kind == BSON_KIND_BOOL ||
             problem_relay_field(relay, field->name, ERROR_TYPE_MISMATCH, "must be true or false");
        file->allow_bypass = ok && scan_is_true(field);
    } else {
        ok = read_schema_field(relay, field, parts);
    }
    return ok;
}

/* A validator is a query: only the server can check its conditions beside $jsonSchema. */
static bool refuse_siblings(struct problem_relay *relay, struct bytes whole,
                            struct schema_file *file)
{
    struct scan scan;
    struct scan_element field;
    if (scan_find(whole, "ns", &field))
        return problem_relay_field(relay, "$jsonSchema", ERROR_FAILED_TO_PARSE,
                                   "a schema file with 'ns' has its schema in the field 'schema': "
                                   "name the field so");
    (void)scan_open(&scan, whole);
    while (scan_next(&scan, &field)) {
        if (scan_name_is(&field, "$jsonSchema"))
            continue;
        file->siblings = true;
        (void)problem_relay_field(relay, field.name, ERROR_FAILED_TO_PARSE,
                                  "stands beside $jsonSchema and is not checked here: only the "
                                  "server can judge it");
    }
    return !file->siblings;
}

static bool encrypts(const struct schema_file *file)
{
    bool any = file->candidate.schema != NULL && schema_encrypts(file->candidate.schema);
    for (size_t i = 0; i < file->version_count; i++)
        any = any || schema_encrypts(file->versions[i].schema);
    return any;
}

/* As on the server: a document that is not encrypted could be stored in clear text. */
static bool check_encryption(struct problem_relay *relay, const struct schema_file *file)
{
    if (!encrypts(file))
        return true;
    if (file->action == SCHEMA_ACTION_WARN)
        return problem_relay_field(relay, "action", ERROR_QUERY_FEATURE_NOT_ALLOWED,
                                   "a schema with 'encrypt' or 'encryptMetadata' cannot have the "
                                   "action 'warn'");
    return file->level != SCHEMA_LEVEL_MODERATE ||
           problem_relay_field(relay, "level", ERROR_QUERY_FEATURE_NOT_ALLOWED,
                               "a schema with 'encrypt' or 'encryptMetadata' cannot have the level "
                               "'moderate'");
}

/* Finds the schemas in the file's BSON, and the settings around them. */
static bool find_schemas(struct problem_relay *relay, struct bytes whole, struct schema_file *file,
                         struct parts *parts)
{
    struct scan scan;
    struct scan_element field;
    *parts = (struct parts){.schema = whole, .pointer = ""};
    if (scan_find(whole, "$jsonSchema", &field)) {
        parts->schema = field.value;
        parts->pointer = "/$jsonSchema";
        return refuse_siblings(relay, whole, file) &&
               (field.kind == BSON_KIND_OBJECT ||
                problem_relay_field(relay, "$jsonSchema", ERROR_TYPE_MISMATCH,
                                    "must be an object"));
    }
    bool has_ns = scan_find(whole, "ns", &field);
    if (!scan_find(whole, "schema", &field) && !scan_find(whole, "versions", &field)) {
        if (has_ns)
            return problem_relay_field(relay, "", ERROR_FAILED_TO_PARSE,
                                       "the field 'schema' is missing");
        parts->choice = "$schema";
        if (scan_find(whole, "$schema", &field) || scan_find(whole, "$defs", &field))
            parts->dialect = SCHEMA_JSON_SCHEMA;
        return true;
    }
    parts->pointer = NULL;
    parts->choice = "dialect";
    (void)scan_open(&scan, whole);
    while (scan_next(&scan, &field))
        (void)read_field(relay, &field, file, parts);
    if (!has_ns)
        (void)problem_relay_field(relay, "", ERROR_FAILED_TO_PARSE, "the field 'ns' is missing");
    /* A file with a namespace belongs to the proxy; a file without one may be meant for a server.
     */
    if (parts->dialect == SCHEMA_MONGODB)
        parts->dialect = SCHEMA_MONGODB_EXTENDED;
    return true; /* compiled in spite of it, so that every problem is reported */
}

/* --- versions --- */

/* Reports a problem of the version at that place. */
static bool version_problem(struct problem_relay *relay, size_t place, const char *field,
                            const char *message)
{
    char pointer[64];
    (void)snprintf(pointer, sizeof pointer, "versions/%zu%s", place, field);
    return problem_relay_field(relay, pointer, ERROR_BAD_VALUE, message);
}

static bool is_unique(struct problem_relay *relay, const struct schema_file *file, size_t place)
{
    const struct schema_version *version = &file->versions[place];
    for (size_t i = 0; i < place; i++) {
        if (schema_version_is_same(&file->versions[i], version))
            return version_problem(relay, place, "", "is the schema of another version");
        if (version->name != NULL && file->versions[i].name != NULL &&
            strcmp(version->name, file->versions[i].name) == 0)
            return version_problem(relay, place, "/name", "is the name of another version");
    }
    return true;
}

static bool read_version(struct problem_relay *relay, const struct scan_element *item,
                         const struct parts *parts, struct schema_file *file)
{
    char prefix[32];
    size_t place = file->version_count;
    struct problem_relay inner = {
        .report = problem_relay_report, .arg = relay, .err = NULL, .prefix = prefix};
    if (place == SCHEMA_VERSIONS_MAX)
        return problem_relay_field(relay, "versions", ERROR_BAD_VALUE,
                                   "has more than 16 versions: take out those that no client "
                                   "writes any more");
    (void)snprintf(prefix, sizeof prefix, "/versions/%zu", place);
    if (item->kind != BSON_KIND_OBJECT)
        return problem_relay_field(&inner, "", ERROR_TYPE_MISMATCH, "must be an object");
    if (!schema_version_read(item->value, parts->dialect, place > 0, &inner,
                             &file->versions[place]))
        return false;
    file->version_count++;
    file->limited = file->limited || file->versions[place].accepted_until_ms != 0;
    return is_unique(relay, file, place);
}

static bool read_versions(struct problem_relay *relay, const struct parts *parts,
                          struct schema_file *file)
{
    struct scan scan;
    struct scan_element item;
    if (parts->pointer != NULL)
        return problem_relay_field(relay, "versions", ERROR_FAILED_TO_PARSE,
                                   "stands beside 'schema': give one of the two");
    if (parts->name.kind != 0)
        return problem_relay_field(relay, "name", ERROR_FAILED_TO_PARSE,
                                   "stands beside 'versions': each of them has its own name");
    (void)scan_open(&scan, parts->versions.value);
    while (scan_next(&scan, &item))
        if (!read_version(relay, &item, parts, file))
            return false;
    return file->version_count > 0 || problem_relay_field(relay, "versions", ERROR_BAD_VALUE,
                                                          "must hold one version at least");
}

/* Reads the single schema of a file without versions. */
static bool read_single(struct problem_relay *relay, const struct parts *parts,
                        struct schema_file *file)
{
    if (parts->pointer == NULL ||
        !schema_version_compile(parts->schema, parts->dialect, parts->choice, parts->pointer, relay,
                                &file->versions[0]))
        return false;
    file->version_count = 1;
    return parts->name.kind == 0 ||
           schema_version_read_name(&parts->name, relay, &file->versions[0]);
}

static bool read_candidate(struct problem_relay *relay, const struct parts *parts,
                           struct schema_file *file)
{
    struct problem_relay inner = {
        .report = problem_relay_report, .arg = relay, .prefix = "/candidate"};
    return schema_version_read(parts->candidate.value, parts->dialect, false, &inner,
                               &file->candidate);
}

static void compile_parts(struct problem_relay *relay, const struct parts *parts,
                          struct schema_file *file)
{
    file->versions = memory_array(SCHEMA_VERSIONS_MAX, sizeof *file->versions);
    if (file->versions == NULL)
        (void)problem_relay_field(relay, "", ERROR_EXCEEDED_MEMORY_LIMIT,
                                  "out of memory for the schema file");
    else if (parts->versions.kind != 0)
        (void)read_versions(relay, parts, file);
    else
        (void)read_single(relay, parts, file);
    if (parts->candidate.kind != 0)
        (void)read_candidate(relay, parts, file);
}

void schema_file_explain_json(const char *text, size_t len, const char *message, char *out,
                              size_t size)
{
    const char *found = strstr(message, ", position ");
    unsigned long position = found == NULL ? 0 : strtoul(found + 11, NULL, 10);
    if (found != NULL && text == NULL) {
        (void)snprintf(out, size, "not valid JSON at byte %lu of the document", position);
        return;
    }
    if (found == NULL || position >= len) {
        bool ends = found != NULL || strcmp(message, "Incomplete JSON") == 0;
        (void)snprintf(out, size, "%s", ends ? "not valid JSON: it ends too early" : message);
        return;
    }
    struct text_place place = schema_text_place(text, position);
    (void)snprintf(out, size, "not valid JSON at line %u, column %u", place.line, place.column);
}

bool schema_file_parse(const char *text, size_t len, schema_report_fn *report, void *arg,
                       struct schema_file *file, struct error *err)
{
    struct parts parts;
    struct problem_relay relay = {.report = report, .arg = arg, .err = err, .prefix = ""};
    *file = (struct schema_file){.allow_bypass = true};
    bson_t *bson = schema_text_read(text, len, problem_relay_report, &relay);
    if (bson == NULL)
        return false;
    struct bytes whole = bytes_of(bson_get_data(bson), bson->len);
    if (find_schemas(&relay, whole, file, &parts))
        compile_parts(&relay, &parts, file);
    bson_destroy(bson);
    if (relay.problems == 0 && check_encryption(&relay, file))
        return true;
    schema_file_release(file);
    return false;
}

static bool read_stream(FILE *stream, char **text, size_t *len)
{
    size_t room = 0;
    size_t got = 1;
    *len = 0;
    while (got > 0) {
        if (room - *len < 4096) {
            room = room == 0 ? 65536 : room * 2;
            char *bigger = room > FILE_BYTES_MAX ? NULL : memory_resize(*text, room);
            if (bigger == NULL) {
                errno = EFBIG;
                return false;
            }
            *text = bigger;
        }
        got = fread(*text + *len, 1, room - *len - 1, stream);
        *len += got;
    }
    (*text)[*len] = 0;
    return ferror(stream) == 0;
}

char *schema_file_read(const char *path, size_t *len, struct error *err)
{
    char *text = NULL;
    bool standard = strcmp(path, "-") == 0;
    FILE *stream = standard ? stdin : fopen(path, "rb");
    bool ok = stream != NULL && read_stream(stream, &text, len);
    if (!ok)
        (void)error_set(err, ERROR_FAILED_TO_PARSE, "%s cannot be read: %s", path, strerror(errno));
    if (stream != NULL && !standard)
        (void)fclose(stream);
    if (ok)
        return text;
    memory_free(text);
    return NULL;
}

bool schema_file_load(const char *path, schema_report_fn *report, void *arg,
                      struct schema_file *file, struct error *err)
{
    size_t len = 0;
    char *text = schema_file_read(path, &len, err);
    if (text == NULL) {
        *file = (struct schema_file){.allow_bypass = true};
        return false;
    }
    bool ok = schema_file_parse(text, len, report, arg, file, err);
    memory_free(text);
    return ok;
}

bool schema_file_of_validator(const char *ns, struct bytes schema, enum schema_level level,
                              enum schema_action action, struct schema_file *file,
                              struct error *err)
{
    struct problem_relay relay = {.err = err, .prefix = ""};
    *file = (struct schema_file){.level = level, .action = action, .allow_bypass = true};
    file->ns = memory_copy_string(ns);
    file->versions = memory_array(1, sizeof *file->versions);
    if (file->ns == NULL || file->versions == NULL) {
        schema_file_release(file);
        return error_no_memory(err, "the schema file");
    }
    file->version_count = 1;
    if (schema_version_compile(schema, SCHEMA_MONGODB, NULL, "", &relay, &file->versions[0]))
        return true;
    schema_file_release(file);
    return false;
}

bool schema_file_is_extended(const struct schema_file *file)
{
    bool any = file->candidate.schema != NULL && schema_is_extended(file->candidate.schema);
    for (size_t i = 0; i < file->version_count; i++)
        any = any || schema_is_extended(file->versions[i].schema);
    return any;
}

size_t schema_file_bytes(const struct schema_file *file)
{
    size_t bytes = file->candidate.schema == NULL ? 0 : schema_bytes(file->candidate.schema);
    for (size_t i = 0; i < file->version_count; i++)
        bytes += schema_bytes(file->versions[i].schema);
    return bytes;
}

void schema_file_release(struct schema_file *file)
{
    for (size_t i = 0; i < file->version_count; i++)
        schema_version_release(&file->versions[i]);
    schema_version_release(&file->candidate);
    memory_free(file->versions);
    memory_free(file->ns);
    file->versions = NULL;
    file->version_count = 0;
    file->ns = NULL;
}
