/* The schemas of one namespace: the versions that are accepted side by side, newest first, and a
 * candidate that is only checked. docs/schemas.md describes their form in a file. */
#ifndef SLUICE_SCHEMA_VERSIONS_H
#define SLUICE_SCHEMA_VERSIONS_H

#include "bson/scan.h"
#include "schema/problem_relay.h"
#include "schema/schema.h"

enum {
    SCHEMA_HASH_SIZE = 65, /* hex of a SHA-256, and a NUL */
    SCHEMA_VERSIONS_MAX = 16,
    SCHEMA_VERSION_NAME_MAX = 64 /* bytes */
};

struct schema_version {
    char *name; /* owned; NULL: it has none */
    enum schema_dialect dialect;
    struct schema *schema;       /* owned; NULL: no such version */
    char hash[SCHEMA_HASH_SIZE]; /* of the schema as BSON */
    int64_t accepted_until_ms;   /* since 1970; 0: no limit */
};

/* The names of the dialects, NULL-terminated, in the enum's order. */
extern const char *const schema_dialect_names[];

/* Compiles a schema at `pointer` in the relay's file. On a problem it reports to the relay and
 * returns false. The caller must call schema_version_release in every case. `choice` is the field
 * that would select another dialect if the file sets none; NULL if it sets one. For a schema that
 * is JSON Schema rather than MongoDB's, the first problem is then about this field. */
bool schema_version_compile(struct bytes schema, enum schema_dialect dialect, const char *choice,
                            const char *pointer, struct problem_relay *relay,
                            struct schema_version *version);
void schema_version_release(struct schema_version *version);

/* Reads and compiles {schema, dialect, name, accepted_until}; `dialect` is the default. The dialect
 * mongodb has the extensions of schema files. `limited`: accepted_until is allowed. On a problem it
 * reports to the relay and returns false. */
bool schema_version_read(struct bytes document, enum schema_dialect dialect, bool limited,
                         struct problem_relay *relay, struct schema_version *version);

/* Checks that the field `schema`, an object, does not contain a validator ({$jsonSchema: …}). */
bool schema_version_check_plain(const struct scan_element *field, struct problem_relay *relay);

/* Reads only the name, an element of any kind. */
bool schema_version_read_name(const struct scan_element *field, struct problem_relay *relay,
                              struct schema_version *version);

/* True if both have the same schema and dialect. */
bool schema_version_is_same(const struct schema_version *a, const struct schema_version *b);

/* One bit for each version that is accepted at this time, 1 for the newest. The newest is always
 * accepted. */
uint32_t schema_versions_accepted(const struct schema_version *versions, size_t count,
                                  int64_t now_ms);

#endif
