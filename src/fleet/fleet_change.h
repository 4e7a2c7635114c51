/* The changes of a namespace's schemas. Each makes the next revision of a document. Author, time
 * and random bytes are parameters. Pure.
 *
 * A push makes a version the newest. The previous versions stay accepted until they are retired, or
 * until a given time. A rollback restores the state of an earlier revision, settings included. The
 * document keeps all versions and steps within the limits of fleet_document.h; beyond these, the
 * oldest unused versions and the oldest steps go. */
#ifndef SLUICE_FLEET_CHANGE_H
#define SLUICE_FLEET_CHANGE_H

#include "fleet/fleet_document.h"

struct fleet_author {
    const char *by;
    const char *note; /* NULL: none */
    int64_t at_ms;    /* since 1970 */
};

struct fleet_push {
    const char *text; /* the schema; the caller has checked that it has the hash */
    size_t text_len;
    const char *hash;
    const char *name; /* NULL: none */
    enum schema_dialect dialect;
    enum schema_level level;
    enum schema_action action;
    bool reject_unproved;
    bool allow_bypass;
    bool as_candidate;  /* else it becomes the newest */
    int64_t until_ms;   /* the end of the others' acceptance; 0: none */
    bool retire_others; /* end the others' acceptance now */
};

enum fleet_outcome {
    FLEET_CHANGED,
    FLEET_UNCHANGED, /* the state is the same already */
    FLEET_IMPOSSIBLE /* err holds the reason */
};

/* Each function changes the document in place. After FLEET_IMPOSSIBLE the caller may only free the
 * document. */
enum fleet_outcome fleet_push(struct fleet_document *document, const struct fleet_push *push,
                              const struct fleet_author *author, struct error *err);
/* Makes the version the newest. The previous versions stay accepted until `until_ms` (0: until they
 * are retired), or their acceptance ends now. */
enum fleet_outcome fleet_promote(struct fleet_document *document, const char *version,
                                 int64_t until_ms, bool retire_others,
                                 const struct fleet_author *author, struct error *err);
/* Restores the state of that revision; 0: of the previous one. */
enum fleet_outcome fleet_rollback(struct fleet_document *document, int64_t revision,
                                  const struct fleet_author *author, struct error *err);
/* Ends the acceptance of the version, or drops it as the candidate; at_ms: the time of the end
 * (0: now). The newest version cannot be retired while others are accepted. */
enum fleet_outcome fleet_retire(struct fleet_document *document, const char *version, int64_t at_ms,
                                const struct fleet_author *author, struct error *err);
/* Retires all versions but the newest, or all; without versions the proxies enforce nothing. */
enum fleet_outcome fleet_retire_others(struct fleet_document *document,
                                       const struct fleet_author *author, struct error *err);
enum fleet_outcome fleet_retire_all(struct fleet_document *document,
                                    const struct fleet_author *author, struct error *err);

#endif
