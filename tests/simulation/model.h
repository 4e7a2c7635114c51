/* The actors and checks of a history, between the files of this folder. */
#ifndef SIMULATION_MODEL_H
#define SIMULATION_MODEL_H

#include "plan.h"
#include "world.h"

/* Hosts: "a", "b", "c" (members), "s" (mongos), "p" (the proxy), "c1", "c2", … (clients). Members
 * and mongos listen on port 27017 of their host ("a:27017"); the proxy on "p:27017" and the ports
 * after it, one for each server. The database of the application is "app". */

/* --- the model server (server/) --- */

struct cluster;

struct cluster *cluster_create(struct world *world, const struct plan *plan);
void cluster_destroy(struct cluster *cluster);

/* The truth that the proxy's own monitoring would find, and its changes (for the second
 * implementation of upstream/topology.h). Members as "a:27017". */
struct cluster_view {
    unsigned count;
    struct {
        char address[32];
        bool up, primary;
    } members[PLAN_MEMBERS_MAX + 1];
};
void cluster_view(const struct cluster *cluster, struct cluster_view *out);
/* `changed` runs at once with each change. (NULL, NULL) ends it. */
void cluster_follow(struct cluster *cluster, void (*changed)(void *arg), void *arg);

/* The SCRAM keys of a user, for the proxy's verifiers; false: the user does not exist now. */
struct cluster_user_keys {
    int iterations;
    uint8_t salt[28]; /* 16 bytes for SCRAM-SHA-1, 28 for SCRAM-SHA-256 */
    size_t salt_len;
    uint8_t stored_key[32], server_key[32]; /* 20 or 32 bytes */
    size_t key_len;
};
bool cluster_user_keys(const struct cluster *cluster, unsigned user, bool is_sha256,
                       struct cluster_user_keys *out);

/* faults */
void cluster_restart_member(struct cluster *cluster, unsigned member, int64_t down_us);
void cluster_step_down(struct cluster *cluster, bool orderly);
void cluster_slow_disk(struct cluster *cluster, unsigned member, int64_t delay_us);
/* Open connections of the user lose its rights for good. The user exists anew at the time
 * `until_us` of the history. */
void cluster_drop_user(struct cluster *cluster, unsigned user, int64_t until_us);
/* The servers check documents against APPLICATION_SCHEMA_STRICT, or nothing. They do so for
 * APPLICATION_CHECKED from the start if the plan has schemas and no proxy. */
void cluster_set_validator(struct cluster *cluster, const char *collection, bool strict);
/* For this time, current servers refuse commands of clients that said "backpressure" with code 462
 * and the labels SystemOverloadedError and RetryableError. Such a command did not run. */
void cluster_overload(struct cluster *cluster, unsigned per_mille, int64_t lasts_us);
/* For this time, each statement of a write may end its command with code 14031 (OutOfDiskSpace).
 * Statements before it have run. */
void cluster_fill_disks(struct cluster *cluster, unsigned per_mille, int64_t lasts_us);
/* For this time, each write that ran may lose its connection in place of its answer. */
void cluster_lose_answers(struct cluster *cluster, unsigned per_mille, int64_t lasts_us);
/* Members that neither hear each other nor have a third one that hears both do not replicate and
 * do not elect each other. Each call with `parted` needs one without. */
void cluster_part_members(struct cluster *cluster, unsigned a, unsigned b, bool parted);
/* A member that is `plan.members` is the mongos, for cluster_restart_member. A step-down that is
 * not orderly cuts the primary off from the others for up to 3 s: they elect another one, and the
 * old one loses what it wrote meanwhile. Nothing happens on a standalone, without a primary, and
 * while such a time lasts. */

/* For the checks: what the surviving history holds. A document of the application is known by its
 * token (its _id, int64). */
struct cluster_document {
    int64_t token;
    unsigned user;       /* the insert's, as the server authenticated; 0: nobody */
    unsigned writers;    /* all users that wrote it, as bits (1 << user) */
    unsigned written;    /* executed inserts that survived; an insert after a delete counts again */
    int64_t increments;  /* its field `i` */
    bool breaks_schema;  /* judged by the model server's own reading */
    int64_t inserted_us; /* when the insert ran that it is from */
    bool is_deleted;
    /* Inserts that were refused with E11000, on any member and at any time. They are no writes. */
    unsigned duplicates;
    /* Executed writes of it (insert, update, delete) that a crash or a rollback undid. A write that
     * was acknowledged by less than a majority may be among them. */
    unsigned rolled_back;
};
/* False: not there. `out` then still has the other fields of what was there. */
bool cluster_find(const struct cluster *cluster, const char *collection, int64_t token,
                  struct cluster_document *out);
