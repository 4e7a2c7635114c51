/* The data that all sessions of the proxy share, and their questions about the topology. */
#ifndef SLUICE_SESSION_SESSION_SHARED_H
#define SLUICE_SESSION_SESSION_SHARED_H

#include <stdatomic.h>

#include "merge/retry_table.h"
#include "net/budget.h"
#include "session/awaited_cursors.h"
#include "session/bulk_cursors.h"
#include "session/hello_board.h"
#include "session/schemas_in_force.h"
#include "session/transactions.h"

struct hello_streams;
struct exporter;

enum { SESSION_CAUSE_BYTES = 400 };

/* The sessions' questions about the topology. Called on any worker's thread. */
struct session_hooks {
    void *context;
    /* The proxy's port of an upstream member ("host:port" as in hello); 0 if the proxy must hide
     * it. An unknown member gets its listener here. */
    uint16_t (*port_of_member)(void *context, const char *member, size_t len);
    /* The reason why no server is known, for the clients' error. */
    void (*explain_no_server)(void *context, char cause[SESSION_CAUSE_BYTES]);
    /* Called before a command that may change the validators of these namespaces
     * ("database.collection", "database." for a whole database, "" for all; `second` may be NULL).
     * From now on they are not enforced. Returns the number of the change; 0: the proxy does not
     * follow validators. */
    uint32_t (*collections_change)(void *context, const char *first, const char *second);
    /* The command was answered, or (`lost`) will get no answer. */
    void (*collections_changed)(void *context, uint32_t change, bool lost);
};

/* One for the whole proxy; outlives the workers. */
struct limits;
struct verifiers;

struct session_shared {
    struct budget budget;
    atomic_uint clients_now;  /* without the refused ones */
    atomic_uint refused_now;  /* above max_client_conn, waiting for their error */
    _Atomic uint64_t last_id; /* of connections, as logged */
    int64_t started_ms;       /* clock_now_ms */
    unsigned workers;         /* they divide the limits of pools; 0: one */
    struct transactions *transactions;
    struct bulk_cursors *bulk_cursors;
    struct awaited_cursors *awaited_cursors;
    struct retry_table *retries;
    struct limits *limits;       /* the counts of limits.rules */
    struct verifiers *verifiers; /* NULL: the proxy checks no logins; borrowed */
    struct schemas_in_force in_force;
    struct hello_board hello_board;
    struct hello_streams *hello_streams;
    struct exporter *exporter; /* of spans; NULL: none */
    struct session_hooks hooks;
    const char *own_id;          /* ends the driver's version in the hello of our own monitoring */
    atomic_bool leads_to_itself; /* that hello came to a listener of this proxy */
};

#endif
