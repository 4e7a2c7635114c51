/* The result of an audit of one collection: the number of documents that break the schema, the
 * reasons, and the first documents. Pure. */
#ifndef SLUICE_AUDIT_AUDIT_COUNT_H
#define SLUICE_AUDIT_AUDIT_COUNT_H

#include "bson/scan.h"
#include "enforce/tally.h"
#include "schema/versions.h"

enum { AUDIT_REASONS_MAX = 200, AUDIT_IDS_MAX = 5 };

/* Documents that break the schema for the same reason. */
struct audit_reason {
    char path[TALLY_PATH_BYTES];      /* of the first field that breaks a rule; "": the document */
    char text[REGISTRY_REASON_BYTES]; /* operators and names */
    uint64_t count;
    uint8_t *ids; /* owned: a document of the first _ids, named 0, 1, …; NULL: none */
    size_t ids_len;
    unsigned id_count;
};

struct audit_count {
    uint64_t documents;
    uint64_t broken;
    uint64_t other;               /* broken documents whose reason had no room */
    struct audit_reason *reasons; /* owned */
    size_t reason_count;
};

/* Zero-initialised is empty. */
void audit_count_release(struct audit_count *count);
/* Sorts the most frequent reason first. */
void audit_count_sort(struct audit_count *count);

/* The schemas of the check: a document passes if one of them accepts it. Errors are the first's. */
struct audit_schemas {
    const struct schema *schemas[SCHEMA_VERSIONS_MAX];
    size_t count;
};

/* Checks one document and counts it. True if it passes. False with err->code set without memory;
 * otherwise the document breaks the schema. */
bool audit_count_document(struct audit_count *count, const struct audit_schemas *schemas,
                          struct schema_scratch *scratch, struct bytes document, struct error *err);

/* Adds a reason that an interrupted run counted. `ids`: a document. */
bool audit_count_restore(struct audit_count *count, const char *path, const char *text,
                         uint64_t documents, struct bytes ids);

#endif
