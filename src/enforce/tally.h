/* What one worker counts for single versions of a namespace: documents that only an older version
 * accepts, and what a candidate would do.
 *
 * Each worker has a tally of its own and is the only one that writes to it. Any thread may read it:
 * the lock is the tally's own, so that a worker waits for a reader at most, never for another
 * worker. Memory: a record for each version that was counted for (tally_trim forgets those that
 * are gone), and TALLY_BYTES_MAX for rows and samples together. Pure. */
#ifndef SLUICE_ENFORCE_TALLY_H
#define SLUICE_ENFORCE_TALLY_H

#include "catalog/registry.h"

enum {
    TALLY_ROWS_MAX = 200,             /* of one version */
    TALLY_SAMPLES_KEPT = 8,           /* the last ones, of one version */
    TALLY_PATH_BYTES = 128,           /* of a row's path */
    TALLY_NAME_BYTES = 160,           /* of an application or a driver with its version */
    TALLY_BYTES_MAX = 4 * 1024 * 1024 /* of rows and samples, in one tally */
};

enum tally_count {
    TALLY_PASSED,    /* documents, or statements of updates */
    TALLY_REFUSED,   /* by a candidate, which refuses nothing */
    TALLY_UNDECIDED, /* it depends on the stored document */
    TALLY_COUNTS
};

/* Who writes. "" where the client does not say; never NULL. Borrowed. */
struct tally_writer {
    const char *application;
    const char *driver;
};

/* The same, kept. */
struct tally_client {
    char application[TALLY_NAME_BYTES];
    char driver[TALLY_NAME_BYTES];
};

/* What is wrong with a document. Neither text holds a value of it. */
struct tally_reason {
    char path[TALLY_PATH_BYTES]; /* of the first field that breaks a rule; "": the document */
    char text[REGISTRY_REASON_BYTES];
};

struct tally;

struct tally *tally_new(void); /* NULL when memory is out */
void tally_free(struct tally *tally);

/* --- the worker's --- */

/* Counts for a version of the entry; where memory is out, nothing. */
void tally_add(struct tally *tally, const struct registry_entry *entry,
               const struct schema_version *version, enum tally_count which, uint64_t n);
/* One document that the version refuses. writer may be NULL, info empty. */
void tally_refuse(struct tally *tally, const struct registry_entry *entry,
                  const struct schema_version *version, const struct tally_writer *writer,
                  const struct tally_reason *reason, int64_t at_ms, struct bytes info);
/* So many documents that it refuses, and nobody looked why. */
void tally_refuse_unexplained(struct tally *tally, const struct registry_entry *entry,
                              const struct schema_version *version,
                              const struct tally_writer *writer, uint64_t n);
/* Forgets versions that the registry does not have any more. */
void tally_trim(struct tally *tally, const struct registry *registry);

/* To say why a document is refused takes longer than to refuse it. It is paid with a part of the
 * time that checks take, so that a candidate that refuses everything does not slow writes down. */
bool tally_may_explain(const struct tally *tally);
/* explain_ns: of check_ns. */
void tally_earn(struct tally *tally, uint64_t check_ns, uint64_t explain_ns);
void tally_pay(struct tally *tally, uint64_t explain_ns);

/* --- anybody's --- */

/* Refusals that have all of these in common. */
struct tally_row {
    struct tally_reason reason; /* text "": nobody looked why */
    struct tally_client client;
    uint64_t count;
};

struct tally_sample {
    int64_t at_ms;
    struct tally_reason reason;
    struct tally_client client;
    uint8_t *info; /* errInfo, owned by the report; NULL when it was too large */
    size_t info_len;
};

/* Sums over the tallies that were added. Zero-initialised is empty. */
struct tally_report {
    uint64_t counts[TALLY_COUNTS];
    struct tally_row *rows; /* owned; most frequent first, once tally_report_finish was called */
    size_t row_count;
    size_t row_room;
    uint64_t other;                                  /* refusals for which no row was free */
    struct tally_sample samples[TALLY_SAMPLES_KEPT]; /* newest first */
    size_t sample_count;
    bool no_memory; /* something is missing */
};

void tally_report_add(struct tally_report *report, struct tally *tally,
                      const struct registry_entry *entry, const struct schema_version *version);
void tally_report_finish(struct tally_report *report);
void tally_report_release(struct tally_report *report);
/* The counts alone. */
void tally_sum(struct tally *tally, const struct registry_entry *entry,
               const struct schema_version *version, uint64_t counts[TALLY_COUNTS]);

#endif
