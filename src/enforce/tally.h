/* The counters of one worker for single versions of a namespace: documents that only an older
 * version accepts, and the effects of a candidate.
 *
 * Each worker writes only to its own tally. Every thread may read it: the lock belongs to the
 * tally, so a worker can wait for a reader but never for another worker. Memory: one record for
 * each counted version (tally_trim drops removed versions), and TALLY_BYTES_MAX for all rows and
 * samples. Pure. */
#ifndef SLUICE_ENFORCE_TALLY_H
#define SLUICE_ENFORCE_TALLY_H

#include "catalog/registry.h"

enum {
    TALLY_ROWS_MAX = 200,             /* of one version */
    TALLY_SAMPLES_KEPT = 8,           /* the last ones, of one version */
    TALLY_PATH_BYTES = 128,           /* of a row's path */
    TALLY_NAME_BYTES = 160,           /* of an application, or a driver with its version */
    TALLY_BYTES_MAX = 4 * 1024 * 1024 /* of rows and samples in one tally */
};

enum tally_count {
    TALLY_PASSED,    /* documents, or statements of updates */
    TALLY_REFUSED,   /* by a candidate, which has no effect on the write */
    TALLY_UNDECIDED, /* it depends on the stored document */
    TALLY_COUNTS
};

/* The writing client. Texts are "" if unknown, never NULL. Borrowed. */
struct tally_writer {
    const char *application;
    const char *driver;
};

/* A stored copy of it. */
struct tally_client {
    char application[TALLY_NAME_BYTES];
    char driver[TALLY_NAME_BYTES];
};

/* The fault of a document. The texts contain no values. */
struct tally_reason {
    char path[TALLY_PATH_BYTES]; /* of the first field that breaks a rule; "" means the document */
    char text[REGISTRY_REASON_BYTES];
};

struct tally;

struct tally *tally_new(void); /* NULL when memory is out */
void tally_free(struct tally *tally);

/* --- for the worker --- */

/* Counts for a version of the entry; without memory nothing. */
void tally_add(struct tally *tally, const struct registry_entry *entry,
               const struct schema_version *version, enum tally_count which, uint64_t n);
/* Counts one document that the version refuses. writer may be NULL, info empty. */
void tally_refuse(struct tally *tally, const struct registry_entry *entry,
                  const struct schema_version *version, const struct tally_writer *writer,
                  const struct tally_reason *reason, int64_t at_ms, struct bytes info);
/* Counts refused documents without a reason. */
void tally_refuse_unexplained(struct tally *tally, const struct registry_entry *entry,
                              const struct schema_version *version,
                              const struct tally_writer *writer, uint64_t n);
/* Drops versions that the registry no longer contains. */
void tally_trim(struct tally *tally, const struct registry *registry);

/* Explaining a refusal takes longer than finding it. Explanations may use only a part of the time
 * of all checks, so that a candidate that refuses everything does not slow writes down. */
bool tally_may_explain(const struct tally *tally);
/* explain_ns: of check_ns. */
void tally_earn(struct tally *tally, uint64_t check_ns, uint64_t explain_ns);
void tally_pay(struct tally *tally, uint64_t explain_ns);

/* --- for every thread --- */

/* Refusals that agree in all these fields. */
struct tally_row {
    struct tally_reason reason; /* text "": not explained */
    struct tally_client client;
    uint64_t count;
};

struct tally_sample {
    int64_t at_ms;
    struct tally_reason reason;
    struct tally_client client;
    uint8_t *info; /* errInfo, owned by the report; NULL if it was too large */
    size_t info_len;
};

/* Sums over the added tallies. All zeros means empty. */
struct tally_report {
    uint64_t counts[TALLY_COUNTS];
    struct tally_row *rows; /* owned; sorted by frequency after tally_report_finish */
    size_t row_count;
    size_t row_room;
    uint64_t other;                                  /* refusals without a free row */
    struct tally_sample samples[TALLY_SAMPLES_KEPT]; /* newest first */
    size_t sample_count;
    bool no_memory; /* the report is incomplete */
};

void tally_report_add(struct tally_report *report, struct tally *tally,
                      const struct registry_entry *entry, const struct schema_version *version);
void tally_report_finish(struct tally_report *report);
void tally_report_release(struct tally_report *report);
/* Only the counts. */
void tally_sum(struct tally *tally, const struct registry_entry *entry,
               const struct schema_version *version, uint64_t counts[TALLY_COUNTS]);

#endif
