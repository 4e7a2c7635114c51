#include "schema/file.h"

#include "base/memory.h"
#include "bson/scan.h"

#include <bson/bson.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)256 * 1024 * 1024)

/* Problems of the schema are reported below where it stands in the file. */
struct relay {
    schema_report_fn *report;
    void *arg;
    struct error *err;
    const char *prefix;
    unsigned problems;
};

static void relay_problem(void *arg, const struct schema_problem *problem)
{
    struct relay *relay = arg;
    char pointer[320];
    (void)snprintf(pointer, sizeof pointer, "%s%s", relay->prefix, problem->pointer);
    if (relay->problems++ == 0)
        (void)error_set(relay->err, problem->code, "%s%s%s", pointer, pointer[0] == 0 ? "" : ": ",
                        problem->message);
    if (relay->report != NULL)
        relay->report(relay->arg, &(struct schema_problem){.code = problem->code,
                                                           .pointer = pointer,
                                                           .message = problem->message});
}

/* A problem of the file itself, at one of its fields. Returns false. */
static bool field_problem(struct relay *relay, const char *field, int code, const char *message)
{
    char pointer[128];
    (void)snprintf(pointer, sizeof pointer, "%s%s", field[0] == 0 ? "" : "/", field);
    relay->prefix = "";
    relay_problem(relay, &(struct schema_problem){code, pointer, message});
    return false;
}

static bool read_choice(struct relay *relay, const struct scan_element *field,
                        const char *const *choices, int *out)
{
    char message[160] = "must be one of";
    const char *text = NULL;
    size_t len = 0;
    bool is_text = scan_as_string(field, &text, &len);
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (is_text && strlen(choices[i]) == len && memcmp(choices[i], text, len) == 0) {
            *out = (int)i;
            return true;
        }
        size_t at = strlen(message);
        (void)snprintf(message + at, sizeof message - at, "%s \"%s\"", i == 0 ? "" : ",",
                       choices[i]);
    }
    return field_problem(relay, field->name, ERROR_BAD_VALUE, message);
}

static bool read_ns(struct relay *relay, const struct scan_element *field, struct schema_file *file)
{
    const char *text = NULL;
    size_t len = 0;
    const char *dot = NULL;
    if (scan_as_string(field, &text, &len) && strlen(text) == len)
        dot = strchr(text, '.');
    if (dot == NULL || dot == text || dot[1] == 0 || file->ns != NULL)
        return field_problem(relay, "ns", ERROR_BAD_VALUE,
                             "must be given once, as \"database.collection\"");
    file->ns = memory_copy_string(text);
    return file->ns != NULL || field_problem(relay, "ns", ERROR_EXCEEDED_MEMORY_LIMIT, "no memory");
}

const char *const schema_dialect_names[] = {"mongodb", "json-schema", NULL};
const char *const schema_level_names[] = {"strict", "moderate", "off", NULL};
const char *const schema_action_names[] = {"error", "warn", "errorAndLog", NULL};

int schema_name_index(const char *const *names, const char *name)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

static bool read_field(struct relay *relay, const struct scan_element *field,
                       struct schema_file *file)
{
    static const char *const unproved[] = {"allow", "reject", NULL};
    int choice = 0;
    bool ok = true;
    if (scan_name_is(field, "ns"))
        return read_ns(relay, field, file);
    if (scan_name_is(field, "dialect")) {
        ok = read_choice(relay, field, schema_dialect_names, &choice);
        file->dialect = (enum schema_dialect)choice;
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
             field_problem(relay, field->name, ERROR_TYPE_MISMATCH, "must be true or false");
        file->allow_bypass = ok && scan_is_true(field);
    } else if (scan_name_is(field, "schema")) {
        ok = field->kind == BSON_KIND_OBJECT ||
             field_problem(relay, field->name, ERROR_TYPE_MISMATCH, "must be an object");
    } else {
        ok = field_problem(relay, field->name, ERROR_FAILED_TO_PARSE,
                           "unknown field: a schema file has ns, dialect, level, action, unproved, "
                           "allow_bypass and schema");
    }
    return ok;
}

/* A validator is a query: what it asks for beside $jsonSchema only the server can judge. */
static bool refuse_siblings(struct relay *relay, struct bytes whole, struct schema_file *file)
{
    struct scan scan;
    struct scan_element field;
    bool names_ns = scan_find(whole, "ns", &field);
    unsigned schemas = 0;
    (void)scan_open(&scan, whole);
    while (scan_next(&scan, &field)) {
        if (scan_name_is(&field, "$jsonSchema") && schemas++ == 0)
            continue;
        file->siblings = true;
        (void)field_problem(relay, field.name, ERROR_FAILED_TO_PARSE,
                            names_ns ? "a schema file with 'ns' has its schema in the field "
                                       "'schema', without $jsonSchema around it"
                                     : "stands beside $jsonSchema and is not checked here: only "
                                       "the server can judge it");
    }
    return !file->siblings;
}

/* As the server has it: where a document that is not encrypted may be stored, it would be in the
 * clear. */
