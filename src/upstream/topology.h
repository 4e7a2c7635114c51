/* The servers of the upstream, as libmongoc's monitoring finds them (driver specification "Server
 * Discovery and Monitoring"). Monitoring runs on libmongoc's threads and without credentials.
 * libmongoc is the source of truth; this module keeps a copy that every thread may read. */
#ifndef SLUICE_UPSTREAM_TOPOLOGY_H
#define SLUICE_UPSTREAM_TOPOLOGY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define TOPOLOGY_ADDRESS_BYTES 264
#define TOPOLOGY_NAME_BYTES    256

struct uri;
struct topology;

/* The cause while nothing has failed yet. */
#define TOPOLOGY_NO_ANSWER_YET "no server has answered yet"

enum topology_kind {
    TOPOLOGY_UNKNOWN, /* no server has answered yet */
    TOPOLOGY_SINGLE,  /* a standalone, or any server with directConnection=true */
    TOPOLOGY_REPLICA_SET,
    TOPOLOGY_SHARDED,
    TOPOLOGY_LOAD_BALANCED
};

/* The types of the driver specification "Server Discovery and Monitoring". */
enum topology_server_type {
    TOPOLOGY_SERVER_UNKNOWN,
    TOPOLOGY_SERVER_STANDALONE,
    TOPOLOGY_SERVER_MONGOS,
    TOPOLOGY_SERVER_POSSIBLE_PRIMARY,
    TOPOLOGY_SERVER_RS_PRIMARY,
    TOPOLOGY_SERVER_RS_SECONDARY,
    TOPOLOGY_SERVER_RS_ARBITER,
    TOPOLOGY_SERVER_RS_OTHER,
    TOPOLOGY_SERVER_RS_GHOST,
    TOPOLOGY_SERVER_LOAD_BALANCER,
    TOPOLOGY_SERVER_TYPES
};

struct topology_server {
    char address[TOPOLOGY_ADDRESS_BYTES]; /* "host:port" in lower case, "[::1]:27017"; or a path */
    char host[TOPOLOGY_NAME_BYTES];       /* without brackets; or the path of the Unix socket */
    uint16_t port;
    bool is_unix_socket;
    char set_name[TOPOLOGY_NAME_BYTES]; /* that it named last; "" if it is in no set */
    enum topology_server_type type;     /* never POSSIBLE_PRIMARY: that counts as UNKNOWN */
    char last_error[512]; /* the reason of the last failed check; "" after a successful one */
};

struct topology_snapshot {
    enum topology_kind kind;
    char set_name[TOPOLOGY_NAME_BYTES]; /* "" unless it is a replica set */
    char cause[640]; /* the reason why no server is known, for clients; "" if one is known */
    size_t server_count;
    struct topology_server *servers; /* owned; includes Unknown ones */
};

/* Starts monitoring in the background and returns at once. It retries a failed lookup
 * (mongodb+srv://) and a server that is down forever. `changed(arg)` is called on threads of
 * libmongoc, possibly on several at once, whenever topology_read would return something new. It
 * must be quick and must not call topology_stop. `uri` is borrowed during the call. */
struct topology *topology_start(const struct uri *uri, void (*changed)(void *arg), void *arg,
                                struct error *err);

/* Ends the monitoring; `changed` does not run any more after it returns. May take as long as one
 * name lookup. NULL is allowed. */
void topology_stop(struct topology *topology);

/* A copy of the present state; release it with topology_snapshot_free. False without memory. */
bool topology_read(struct topology *topology, struct topology_snapshot *snapshot,
                   struct error *err);
void topology_snapshot_free(struct topology_snapshot *snapshot);

const char *topology_kind_name(enum topology_kind kind);
/* The specification's name: "RSPrimary". */
const char *topology_server_type_name(enum topology_server_type type);

#endif
