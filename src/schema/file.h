/* A schema file: one JSON object (extended JSON allowed) with the fields
 *   ns            "database.collection"
 *   dialect       "mongodb" (default) or "json-schema"
 *   level         "strict" (default), "moderate" or "off"
 *   action        "error" (default), "warn" or "errorAndLog"
 *   unproved      "allow" (default) or "reject": updates with an unpredictable result
 *   allow_bypass  true (default) or false: accept bypassDocumentValidation
 *   schema        the schema; or in its place
 *   versions      [{schema, dialect, name, accepted_until}]: the accepted ones, newest first
 *   name          of the single version, beside `schema`
 *   candidate     {schema, dialect, name}: checked beside them, refuses nothing
 * or a bare schema without a namespace: {"$jsonSchema": {...}}, or the schema itself, read as
 * json-schema if it has a "$schema" or a "$defs". A bare schema of dialect mongodb has no
 * extensions, because it may be meant for a server. docs/schemas.md describes it for users. */
#ifndef SLUICE_SCHEMA_FILE_H
#define SLUICE_SCHEMA_FILE_H

#include "schema/versions.h"

enum schema_level { SCHEMA_LEVEL_STRICT, SCHEMA_LEVEL_MODERATE, SCHEMA_LEVEL_OFF };
enum schema_action { SCHEMA_ACTION_ERROR, SCHEMA_ACTION_WARN, SCHEMA_ACTION_ERROR_AND_LOG };

/* The names of these in schema files and collection options: one NULL-terminated list each, in the
 * order of the enum. */
extern const char *const schema_level_names[];
extern const char *const schema_action_names[];

/* The position of a name in such a list; 0, the default, if it is not in the list. */
int schema_name_index(const char *const *names, const char *name);

struct schema_file {
    char *ns; /* owned; NULL for a bare schema */
    enum schema_level level;
    enum schema_action action;
    bool reject_unproved;
    bool allow_bypass;
    bool siblings; /* a bare {"$jsonSchema": …} was refused because of fields beside it */
    struct schema_version *versions; /* owned; newest first, at least one */
    size_t version_count;
    bool limited;                    /* a version is accepted only until some time */
    struct schema_version candidate; /* its schema is NULL without a candidate */
};

/* Reads and compiles text[0..len). Reports each problem with its pointer into the file (report may
 * be NULL), and sets the first one in err. On true, call schema_file_release. */
bool schema_file_parse(const char *text, size_t len, schema_report_fn *report, void *arg,
                       struct schema_file *file, struct error *err);
/* Does the same for a path; a read error names the path. */
bool schema_file_load(const char *path, schema_report_fn *report, void *arg,
                      struct schema_file *file, struct error *err);
/* Does the same for a collection's validator: dialect mongodb, unproved writes allowed, bypass
 * allowed, as on the server. */
bool schema_file_of_validator(const char *ns, struct bytes schema, enum schema_level level,
                              enum schema_action action, struct schema_file *file,
                              struct error *err);
void schema_file_release(struct schema_file *file);

/* The schema whose errInfo clients get. */
static inline const struct schema *schema_file_newest(const struct schema_file *file)
{
    return file->versions[0].schema;
}
/* True if one of its schemas uses an extension (schema_is_extended). */
bool schema_file_is_extended(const struct schema_file *file);
/* The memory of all its compiled schemas. */
size_t schema_file_bytes(const struct schema_file *file);

/* Explains libbson's message about malformed JSON, with line and column if it names a byte. Without
 * the text (NULL) it names the byte, which libbson counts from the start of the document. */
void schema_file_explain_json(const char *text, size_t len, const char *message, char *out,
                              size_t size);

/* Reads a whole file (or standard input, for "-"), NUL-terminated; NULL with err naming the path.
 * Release it with memory_free. */
char *schema_file_read(const char *path, size_t *len, struct error *err);

#endif
