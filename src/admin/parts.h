/* The parts of the proxy that the admin endpoint reads, and the hooks for its requests to the rest.
 */
#ifndef SLUICE_ADMIN_PARTS_H
#define SLUICE_ADMIN_PARTS_H

#include "catalog/catalog.h"
#include "config/config.h"
#include "fleet/fleet_follow.h"
#include "net/tls.h"
#include "session/session.h"
#include "upstream/topology.h"

enum admin_state { ADMIN_RUNNING, ADMIN_PAUSED, ADMIN_DRAINING };

/* The last reload. */
struct admin_reload {
    int64_t at_ms; /* since 1970; 0: none since the start */
    bool good;
    char error[512];
    uint64_t good_count;
    uint64_t failed_count;
    size_t restart_count; /* options that changed, and change only with a restart */
    const char *needs_restart[CONFIG_OPTIONS_MAX];
};

/* A certificate that the proxy sends. */
struct admin_certificate {
    const char *option; /* a label of metrics; static */
    char file[512];
    struct tls_validity validity;
};
enum { ADMIN_CERTIFICATES_MAX = 3 };

struct admin_certificates {
    size_t count;
    struct admin_certificate of[ADMIN_CERTIFICATES_MAX];
    char problem[512]; /* the reason why changed files are not used; "" if they are */
};

/* Called on the admin thread, between admin_start and the end of admin_stop, and on the main
 * thread. */
struct admin_hooks {
    void *context;
    /* The present topology; false without memory. Release it with topology_snapshot_free. */
    bool (*topology)(void *context, struct topology_snapshot *out);
    /* The proxy's port for a server of the topology; 0 if it has none. */
    uint16_t (*port_of_server)(void *context, const char *server);
    /* True if every server of the topology had a port once. */
    bool (*had_all_ports)(void *context);
    enum admin_state (*state)(void *context);
    /* Like the signals USR1, USR2 and TERM. */
    void (*pause)(void *context);
    void (*resume)(void *context);
    void (*drain)(void *context);
    /* The registry of schemas; false if the proxy follows none. */
    bool (*fleet)(void *context, struct fleet_status *out);
    void (*reload)(void *context, struct admin_reload *out);
    void (*certificates)(void *context, struct admin_certificates *out);
};

/* The parts that the admin thread reads; they outlive it. */
struct admin_parts {
    struct admin_hooks hooks;
    struct catalog *catalog;
    const struct session_shared *shared;
    struct session_worker *const *workers;
    unsigned worker_count;
};

#endif
