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

/* Compiles a schema that stands at `pointer` in what the relay speaks of. Problems go to the relay;
 * then the answer is false. schema_version_release is due in any case.
 * `choice`: the field that would give another dialect, where none is given; NULL: one is. A schema
 * that is JSON Schema rather than MongoDB's then has a problem there first. */
bool schema_version_compile(struct bytes schema, enum schema_dialect dialect, const char *choice,
                            const char *pointer, struct problem_relay *relay,
                            struct schema_version *version);
void schema_version_release(struct schema_version *version);

/* Reads and compiles {schema, dialect, name, accepted_until}; `dialect`: where it names none. The
 * dialect mongodb has the extensions of schema files.
 * `limited`: it may have accepted_until. Problems go to the relay; then the answer is false. */
bool schema_version_read(struct bytes document, enum schema_dialect dialect, bool limited,
                         struct problem_relay *relay, struct schema_version *version);

/* Whether the field `schema`, an object, holds no validator ({$jsonSchema: …}). */
bool schema_version_check_plain(const struct scan_element *field, struct problem_relay *relay);

/* The name alone, an element of any kind. */
bool schema_version_read_name(const struct scan_element *field, struct problem_relay *relay,
                              struct schema_version *version);

/* Whether both have the same schema and dialect. */
bool schema_version_is_same(const struct schema_version *a, const struct schema_version *b);

/* A bit for each version, 1 for the newest: those that are accepted at that time. The newest
 * always is. */
uint32_t schema_versions_accepted(const struct schema_version *versions, size_t count,
                                  int64_t now_ms);

#endif