static bool check_encryption(struct relay *relay, const struct schema_file *file)
{
    if (!schema_encrypts(file->schema))
        return true;
    if (file->action == SCHEMA_ACTION_WARN)
        return field_problem(relay, "action", ERROR_QUERY_FEATURE_NOT_ALLOWED,
                             "a schema with 'encrypt' or 'encryptMetadata' cannot have the action "
                             "'warn'");
    return file->level != SCHEMA_LEVEL_MODERATE ||
           field_problem(relay, "level", ERROR_QUERY_FEATURE_NOT_ALLOWED,
                         "a schema with 'encrypt' or 'encryptMetadata' cannot have the level "
                         "'moderate'");
}

/* The schema within the file's BSON, and the settings around it. */
static bool find_schema(struct relay *relay, struct bytes whole, struct schema_file *file,
                        struct bytes *schema)
{
    struct scan scan;
    struct scan_element field;
    *schema = whole;
    if (scan_find(whole, "$jsonSchema", &field)) {
        *schema = field.value;
        if (!refuse_siblings(relay, whole, file))
            return false;
        relay->prefix = "/$jsonSchema";
        return field.kind == BSON_KIND_OBJECT ||
               field_problem(relay, "$jsonSchema", ERROR_TYPE_MISMATCH, "must be an object");
    }
    if (!scan_find(whole, "schema", &field)) {
        if (scan_find(whole, "ns", &field))
            return field_problem(relay, "", ERROR_FAILED_TO_PARSE, "the field 'schema' is missing");
        if (scan_find(whole, "$schema", &field) || scan_find(whole, "$defs", &field))
            file->dialect = SCHEMA_JSON_SCHEMA;
        return true;
    }
    *schema = field.value;
    (void)scan_open(&scan, whole);
    while (scan_next(&scan, &field))
        (void)read_field(relay, &field, file);
    if (!scan_find(whole, "ns", &field))
        (void)field_problem(relay, "", ERROR_FAILED_TO_PARSE, "the field 'ns' is missing");
    relay->prefix = "/schema";
    /* Compiled even where something around it is wrong, so that every problem is reported. */
    return scan_find(whole, "schema", &field) && field.kind == BSON_KIND_OBJECT;
}

void schema_file_explain_json(const char *text, size_t len, const char *message, char *out,
                              size_t size)
{
    const char *found = strstr(message, ", position ");
    unsigned long position = found == NULL ? 0 : strtoul(found + 11, NULL, 10);
    unsigned line = 1;
    unsigned column = 1;
    if (found != NULL && text == NULL) {
        (void)snprintf(out, size, "not valid JSON at byte %lu of the document", position);
        return;
    }
    if (found == NULL || position >= len) {
        bool ends = found != NULL || strcmp(message, "Incomplete JSON") == 0;
        (void)snprintf(out, size, "%s", ends ? "not valid JSON: it ends too early" : message);
        return;
    }
    for (size_t i = 0; i < position; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    (void)snprintf(out, size, "not valid JSON at line %u, column %u", line, column);
}

/* After white space; 0 where there is nothing else. */
static char first_letter(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && strchr(" \t\r\n", text[at]) != NULL)
        at++;
    if (at == len)
        return '\0';
    return text[at];
}

bool schema_file_parse(const char *text, size_t len, schema_report_fn *report, void *arg,
                       struct schema_file *file, struct error *err)
{
    bson_error_t why;
    char message[sizeof why.message];
    struct bytes schema;
    struct relay relay = {.report = report, .arg = arg, .err = err, .prefix = ""};
    *file = (struct schema_file){.allow_bypass = true};
    if (first_letter(text, len) == 0)
        return field_problem(&relay, "", ERROR_FAILED_TO_PARSE, "the file is empty");
    if (first_letter(text, len) == '[')
        return field_problem(&relay, "", ERROR_TYPE_MISMATCH, "must be an object, not an array");
    bson_t *bson = bson_new_from_json((const uint8_t *)text, (ssize_t)len, &why);
    if (bson == NULL) {
        schema_file_explain_json(text, len, why.message, message, sizeof message);
        return field_problem(&relay, "", ERROR_FAILED_TO_PARSE, message);
    }
    struct bytes whole = bytes_of(bson_get_data(bson), bson->len);
    if (find_schema(&relay, whole, file, &schema)) {
        file->schema = schema_compile(schema, file->dialect, relay_problem, &relay, err);
        /* Without a problem of its own: no memory, or a limit. */
        if (file->schema == NULL && relay.problems == 0 && err != NULL)
            (void)field_problem(&relay, "", err->code, "the schema cannot be compiled");
    }
    bson_destroy(bson);
    if (file->schema != NULL)
        (void)check_encryption(&relay, file);
    if (file->schema != NULL && relay.problems == 0)
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
    *file = (struct schema_file){
        .dialect = SCHEMA_MONGODB, .level = level, .action = action, .allow_bypass = true};
    file->ns = memory_copy_string(ns);
    if (file->ns == NULL)
        return error_set(err, ERROR_EXCEEDED_MEMORY_LIMIT, "no memory");
    file->schema = schema_compile(schema, file->dialect, NULL, NULL, err);
    if (file->schema != NULL)
        return true;
    schema_file_release(file);
    return false;
}

void schema_file_release(struct schema_file *file)
{
    memory_free(file->ns);
    schema_free(file->schema);
    file->ns = NULL;
    file->schema = NULL;
}
