/* A document of the fleet registry: the schemas of one namespace. Its form in MongoDB:
 *   _id       "database.collection"
 *   format    1
 *   revision  rises by one with each change; each change compares it (compare-and-set)
 *   updated   time of the last change
 *   state     enforced by the proxies: {level, action, unproved, allow_bypass,
 *             accepted: [{version, until?}], newest first, empty: nothing; candidate?: version}
 *   versions  [{version, dialect, hash, name?, schema, at, by}], oldest first; `schema` is
 *             extended JSON as text, because some servers cannot store names with dots and
 *             dollars; `hash` is that of the schema as BSON
 *   history   [{revision, at, by, action, note?, state}], oldest first
 * The document must satisfy the $jsonSchema of fleet_format_text. Pure. */
#ifndef SLUICE_FLEET_DOCUMENT_H
#define SLUICE_FLEET_DOCUMENT_H

#include <bson/bson.h>

#include "schema/file.h"

enum {
    FLEET_FORMAT = 1,
    FLEET_ACCEPTED_MAX = SCHEMA_VERSIONS_MAX,
    FLEET_VERSIONS_MAX = 64,  /* kept versions; the oldest unused ones go first */
    FLEET_HISTORY_MAX = 200,  /* kept steps */
    FLEET_NS_BYTES_MAX = 255, /* MongoDB's limit for a namespace */
    FLEET_WORD_BYTES_MAX = 256,
    FLEET_NAME_BYTES_MAX = SCHEMA_VERSION_NAME_MAX
};
/* MongoDB's limit is 16 MiB; the rest is for the command around the document. */
#define FLEET_BYTES_MAX ((size_t)15 * 1024 * 1024)

struct fleet_accepted {
    int32_t version;
    int64_t until_ms; /* since 1970; 0: until it is retired */
};

struct fleet_state {
    enum schema_level level;
    enum schema_action action;
    bool reject_unproved;
    bool allow_bypass;
    size_t accepted_count;
    struct fleet_accepted accepted[FLEET_ACCEPTED_MAX]; /* newest first */
    int32_t candidate;                                  /* 0: none */
};

struct fleet_version {
    int32_t number; /* from 1 */
    enum schema_dialect dialect;
    char hash[SCHEMA_HASH_SIZE];
    char *name; /* owned; NULL: none */
    char *text; /* owned: the schema */
    int64_t at_ms;
    char *by; /* owned */
};

enum fleet_action {
    FLEET_PUSH,
    FLEET_PUSH_CANDIDATE,
    FLEET_PROMOTE,
    FLEET_ROLLBACK,
    FLEET_RETIRE,
    FLEET_SETTINGS
};
extern const char *const fleet_action_names[]; /* ends with NULL */

struct fleet_step {
    int64_t revision;
    int64_t at_ms;
    char *by; /* owned */
    enum fleet_action action;
    char *note; /* owned; NULL: none */
    struct fleet_state state;
};

struct fleet_document {
    char *ns; /* owned */
    int64_t revision;
    int64_t updated_ms;
    struct fleet_state state;
    size_t version_count;
    struct fleet_version *versions; /* owned; rising numbers */
    size_t step_count;
    struct fleet_step *steps; /* owned; rising revisions. None if the reader did not ask for them */
};

/* The $jsonSchema, as JSON, of these documents, and of the documents that proxies write about
 * themselves (fleet_store.h). */
extern const char fleet_format_text[];
extern const char fleet_proxy_format_text[];

struct fleet_reader;
/* A reader belongs to one thread. */
struct fleet_reader *fleet_reader_new(struct error *err);
void fleet_reader_free(struct fleet_reader *reader); /* NULL is allowed */

/* Reads any bytes. False with the error in one line, without values of the document. On true the
 * caller must call fleet_document_free. A document may come without its history (a projection). */
bool fleet_document_read(struct fleet_reader *reader, struct bytes bson,
                         struct fleet_document **out, struct error *err);
void fleet_document_free(struct fleet_document *document); /* NULL is allowed */

/* A document without versions: revision 0, nothing accepted, a file's default settings. NULL
 * without memory. */
struct fleet_document *fleet_document_new(const char *ns);
struct fleet_document *fleet_document_copy(const struct fleet_document *from);

/* False if the document would be too large. The caller must call bson_destroy(out) in any case. */
bool fleet_document_write(const struct fleet_document *document, bson_t *out, struct error *err);

/* NULL if there is no such version. */
const struct fleet_version *fleet_version_find(const struct fleet_document *document,
                                               int32_t number);
/* Finds a version by number ("3"), name, or the beginning of its hash (at least four characters).
 * "candidate" and "newest" name those of the state. NULL with err set if none or several match. */
const struct fleet_version *fleet_version_named(const struct fleet_document *document,
                                                const char *name, struct error *err);
/* True if the version is accepted or a candidate, so that proxies have it. */
bool fleet_version_is_used(const struct fleet_state *state, int32_t number);

/* True if MongoDB allows this namespace: DATABASE.COLLECTION. */
bool fleet_is_namespace(const char *ns, size_t len);

#endif
