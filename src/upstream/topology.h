/* Which servers the upstream consists of, as libmongoc's monitoring finds them (the driver
 * specification "Server Discovery and Monitoring"). Monitoring runs on libmongoc's own threads and
 * without credentials. The source of truth is libmongoc; this keeps a copy that may be read from
 * any thread. */
#ifndef SLUICE_UPSTREAM_TOPOLOGY_H
#define SLUICE_UPSTREAM_TOPOLOGY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define TOPOLOGY_ADDRESS_BYTES 264
#define TOPOLOGY_NAME_BYTES    256

struct uri;
struct topology;

enum topology_kind {
    TOPOLOGY_UNKNOWN, /* no server has answered yet */
    TOPOLOGY_SINGLE,  /* a standalone, or any server with directConnection=true */
    TOPOLOGY_REPLICA_SET,
    TOPOLOGY_SHARDED,
    TOPOLOGY_LOAD_BALANCED
};

struct topology_server {
    char address[TOPOLOGY_ADDRESS_BYTES]; /* "host:port" in lower case, "[::1]:27017"; or a path */
    char host[TOPOLOGY_NAME_BYTES];       /* without brackets; or the path of the Unix socket */
    uint16_t port;
    bool is_unix_socket;
    char type[24];        /* "Standalone", "Mongos", "RSPrimary", "RSSecondary", "Unknown", … */
    char last_error[512]; /* why the last check failed; "" when it succeeded */
};

struct topology_snapshot {
    enum topology_kind kind;
    char set_name[TOPOLOGY_NAME_BYTES]; /* "" unless it is a replica set */
    char cause[640]; /* why no server is known, to be shown to clients; "" when one is */
    size_t server_count;
    struct topology_server *servers; /* owned; Unknown ones included */
};

/* Starts monitoring in the background and returns at once; a name that cannot be looked up
 * (mongodb+srv://) or a server that is down is tried again for ever. `changed(arg)` is called on
 * threads of libmongoc, one at a time or several at once, whenever topology_read would answer
 * something new; it must be quick and must not call topology_stop. uri: borrowed for the call. */
struct topology *topology_start(const struct uri *uri, void (*changed)(void *arg), void *arg,
                                struct error *err);

/* Ends the monitoring; no `changed` is running or comes after it. May take as long as one name
 * look-up. NULL is allowed. */
void topology_stop(struct topology *topology);

/* A copy of the present state, released with topology_snapshot_free. False: memory is out. */
bool topology_read(struct topology *topology, struct topology_snapshot *snapshot,
                   struct error *err);
void topology_snapshot_free(struct topology_snapshot *snapshot);

const char *topology_kind_name(enum topology_kind kind);

#endif
