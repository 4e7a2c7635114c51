/* Which namespace has which schema: an immutable, counted set that is replaced as a whole when a
 * file or a collection's validator changes. Entries are shared between sets, so a new set costs a
 * table of pointers. Pure.
 *
 * Retain, release and reading are thread-safe; a set is edited by one thread, before others see
 * it. */
#ifndef SLUICE_ENFORCE_REGISTRY_H
#define SLUICE_ENFORCE_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>

#include "schema/file.h"

enum {
    REGISTRY_REFUSALS_KEPT = 8,  /* the last ones, of each namespace */
    REGISTRY_REASON_BYTES = 256, /* of a refusal's reason */
    REGISTRY_INFO_BYTES = 4096   /* a larger errInfo is not kept */
};

/* Where an entry comes from. A file's wins over a collection's validator. */
enum registry_origin { REGISTRY_FILE, REGISTRY_COLLECTION };

/* What was counted for a namespace. It goes over to the entry that replaces an older one, so that
 * a reload does not set it back. Documents, or statements of updates. */
enum registry_count {
    REGISTRY_PASSED,
    REGISTRY_REFUSED,          /* answered with an error, w:0 drops included */
    REGISTRY_DROPPED,          /* of those, the ones of w:0 writes: nobody was told */
    REGISTRY_WARNED,           /* refused by the schema, let pass by action warn */
    REGISTRY_BYPASSED,         /* bypassDocumentValidation */
    REGISTRY_UNPROVED_ALLOWED, /* the result could not be known */
    REGISTRY_UNPROVED_REJECTED,
    REGISTRY_CHECK_NS, /* time spent; added by the caller, the core knows no clock */
    REGISTRY_COUNTS
};

/* A document that was refused (or warned of). */
struct registry_refusal {
    int64_t at_ms;   /* since 1970; given by the caller */
    uint64_t number; /* 1 for the first of its namespace; 0: the place is empty */
    bool warned;
    char reason[REGISTRY_REASON_BYTES]; /* operators and field names, never a value of the document
                                         */
    uint8_t *info;                      /* errInfo, owned by the ring; NULL when it was too large */
    size_t info_len;
};

struct registry_stats {
    atomic_uint references;
    _Atomic uint64_t counts[REGISTRY_COUNTS];
    pthread_mutex_t lock; /* of what follows; taken only when a document is refused, or shown */
    uint64_t refusals;
    struct registry_refusal last[REGISTRY_REFUSALS_KEPT];
};

struct registry_entry {
    atomic_uint references;
    enum registry_origin origin;
    char *source;                 /* owned: the file's path, or "collection validator" */
    struct schema_file file;      /* ns, level, action, versions, …; owned */
    size_t ns_len;                /* of file.ns */
    struct registry_stats *stats; /* a reference */
};

/* A collection of the upstream whose validator is not enforced here; the server enforces it. */
struct registry_left_out {
    char *ns;
    char *reason; /* one line */
};

struct registry;

/* An entry of its own; takes over what `file` holds (it is empty afterwards), also on failure.
 * NULL when memory is out. */
struct registry_entry *registry_entry_new(struct schema_file *file, enum registry_origin origin,
                                          const char *source);
struct registry_entry *registry_entry_retain(struct registry_entry *entry);
void registry_entry_release(struct registry_entry *entry);
/* Whether both enforce the same in the same way, wherever they come from. */
bool registry_entry_is_same(const struct registry_entry *a, const struct registry_entry *b);

/* An empty set, or one with the entries of another. One reference. NULL when memory is out. */
struct registry *registry_new(void);
struct registry *registry_copy(const struct registry *from);
struct registry *registry_retain(struct registry *registry);
void registry_release(struct registry *registry); /* NULL is allowed */

/* Puts the entry in the place of the one with its namespace and origin, whose stats it takes over.
 * Takes over the reference, also on failure. False when memory is out. */
bool registry_put(struct registry *registry, struct registry_entry *entry);
/* False when there was none. Where both origins had one, the other comes into force. */
bool registry_remove(struct registry *registry, const char *ns, size_t len,
                     enum registry_origin origin);

/* The collection's validator is not enforced, in this set, for that reason; NULL: it is, or there
 * is none. False when memory is out. */
bool registry_leave_out(struct registry *registry, const char *ns, const char *reason);
/* Of the namespace, NULL for none; or all of them, sorted. Borrowed from the set, which may be
 * NULL.
 */
const struct registry_left_out *registry_find_left_out(const struct registry *registry,
                                                       const char *ns);
const struct registry_left_out *registry_left_out(const struct registry *registry, size_t *count);

/* What the compiled schemas of all entries take, those that are not in force included. */
size_t registry_bytes(const struct registry *registry);
/* Of the entry with that namespace and origin; 0 without one. */
size_t registry_bytes_of(const struct registry *registry, const char *ns,
                         enum registry_origin origin);

/* The entry in force, borrowed from the set; NULL where there is none. `registry` may be NULL. */
const struct registry_entry *registry_find(const struct registry *registry, const char *ns,
                                           size_t len);
/* Also for an empty or missing set: 0. Entries in force. */
size_t registry_size(const struct registry *registry);

/* Whether a schema is in force in that database: one whose level is not off. */
bool registry_guards(const struct registry *registry, struct bytes database);
/* The first entry there (of all, where database is empty) that rejects what cannot be proved, and
 * does more than warn of it; NULL where there is none. */
const struct registry_entry *registry_strictest(const struct registry *registry,
                                                struct bytes database);

/* Every entry in force, sorted by namespace. Returns at the first false of `each`. */
void registry_each(const struct registry *registry,
                   bool (*each)(void *arg, const struct registry_entry *entry), void *arg);

static inline void registry_count_add(const struct registry_entry *entry, enum registry_count which,
                                      uint64_t n)
{
    if (n > 0)
        atomic_fetch_add_explicit(&entry->stats->counts[which], n, memory_order_relaxed);
}

/* Keeps a refusal among the last ones. info may be empty. */
void registry_note_refusal(const struct registry_entry *entry, int64_t at_ms, bool warned,
                           const char *reason, struct bytes info);
/* Copies the last refusals, newest first, into out; each info is memory_alloc'd for the caller.
 * Returns how many. */
size_t registry_last_refusals(const struct registry_entry *entry,
                              struct registry_refusal out[REGISTRY_REFUSALS_KEPT]);

#endif
