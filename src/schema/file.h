/* A schema file: one JSON object (extended JSON allowed) with the fields
 *   ns            "database.collection"
 *   dialect       "mongodb" (default) or "json-schema"
 *   level         "strict" (default), "moderate" or "off"
 *   action        "error" (default), "warn" or "errorAndLog"
 *   unproved      "allow" (default) or "reject": updates whose result the proxy cannot know
 *   allow_bypass  true (default) or false: whether bypassDocumentValidation is heeded
 *   schema        the schema; or instead of it
 *   versions      [{schema, dialect, name, accepted_until}]: those that are accepted, newest first
 *   name          of the one version, where `schema` holds it
 *   candidate     {schema, dialect, name}: tried beside them, refuses nothing
 * or a bare schema, which then has no namespace: {"$jsonSchema": {...}}, or the schema itself,
 * taken as json-schema where it has a "$schema" or a "$defs". A bare schema of dialect mongodb has
 * no extensions, since it may be meant for a server. docs/schemas.md describes it for users. */
#ifndef SLUICE_SCHEMA_FILE_H
#define SLUICE_SCHEMA_FILE_H

#include "schema/versions.h"

enum schema_level { SCHEMA_LEVEL_STRICT, SCHEMA_LEVEL_MODERATE, SCHEMA_LEVEL_OFF };
enum schema_action { SCHEMA_ACTION_ERROR, SCHEMA_ACTION_WARN, SCHEMA_ACTION_ERROR_AND_LOG };

/* The names of these in schema files and collection options: one NULL-terminated list each, in the
 * enum's order. */
extern const char *const schema_level_names[];
extern const char *const schema_action_names[];

/* The position of a name in such a list; 0, the default, when it is not there. */
int schema_name_index(const char *const *names, const char *name);

struct schema_file {
    char *ns; /* owned; NULL for a bare schema */
    enum schema_level level;
    enum schema_action action;
    bool reject_unproved;
    bool allow_bypass;
    bool siblings; /* a bare {"$jsonSchema": …} was refused for what stands beside it */
    struct schema_version *versions; /* owned; newest first, one at least */
    size_t version_count;
    bool limited;                    /* a version is accepted until some time only */
    struct schema_version candidate; /* its schema is NULL where there is none */
};

/* Reads and compiles text[0..len). Each problem is reported with its pointer into the file (report
 * may be NULL), the first is set in err. On true, schema_file_release is due. */
bool schema_file_parse(const char *text, size_t len, schema_report_fn *report, void *arg,
                       struct schema_file *file, struct error *err);
/* The same from a path; an error of reading names the path. */
bool schema_file_load(const char *path, schema_report_fn *report, void *arg,
                      struct schema_file *file, struct error *err);
/* The same for a collection's validator: dialect mongodb, what is unproved is allowed, and a bypass
 * heeded, as the server has it. */
bool schema_file_of_validator(const char *ns, struct bytes schema, enum schema_level level,
                              enum schema_action action, struct schema_file *file,
                              struct error *err);
void schema_file_release(struct schema_file *file);

/* The schema whose errInfo clients see. */
static inline const struct schema *schema_file_newest(const struct schema_file *file)
{
    return file->versions[0].schema;
}
/* Whether one of its schemas uses an extension (schema_is_extended). */
bool schema_file_is_extended(const struct schema_file *file);
/* What all of its compiled schemas take in memory. */
size_t schema_file_bytes(const struct schema_file *file);

/* libbson's message about text that is no JSON, in words and with line and column where it names a
 * byte. Without the text (NULL): the byte, which libbson counts from where the document begins. */
void schema_file_explain_json(const char *text, size_t len, const char *message, char *out,
                              size_t size);

/* All of a file (or of standard input, for "-"), NUL-terminated; NULL with err naming the path.
 * Released with memory_free. */
char *schema_file_read(const char *path, size_t *len, struct error *err);

#endif
