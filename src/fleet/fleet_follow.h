/* Follows a registry on a thread of its own: what is new goes into the schema folder, which is what
 * the proxy enforces. Without the registry nothing changes: the folder's last state stays in force,
 * also over a restart. Where the registry has a change stream it is followed by it, else it is read
 * every period_ms.
 *
 * A document that cannot be used is reported, and the namespace's last good state stays. So does
 * that of a document that is gone: only one that accepts no version any more (schema retire --all)
 * ends the enforcement. */
#ifndef SLUICE_FLEET_FOLLOW_H
#define SLUICE_FLEET_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "upstream/uri.h"

struct fleet_follower;

struct fleet_follow_settings {
    const struct uri *uri;   /* borrowed for the call */
    const char *registry;    /* "DATABASE.COLLECTION"; the strings are borrowed for the call */
    const char *folder;      /* must be there */
    const char *name;        /* of this proxy, in the registry */
    const char *version;     /* of the program */
    int64_t period_ms;       /* without a change stream */
    void (*changed)(void *); /* files have changed: on the follower's thread */
    /* Whether the proxy enforces the schema with that hash for the namespace; on that thread, after
     * `changed`. */
    bool (*in_force)(void *arg, const char *ns, const char *hash);
    void *arg;
};

enum fleet_mode { FLEET_AWAY, FLEET_STREAM, FLEET_POLLING };
extern const char *const fleet_mode_names[];

enum { FLEET_PROBLEMS_SHOWN = 20 };

struct fleet_problem {
    char ns[256];
    char reason[256];
};

/* What the follower says of itself. Times are since 1970. */
struct fleet_status {
    char registry[320];
    enum fleet_mode mode;
    bool loaded;          /* all was read once, or the folder holds what was known before */
    char error[512];      /* why it is away; "": it is not */
    char trouble[512];    /* why the registry cannot be told about this proxy; "": it can */
    int64_t contact_ms;   /* when the registry answered last; 0: not yet */
    int64_t lag_ms;       /* of the last change: from its push until it was in force; -1: none */
    uint64_t changes;     /* files written or removed */
    uint64_t errors;      /* times that the registry or the folder failed */
    size_t namespaces;    /* that the registry feeds */
    size_t problem_count; /* namespaces whose document cannot be used, or is gone */
    size_t shown;
    struct fleet_problem problems[FLEET_PROBLEMS_SHOWN];
};

struct fleet_follower *fleet_follow(const struct fleet_follow_settings *settings,
                                    struct error *err);
/* Any thread. */
void fleet_follower_status(struct fleet_follower *follower, struct fleet_status *out);
/* Ends it; waits for what is under way: half a second as a rule, FLEET_ANSWER_MS at most. NULL is
 * allowed. No `changed` comes after it. */
void fleet_follower_stop(struct fleet_follower *follower);

#endif
