/* What is done to a namespace's schemas: each makes the next revision of a document. Who, when and
 * the random are parameters. Pure.
 *
 * A push makes a version the newest; those before stay accepted until they are retired, or for a
 * time. A rollback brings back the state of an earlier revision, settings included. Nothing is
 * forgotten but what goes over the limits of fleet_document.h: the oldest unused versions and the
 * oldest steps. */
#ifndef SLUICE_FLEET_CHANGE_H
#define SLUICE_FLEET_CHANGE_H

#include "fleet/fleet_document.h"

struct fleet_author {
    const char *by;
    const char *note; /* NULL: none */
    int64_t at_ms;    /* since 1970 */
};

struct fleet_push {
    const char *text; /* of the schema; checked to be the one with the hash */
    size_t text_len;
    const char *hash;
    const char *name; /* NULL: none */
    enum schema_dialect dialect;
    enum schema_level level;
    enum schema_action action;
    bool reject_unproved;
    bool allow_bypass;
    bool as_candidate;  /* else it becomes the newest */
    int64_t until_ms;   /* the others are accepted until then; 0: until they are retired */
    bool retire_others; /* the others are not accepted any more */
};

enum fleet_outcome {
    FLEET_CHANGED,
    FLEET_UNCHANGED, /* it is so already */
    FLEET_IMPOSSIBLE /* err says why */
};

/* Each changes the document in place; with FLEET_IMPOSSIBLE it is good for nothing but freeing. */
enum fleet_outcome fleet_push(struct fleet_document *document, const struct fleet_push *push,
                              const struct fleet_author *author, struct error *err);
/* Makes the version the newest. Those accepted before stay so until `until_ms` (0: until they are
 * retired), or not at all. */
enum fleet_outcome fleet_promote(struct fleet_document *document, const char *version,
                                 int64_t until_ms, bool retire_others,
                                 const struct fleet_author *author, struct error *err);
/* The state of that revision again; 0: of the one before the present. */
enum fleet_outcome fleet_rollback(struct fleet_document *document, int64_t revision,
                                  const struct fleet_author *author, struct error *err);
/* The version is not accepted any more, nor a candidate; at_ms: from then on (0: now). The newest
 * cannot be retired while others are accepted. */
enum fleet_outcome fleet_retire(struct fleet_document *document, const char *version, int64_t at_ms,
                                const struct fleet_author *author, struct error *err);
/* All but the newest, or all: then nothing is enforced for the namespace. */
enum fleet_outcome fleet_retire_others(struct fleet_document *document,
                                       const struct fleet_author *author, struct error *err);
enum fleet_outcome fleet_retire_all(struct fleet_document *document,
                                    const struct fleet_author *author, struct error *err);

#endif
