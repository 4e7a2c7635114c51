/* What all sessions of the proxy share, and what they ask of those who know the topology. */
#ifndef SLUICE_SESSION_SESSION_SHARED_H
#define SLUICE_SESSION_SESSION_SHARED_H

#include <stdatomic.h>

#include "merge/retry_table.h"
#include "net/budget.h"
#include "session/bulk_cursors.h"
#include "session/schemas_in_force.h"
#include "session/transactions.h"

enum { SESSION_CAUSE_BYTES = 400 };

/* What sessions ask of those who know the topology. Called on any worker's thread. */
struct session_hooks {
    void *context;
    /* The proxy's port of an upstream member ("host:port" as hello names it), or 0 when clients
     * must not be told of it. A member not seen before gets its listener here. */
    uint16_t (*port_of_member)(void *context, const char *member, size_t len);
    /* Why no server is known, for the error that clients get. */
    void (*explain_no_server)(void *context, char cause[SESSION_CAUSE_BYTES]);
    /* A command is about to be sent that may change the validators of those namespaces
     * ("database.collection", "database." for all of it, "" for all; `second` may be NULL). From
     * now on they are not enforced. Answers the number of the change; 0: nobody follows validators.
     */
    uint32_t (*collections_change)(void *context, const char *first, const char *second);
    /* It was answered; or, `lost`, it will not be. */
    void (*collections_changed)(void *context, uint32_t change, bool lost);
};

/* One for the whole proxy; outlives the workers. */
struct session_shared {
    struct budget budget;
    atomic_uint clients_now;  /* without the refused ones */
    atomic_uint refused_now;  /* over max_client_conn, still to be told so */
    _Atomic uint64_t last_id; /* of connections, as logged */
    int64_t started_ms;       /* clock_now_ms */
    struct transactions *transactions;
    struct bulk_cursors *bulk_cursors;
    struct retry_table *retries;
    struct schemas_in_force in_force;
    struct session_hooks hooks;
};

#endif
