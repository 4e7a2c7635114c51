/* Which commands leave the pass-through path, and how. The table is the place where validation and
 * merging hook in: a command of ROUTE_FORWARD, or one that is not in it, is forwarded byte for
 * byte. It also bounds the names that commands are counted by. Pure. */
#ifndef SLUICE_SESSION_ROUTE_H
#define SLUICE_SESSION_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

enum route_kind {
    ROUTE_FORWARD,          /* byte for byte, the reply streamed */
    ROUTE_HELLO,            /* the reply's addresses and limits are rewritten */
    ROUTE_AUTHENTICATION,   /* watched, to know the identity */
    ROUTE_END_TRANSACTION,  /* the reply tells whether a transaction is over */
    ROUTE_WRITE,            /* held against the schemas, where the namespace has one */
    ROUTE_GET_MORE,         /* the results of a bulkWrite may have to be numbered anew */
    ROUTE_KILL_CURSORS,     /* those of a bulkWrite go, as the reply says */
    ROUTE_END_SESSIONS,     /* what is known of their retryable writes goes */
    ROUTE_END_ALL_SESSIONS, /* the same for all, when the reply says that it was done */
    ROUTE_DEFINE,           /* may change a collection's validator: the reply tells */
    ROUTE_STATUS,           /* answered by the proxy itself */
};

enum { ROUTES_MAX = 64 };

struct route {
    const char *name;
    enum route_kind kind;
    bool legacy_allowed; /* may come as OP_QUERY */
    bool writes;         /* held against the schemas, beside its kind; ROUTE_WRITE always is */
};

/* Never NULL: an unknown command has the route of its own name's absence, ROUTE_FORWARD. */
const struct route *route_find(const char *name, size_t len);

/* Position in the table; 0 is that of all commands that are not in it, whose name is "". */
size_t route_index(const struct route *route);
size_t route_count(void); /* at most ROUTES_MAX */
const char *route_name(size_t index);

#endif
