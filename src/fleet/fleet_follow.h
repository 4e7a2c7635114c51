/* Follows a registry on its own thread, and writes changes into the schema folder, which the proxy
 * enforces. If the registry is not reachable, the folder keeps its last state, also over a restart.
 * The follower uses a change stream if the deployment has them; otherwise it reads every period_ms.
 *
 * If a document is invalid or missing, the follower reports it, and the namespace keeps its last
 * good state. Only a document that accepts no version (schema retire --all) ends the enforcement.
 */
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
    const char *folder;      /* must exist */
    const char *name;        /* of this proxy, for its report */
    const char *version;     /* of the program */
    int64_t period_ms;       /* without a change stream */
    void (*changed)(void *); /* files have changed; on the follower's thread */
    /* True if the proxy enforces the schema with that hash for the namespace. On the follower's
     * thread, after `changed`. */
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

/* The state of the follower. Times are since 1970. */
struct fleet_status {
    char registry[320];
    enum fleet_mode mode;
    bool loaded;          /* the registry was read once, or the folder holds an earlier state */
    char error[512];      /* why the registry is not reachable; "": it is */
    char trouble[512];    /* why the proxy cannot report to the registry; "": it can */
    int64_t contact_ms;   /* time of the registry's last reply; 0: none yet */
    int64_t lag_ms;       /* from the last push to its enforcement; -1: none */
    uint64_t changes;     /* files written or removed */
    uint64_t errors;      /* failures of the registry or the folder */
    size_t namespaces;    /* from the registry */
    size_t problem_count; /* namespaces with an invalid or missing document */
    size_t shown;
    struct fleet_problem problems[FLEET_PROBLEMS_SHOWN];
};

struct fleet_follower *fleet_follow(const struct fleet_follow_settings *settings,
                                    struct error *err);
/* Any thread. */
void fleet_follower_status(struct fleet_follower *follower, struct fleet_status *out);
/* Ends the follower. Waits for the work under way: usually half a second, FLEET_ANSWER_MS at most.
 * NULL is allowed. The follower calls no `changed` afterwards. */
void fleet_follower_stop(struct fleet_follower *follower);

#endif
