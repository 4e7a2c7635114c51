/* The admin endpoint: HTTP on a port and a thread of its own, so that a slow client of it never
 * holds up a MongoDB client. docs/operations.md describes it for users.
 *
 * It asks the rest of the proxy through the hooks below, and reads counters. */
#ifndef SLUICE_ADMIN_ADMIN_H
#define SLUICE_ADMIN_ADMIN_H

#include "catalog/catalog.h"
#include "config/config.h"
#include "session/session.h"
#include "upstream/topology.h"

enum admin_state { ADMIN_RUNNING, ADMIN_PAUSED, ADMIN_DRAINING };

/* Called on the admin thread, between admin_start and the end of admin_stop. */
struct admin_hooks {
    void *context;
    /* The present topology; false when memory is out. topology_snapshot_free is due. */
    bool (*topology)(void *context, struct topology_snapshot *out);
    enum admin_state (*state)(void *context);
    /* As the signals USR1, USR2 and TERM. */
    void (*pause)(void *context);
    void (*resume)(void *context);
    void (*drain)(void *context);
};

/* What the admin thread reads; outlives it. */
struct admin_parts {
    struct admin_hooks hooks;
    struct catalog *catalog;
    const struct session_shared *shared;
    struct session_worker *const *workers;
    unsigned worker_count;
};

struct admin;
/* The options admin… of a configuration with what is read from their files. */
struct admin_settings;

/* NULL with the reason: a token or a certificate that cannot be used. Takes a reference of config.
 */
struct admin_settings *admin_settings_new(struct config *config, struct error *err);
void admin_settings_free(struct admin_settings *settings); /* NULL is allowed */

/* Listens and serves, from now on. Takes over the settings, also on failure. */
struct admin *admin_start(const struct admin_parts *parts, struct admin_settings *settings,
                          struct error *err);
/* From a reload; takes over the settings. */
void admin_set_settings(struct admin *admin, struct admin_settings *settings);
/* Before the workers end. NULL is allowed. */
void admin_stop(struct admin *admin);

#endif
