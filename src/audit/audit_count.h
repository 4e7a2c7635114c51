/* What an audit found in one collection: how many documents break the schema, for what reasons, and
 * which are the first of them. Pure. */
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
    uint8_t *ids; /* owned: a document with the first _ids, by their number; NULL: none */
    size_t ids_len;
    unsigned id_count;
};

struct audit_count {
    uint64_t documents;
    uint64_t broken;
    uint64_t other;               /* broken, and there was no room for their reason */
    struct audit_reason *reasons; /* owned */
    size_t reason_count;
};

/* Zero-initialised is empty. */
void audit_count_release(struct audit_count *count);
/* The most frequent reason first. */
void audit_count_sort(struct audit_count *count);

/* What a document is held against: it passes if one of these accepts it. errors are the first's. */
struct audit_schemas {
    const struct schema *schemas[SCHEMA_VERSIONS_MAX];
    size_t count;
};

/* Checks one document and counts it. True: it passes. False with err->code set: no memory; else it
 * breaks the schema. */
bool audit_count_document(struct audit_count *count, const struct audit_schemas *schemas,
                          struct schema_scratch *scratch, struct bytes document, struct error *err);

/* A reason that was counted before, for a reading that goes on. `ids`: a document. */
bool audit_count_restore(struct audit_count *count, const char *path, const char *text,
                         uint64_t documents, struct bytes ids);

#endif
