/* A schema of a namespace: its program, its source, its counters and its last refusals. Pure.
 *
 * Everything here is thread-safe once other threads know the entry. */
#ifndef SLUICE_CATALOG_REGISTRY_ENTRY_H
#define SLUICE_CATALOG_REGISTRY_ENTRY_H

#include <pthread.h>
#include <stdatomic.h>

#include "schema/file.h"

enum {
    REGISTRY_REFUSALS_KEPT = 8,  /* the last ones of each namespace */
    REGISTRY_REASON_BYTES = 256, /* of a refusal's reason */
    REGISTRY_INFO_BYTES = 4096   /* a larger errInfo is not kept */
};

/* The source of an entry. A file overrides a collection's validator. */
enum registry_origin { REGISTRY_FILE, REGISTRY_COLLECTION };

/* The counters of a namespace, for documents or statements of updates. They continue in the entry
 * that replaces an older one, so a reload does not reset them. */
enum registry_count {
    REGISTRY_PASSED,
    REGISTRY_REFUSED,          /* answered with an error, including dropped w:0 writes */
    REGISTRY_DROPPED,          /* w:0 writes of REFUSED and UNPROVED_REJECTED: no client was told */
    REGISTRY_WARNED,           /* refused by the schema, allowed by action warn */
    REGISTRY_BYPASSED,         /* bypassDocumentValidation */
    REGISTRY_UNPROVED_ALLOWED, /* the result was not certain */
    REGISTRY_UNPROVED_REJECTED, /* the same, refused for it; not in REFUSED */
    REGISTRY_CHECK_NS, /* spent time; the caller adds it, because the core knows no clock */
    REGISTRY_COUNTS
};

/* A refused or warned document. */
struct registry_refusal {
    int64_t at_ms;   /* since 1970; from the caller */
    uint64_t number; /* 1 for the first of its namespace; 0: unused */
    bool warned;
    char reason[REGISTRY_REASON_BYTES]; /* operators and field names, never a value of the document
                                         */
    uint8_t *info;                      /* errInfo, owned by the ring; NULL if it was too large */
    size_t info_len;
};

struct registry_stats {
    atomic_uint references;
    _Atomic uint64_t counts[REGISTRY_COUNTS];
    pthread_mutex_t lock; /* guards the rest; taken only when a document is refused or displayed */
    uint64_t refusals;    /* the last ones are kept */
    struct registry_refusal last[REGISTRY_REFUSALS_KEPT];
    uint64_t warned_told;  /* WARNED at the last warned_summary_log, whose thread alone uses it */
    uint64_t refused_told; /* REFUSED and UNPROVED_REJECTED at that time */
};

struct registry_entry {
    atomic_uint references;
    enum registry_origin origin;
    char *source;                 /* owned: the file's path, or "collection validator" */
    struct schema_file file;      /* ns, level, action, versions, …; owned */
    size_t ns_len;                /* of file.ns */
    struct registry_stats *stats; /* a reference */
};

/* Makes an entry and takes over the contents of `file` (empty afterwards), also on failure. NULL
 * without memory. */
struct registry_entry *registry_entry_new(struct schema_file *file, enum registry_origin origin,
                                          const char *source);
struct registry_entry *registry_entry_retain(struct registry_entry *entry);
void registry_entry_release(struct registry_entry *entry);
/* True if both enforce the same rules in the same way, whatever their source. */
bool registry_entry_is_same(const struct registry_entry *a, const struct registry_entry *b);

/* Continues the counters of the older entry in the new one, which no other thread knows yet. */
void registry_entry_adopt_stats(struct registry_entry *entry, const struct registry_entry *older);

static inline void registry_count_add(const struct registry_entry *entry, enum registry_count which,
                                      uint64_t n)
{
    if (n > 0)
        atomic_fetch_add_explicit(&entry->stats->counts[which], n, memory_order_relaxed);
}

/* Keeps a refusal among the last ones. `info` may be empty. */
void registry_note_refusal(const struct registry_entry *entry, int64_t at_ms, bool warned,
                           const char *reason, struct bytes info);
/* Copies the last refusals, newest first, into out; each info is allocated for the caller with
 * memory_alloc. Returns their number. */
size_t registry_last_refusals(const struct registry_entry *entry,
                              struct registry_refusal out[REGISTRY_REFUSALS_KEPT]);

#endif