void cluster_each(const struct cluster *cluster, const char *collection,
                  void (*each)(void *arg, const struct cluster_document *document), void *arg);
/* Commands that the servers executed so far, by name; for comparison with the proxy's counters. */
uint64_t cluster_commands(const struct cluster *cluster, const char *name);

/* --- the model drivers (drivers/) --- */

struct drivers;

/* Clients dial `address` ("p:27017", or the cluster's own members in the control). */
struct drivers *drivers_create(struct world *world, const struct plan *plan, const char *address);
/* Each operation has its outcome, or its client vanished. */
bool drivers_are_done(const struct drivers *drivers);
void drivers_destroy(struct drivers *drivers);

/* --- checks (check/) --- */

/* At the end, when the faults have ceased and all is still: compares what the drivers were told
 * with what the cluster holds, and fails the world where they differ. */
void check_end(struct world *world, const struct plan *plan, const struct drivers *drivers,
               const struct cluster *cluster);

/* --- the proxy (net/, proxy/) --- */

struct simulated_proxy;

/* The real program in this world, on host "p". */
struct simulated_proxy *simulated_proxy_start(struct world *world, const struct plan *plan,
                                              struct cluster *cluster);
void simulated_proxy_drain(struct simulated_proxy *proxy);
bool simulated_proxy_is_empty(const struct simulated_proxy *proxy);
void simulated_proxy_pause(struct simulated_proxy *proxy, bool pause);
/* With options from `number`. */
void simulated_proxy_reload(struct simulated_proxy *proxy, uint32_t number);
void simulated_proxy_schemas(struct simulated_proxy *proxy, bool strict);
/* An operator asks the admin endpoint for a page, and checks the answer. */
void simulated_proxy_look(struct simulated_proxy *proxy, enum plan_page page);
/* For all pages with figures, when the history is over. */
void simulated_proxy_look_at_figures(struct simulated_proxy *proxy);
/* An operator's command to the admin endpoint. Where it fails, a signal does the same. */
enum operator_command {
    OPERATOR_PAUSES,
    OPERATOR_RESUMES,
    OPERATOR_DRAINS,
    OPERATOR_PUTS_SCHEMA,
    OPERATOR_DELETES_SCHEMA
};
void simulated_proxy_command(struct simulated_proxy *proxy, enum operator_command command,
                             bool strict);
/* It was told to drain. */
bool simulated_proxy_drains(const struct simulated_proxy *proxy);
/* Its monotonic clock stands still for this time. Then it goes on from there, or is right again. */
void simulated_proxy_stop_clock(struct simulated_proxy *proxy, int64_t lasts_us, bool catches_up);
/* Its monotonic clock is `by_us` later from now on. */
void simulated_proxy_leap_clock(struct simulated_proxy *proxy, int64_t by_us);
/* It does not run for this time. Its clock, the network and the kernel go on. */
void simulated_proxy_suspend(struct simulated_proxy *proxy, int64_t lasts_us);
/* 0: the usual limit again. */
void simulated_proxy_memory_max(struct simulated_proxy *proxy, uint64_t bytes);
/* Its counters, against what the drivers and the cluster saw. */
void simulated_proxy_check(struct simulated_proxy *proxy, const struct drivers *drivers,
                           const struct cluster *cluster);
/* No client is there, and nothing is kept for one. A reply to a hello of the proxy's own may be
 * half there, so this becomes true a little later. */
bool simulated_proxy_is_quiet(const struct simulated_proxy *proxy);
/* The clients have left for long: it is quiet. */
void simulated_proxy_check_quiet(struct simulated_proxy *proxy);
/* Closes the connections that are left, and ends. Fails the world if memory or descriptors are
 * left.
 */
void simulated_proxy_stop(struct simulated_proxy *proxy);
/* The same, but its connections break first; its memory is given back all the same. */
void simulated_proxy_crash(struct simulated_proxy *proxy);

/* --- faults (faults.c) --- */

struct faults;
struct faults *faults_begin(struct world *world, const struct plan *plan, struct cluster *cluster,
                            struct simulated_proxy **proxy);
bool faults_have_ceased(const struct faults *faults);
void faults_end(struct faults *faults);

/* --- the operator (operator.c) --- */

struct operator;
struct operator*
    operator_begin(struct world *world, const struct plan *plan, struct simulated_proxy **proxy);
void operator_end(struct operator* operator);

#endif
