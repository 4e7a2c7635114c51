/* The parts of the proxy, for the files of this room. */
#ifndef SLUICE_MAIN_PROXY_PARTS_H
#define SLUICE_MAIN_PROXY_PARTS_H

#include <pthread.h>

#include "admin/admin.h"
#include "main/certificates.h"
#include "session/session.h"
#include "upstream/servers.h"

enum { WORKERS_MAX = 256 };

struct proxy {
    struct uri *uri;
    struct session_settings *settings; /* the current ones; main thread */
    struct session_shared shared;
    struct servers *servers;
    struct catalog *catalog;
    struct fleet_follower *follower;         /* guarded by lock; NULL: no registry */
    struct verifier_source *verifier_source; /* NULL: auth.verifiers is none */
    struct topology *topology;
    struct worker *control;
    struct admin *admin; /* NULL: off */
    struct admin_parts parts;
    pthread_mutex_t lock; /* guards cause, follower, reload and certificates */
    char cause[SESSION_CAUSE_BYTES];
    struct admin_reload reload;
    struct admin_certificates certificates;
    char topology_logged[900]; /* control thread: the last logged state, to log it only once */
    int64_t stats_since_ms;    /* control thread */
    int64_t warned_since_ms;   /* control thread */
    _Atomic int64_t sample_period_ms; /* set by the main thread */
    _Atomic int64_t stats_period_ms;  /* set by the main thread */
    atomic_bool paused;
    atomic_bool draining;
    atomic_bool topology_changed; /* and not followed yet */
    bool drain_begun;             /* control thread */
    unsigned next_worker;         /* control thread */
    /* Main thread. */
    struct certificate_watch watch;
    struct upkeep {
        bool was_ready;
        bool reported;         /* that it is not ready */
        int64_t alive_ms;      /* the last message to the watchdog */
        int64_t warned_ms;     /* the last warnings about certificates */
        unsigned warned_count; /* certificates with a warning then */
        int64_t looked_ms;     /* at the validity of certificates */
    } upkeep;
    unsigned worker_count;
    struct session_worker *workers[WORKERS_MAX];
};

#endif
