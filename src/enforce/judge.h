/* Documents and statements held against the schema of their namespace: what is let pass, what is
 * refused, who is told, and what is counted. */
#ifndef SLUICE_ENFORCE_JUDGE_H
#define SLUICE_ENFORCE_JUDGE_H

#include "bson/scan.h"
#include "enforce/enforce_terms.h"
#include "enforce/refusals.h"

struct judge_reason;

struct judge {
    const struct enforce_command *command;
    const struct enforce_observer *observer;
    struct schema_scratch *scratch;
    struct error *err;
    bool bypass;                         /* bypassDocumentValidation was asked for */
    bool silent;                         /* nobody is told of refusals */
    bool update;                         /* the statement at hand is an update */
    bool validated;                      /* the last document of judge_insert was checked as BSON */
    const struct registry_entry *entry;  /* of the statement at hand; NULL: nothing to check */
    const struct judge_reason *opaque;   /* why no document of it can be judged; or NULL */
    uint32_t accepted;                   /* versions of the entry, by their bits: the newest is 1 */
    bool tries;                          /* the entry has a candidate, and there is a tally */
    uint64_t counts[REGISTRY_COUNTS];    /* for the entry, not yet added to its stats */
    uint64_t older[SCHEMA_VERSIONS_MAX]; /* documents that an older version accepts, likewise */
    uint64_t unexplained;                /* documents that the candidate refuses, likewise */
    uint64_t tried[TALLY_COUNTS];       /* by the candidate, likewise; refusals are added at once */
    struct schema_allowance *allowance; /* of the command, for newest versions … */
    struct schema_allowance other;      /* … and for all other ones together */
    struct schema_allowance other_before;
    unsigned others;     /* how many it has room for */
    size_t other_ns;     /* what they took, about */
    uint64_t explain_ns; /* of REGISTRY_CHECK_NS, for what a candidate refuses */
    uint64_t since_ns;
    struct refusals *refusals; /* of the command */
    size_t held_bytes;         /* for them, taken from the observer */
};

/* What it takes to judge a statement, about: at least, for its bytes, and for what it has of the
 * allowance. */
enum { JUDGE_NS = 60, JUDGE_BYTES_A_NS = 3, JUDGE_STEP_NS = 5 };

enum judged {
    JUDGED_PASS,
    JUDGED_REFUSED, /* it is among the refusals now */
    JUDGED_FAILED   /* err is set: the command as a whole is answered with it */
};

/* Where something is written to. */
struct judge_target {
    const struct registry_entry *entry; /* NULL where no schema is in force there */
    bool buckets; /* it is system.buckets.X, which holds the documents of the time series X packed;
                     the entry is that of X */
};

struct judge_target judge_find_namespace(const struct registry *registry, struct bytes ns);
struct judge_target judge_find(const struct registry *registry, struct bytes database,
                               struct bytes collection);

/* What comes is of that namespace. */
void judge_enter(struct judge *judge, const struct registry_entry *entry);
/* The same; its documents are judged as unproved where they are packed, or `opaque` (the server
 * changes them). */
void judge_enter_target(struct judge *judge, struct judge_target target, bool opaque);
/* The counts go to the stats. */
void judge_leave(struct judge *judge);
/* The time between the two is not spent on checking. */
void judge_pause(struct judge *judge);
void judge_resume(struct judge *judge);

/* Whether the statement at hand is let pass unchecked, and counts it then. */
bool judge_bypasses(struct judge *judge);
/* Whether its documents are known, and looked at. */
bool judge_looks(const struct judge *judge);

/* A document as it will be stored, apart from an `_id` that the server makes. */
enum judged judge_insert(struct judge *judge, uint32_t index, struct bytes document);

/* Whether a document has no `_id`. */
bool judge_lacks_id(struct bytes document);

/* The verdict on a document with `id` (NULL: some ObjectId) in front where it has no _id. For
 * SCHEMA_INVALID and SCHEMA_CUT_OFF judge_document_refused is the next call. SCHEMA_MALFORMED also
 * where memory is out; err is set. */
enum schema_verdict judge_verdict(struct judge *judge, struct bytes document,
                                  const struct scan_element *id);
enum judged judge_document_refused(struct judge *judge, uint32_t index, struct bytes document,
                                   const struct scan_element *id);

/* The same where a limit cut the check off: err says which. */
enum judged judge_document_cut_off(struct judge *judge, uint32_t index, struct bytes document);

/* What is checked between the two is not the newest version: it has an allowance of its own, so
 * that what the newest accepts is never cut off for it. `bytes`: of the document. */
void judge_begin_other(struct judge *judge);
void judge_end_other(struct judge *judge, size_t bytes);

/* judge_verdict by one schema that is not the newest version; judge->err stays as it is. */
enum schema_verdict judge_verdict_other(struct judge *judge, const struct schema *schema,
                                        struct bytes document, const struct scan_element *id);

/* errInfo of a document that the schema refuses; empty where there is no memory for it. Both
 * builders are begun. */
struct bytes judge_explain(struct judge *judge, const struct schema *schema, struct bytes document,
                           const struct scan_element *id, struct build *first,
                           struct build *second);

/* Why an update is refused, or not known to be right. */
struct judge_reason {
    const char *text;
    const char *operator_name; /* NULL, or the operator (or stage) … */
    const char *path;          /* … and NULL, or what it would change */
};
/* It as errInfo. Begins `out`. */
bool judge_write_reason(const struct judge_reason *why, const struct scan_element *id,
                        struct build *out, struct bytes *info);
/* A refusal for that reason. `id`: failingDocumentId, or NULL. */
enum judged judge_refuse(struct judge *judge, uint32_t index, const struct judge_reason *why,
                         const struct scan_element *id);

/* A refusal of a statement that the server refuses for its form, with its code. */
enum judged judge_refuse_form(struct judge *judge, uint32_t index, int code, const char *message);

/* A refusal with that errInfo. */
enum judged judge_refuse_info(struct judge *judge, uint32_t index, struct bytes info);

/* What cannot be known beforehand: passes or is refused as the namespace's `unproved` says. */
enum judged judge_unproved(struct judge *judge, uint32_t index, const struct judge_reason *why,
                           const struct scan_element *id);
/* The same where it cannot be known of any schema. */
enum judged judge_unknown(struct judge *judge, uint32_t index, const struct judge_reason *why,
                          const struct scan_element *id);

#endif
