/* Reads stored collections by libmongoc. Blocks; one thread at a time. */
#ifndef SLUICE_AUDIT_AUDIT_READ_H
#define SLUICE_AUDIT_AUDIT_READ_H

#include "base/bytes.h"
#include "base/error.h"

struct uri;
struct audit_reader;

enum { AUDIT_SELECTION_MS = 10000 };

/* Reads from a secondary if there is one, unless the connection string has a read preference. uri:
 * borrowed for the call. Sends nothing yet. */
struct audit_reader *audit_reader_open(const struct uri *uri, struct error *err);
void audit_reader_close(struct audit_reader *reader); /* NULL is allowed */

enum audit_kind { AUDIT_COLLECTION, AUDIT_MISSING, AUDIT_VIEW, AUDIT_TIME_SERIES };

/* Looks the namespace up. *documents: their approximate number; 0 if the server does not say. */
bool audit_reader_look(struct audit_reader *reader, const char *ns, enum audit_kind *kind,
                       uint64_t *documents, struct error *err);

struct audit_scan {
    const char *ns;
    bool by_id;         /* in the order of _id */
    uint8_t after_kind; /* the type of the _id to start after; 0: start with the first document */
    struct bytes after;
    int64_t sample; /* the number of random documents; 0: all */
    int32_t batch;  /* documents in a reply; 0: as many as fit */
};

/* Gets each document, valid during the call. False ends the reading. */
typedef bool audit_document_fn(void *arg, struct bytes document);

/* *lost: the connection or the cursor was lost, so another attempt may succeed. Returns true if the
 * callback ended the reading. */
bool audit_reader_scan(struct audit_reader *reader, const struct audit_scan *scan,
                       audit_document_fn *take, void *arg, bool *lost, struct error *err);

#endif
