/* Judges documents and statements by the schema of their namespace: accepts or refuses them,
 * reports refusals, and counts. */
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
    bool bypass;                        /* the command has bypassDocumentValidation */
    bool silent;                        /* refusals are not reported to the client */
    bool update;                        /* the current statement is an update */
    bool validated;                     /* the last document of judge_insert was checked as BSON */
    const struct registry_entry *entry; /* of the current statement; NULL: nothing to check */
    const struct judge_reason *opaque;  /* the reason why its documents cannot be judged; or NULL */
    uint32_t accepted; /* accepted versions of the entry, one bit each: the newest is 1 */
    bool tries;        /* the entry has a candidate, and there is a tally */
    uint64_t counts[REGISTRY_COUNTS]; /* for the entry, not yet added to its stats */
    uint64_t
        older[SCHEMA_VERSIONS_MAX]; /* documents that an older version accepts, not yet added */
    uint64_t unexplained;           /* documents that the candidate refuses, not yet added */
    uint64_t tried[TALLY_COUNTS];   /* checked against the candidate, not yet added; refusals are
                                       added at once */
    struct schema_allowance *allowance; /* of the command, for newest versions … */
    struct schema_allowance other;      /* … and for all others together */
    struct schema_allowance other_before;
    unsigned others;     /* the number of other checks that it allows */
    size_t other_ns;     /* their approximate time */
    uint64_t explain_ns; /* of REGISTRY_CHECK_NS, for refusals of a candidate */
    uint64_t since_ns;
    struct refusals *refusals; /* of the command */
    size_t held_bytes;         /* for the refusals, taken from the observer */
};

/* The approximate cost of judging a statement: at least, for its bytes, and for its part of the
 * allowance. */
enum { JUDGE_NS = 60, JUDGE_BYTES_A_NS = 3, JUDGE_STEP_NS = 5 };

enum judged {
    JUDGED_PASS,
    JUDGED_REFUSED, /* it is now among the refusals */
    JUDGED_FAILED   /* err is set: it answers the command as a whole */
};

/* The target of a write. */
struct judge_target {
    const struct registry_entry *entry; /* NULL if no schema is enforced there */
    bool buckets; /* it is system.buckets.X, which holds the packed documents of the time series X;
                     the entry belongs to X */
};

struct judge_target judge_find_namespace(const struct registry *registry, struct bytes ns);
struct judge_target judge_find(const struct registry *registry, struct bytes database,
                               struct bytes collection);

/* The following statements belong to this namespace. */
void judge_enter(struct judge *judge, const struct registry_entry *entry);
/* Does the same. The documents count as unproved if they are packed or `opaque` (the server changes
 * them). */
void judge_enter_target(struct judge *judge, struct judge_target target, bool opaque);
/* Adds the counts to the stats. */
void judge_leave(struct judge *judge);
/* The time between these two calls does not count as checking. */
void judge_pause(struct judge *judge);
void judge_resume(struct judge *judge);

/* True if the current statement passes unchecked; counts it then. */
bool judge_bypasses(struct judge *judge);
/* True if its documents are known and judged. */
bool judge_looks(const struct judge *judge);

/* Judges a document in its stored form, except for an `_id` that the server makes. */
enum judged judge_insert(struct judge *judge, uint32_t index, struct bytes document);

/* True if a document has no `_id`. */
bool judge_lacks_id(struct bytes document);

/* The verdict on a document; if it has no _id, `id` (NULL: some ObjectId) is put in front. After
 * SCHEMA_INVALID and SCHEMA_CUT_OFF the caller must call judge_document_refused. SCHEMA_MALFORMED
 * also without memory; err is set. */
enum schema_verdict judge_verdict(struct judge *judge, struct bytes document,
                                  const struct scan_element *id);
enum judged judge_document_refused(struct judge *judge, uint32_t index, struct bytes document,
                                   const struct scan_element *id);

/* Does the same for a check that a limit cut off: err has the limit. */
enum judged judge_document_cut_off(struct judge *judge, uint32_t index, struct bytes document);

/* Between these two calls, the check is not against the newest version. It has its own allowance,
 * so that it never costs the newest version its verdict. `bytes` is the size of the document. */
void judge_begin_other(struct judge *judge);
void judge_end_other(struct judge *judge, size_t bytes);

/* judge_verdict by a schema that is not the newest version; judge->err stays unchanged. */
enum schema_verdict judge_verdict_other(struct judge *judge, const struct schema *schema,
                                        struct bytes document, const struct scan_element *id);

/* errInfo of a document that the schema refuses; empty without memory. Starts both builders. */
struct bytes judge_explain(struct judge *judge, const struct schema *schema, struct bytes document,
                           const struct scan_element *id, struct build *first,
                           struct build *second);

/* The reason why an update is refused or unproved. */
struct judge_reason {
    const char *text;
    const char *operator_name; /* NULL, or the operator (or stage) … */
    const char *path;          /* … and NULL, or the path that it would change */
};
/* Writes it as errInfo. Starts `out`. */
bool judge_write_reason(const struct judge_reason *why, const struct scan_element *id,
                        struct build *out, struct bytes *info);
/* Refuses for this reason. `id` is failingDocumentId or NULL. */
enum judged judge_refuse(struct judge *judge, uint32_t index, const struct judge_reason *why,
                         const struct scan_element *id);

/* Refuses a statement that the server refuses for its form, with its code. */
enum judged judge_refuse_form(struct judge *judge, uint32_t index, int code, const char *message);

/* Refuses with this errInfo. */
enum judged judge_refuse_info(struct judge *judge, uint32_t index, struct bytes info);

/* An unproved statement: passes or is refused according to the namespace's `unproved`. */
enum judged judge_unproved(struct judge *judge, uint32_t index, const struct judge_reason *why,
                           const struct scan_element *id);
/* The same for a statement that no schema could judge. */
enum judged judge_unknown(struct judge *judge, uint32_t index, const struct judge_reason *why,
                          const struct scan_element *id);

#endif
