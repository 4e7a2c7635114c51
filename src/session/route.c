#include "session/route.h"

#include <string.h>

/* Sorted by name (checked by a unit test); the first row stands for all names that have none. */
static const struct route routes[] = {
    {"", ROUTE_FORWARD, false, true},
    {"abortTransaction", ROUTE_END_TRANSACTION, false},
    {"aggregate", ROUTE_WRITE, false},
    {"authenticate", ROUTE_AUTHENTICATION, true},
    {"buildInfo", ROUTE_FORWARD, true},
    {"buildinfo", ROUTE_FORWARD, true},
    {"bulkWrite", ROUTE_WRITE, false},
    {"collMod", ROUTE_DEFINE, false, true},
    {"collStats", ROUTE_FORWARD, false},
    {"commitTransaction", ROUTE_END_TRANSACTION, false},
    {"connectionStatus", ROUTE_FORWARD, false},
    {"count", ROUTE_FORWARD, false},
    {"create", ROUTE_DEFINE, false, true},
    {"createIndexes", ROUTE_FORWARD, false},
    {"currentOp", ROUTE_FORWARD, false},
    {"dbStats", ROUTE_FORWARD, false},
    {"delete", ROUTE_FORWARD, false},
    {"distinct", ROUTE_FORWARD, false},
    {"drop", ROUTE_DEFINE, false},
    {"dropDatabase", ROUTE_DEFINE, false},
    {"dropIndexes", ROUTE_FORWARD, false},
    {"endSessions", ROUTE_END_SESSIONS, false},
    {"explain", ROUTE_FORWARD, false},
    {"find", ROUTE_FORWARD, false},
    {"findAndModify", ROUTE_WRITE, false},
    {"findandmodify", ROUTE_WRITE, false},
    {"getMore", ROUTE_GET_MORE, false},
    {"getParameter", ROUTE_FORWARD, false},
    {"hello", ROUTE_HELLO, true},
    {"insert", ROUTE_WRITE, false},
    {"isMaster", ROUTE_HELLO, true},
    {"ismaster", ROUTE_HELLO, true},
    {"killAllSessions", ROUTE_END_ALL_SESSIONS, false},
    {"killAllSessionsByPattern", ROUTE_END_ALL_SESSIONS, false},
    {"killCursors", ROUTE_KILL_CURSORS, false},
    {"killSessions", ROUTE_END_SESSIONS, false},
    {"listCollections", ROUTE_FORWARD, false},
    {"listDatabases", ROUTE_FORWARD, false},
    {"listIndexes", ROUTE_FORWARD, false},
    {"logout", ROUTE_AUTHENTICATION, true},
    {"mongosluice", ROUTE_STATUS, false},
    {"ping", ROUTE_FORWARD, true},
    {"refreshSessions", ROUTE_FORWARD, false},
    {"renameCollection", ROUTE_DEFINE, false, true},
    {"saslContinue", ROUTE_AUTHENTICATION, true},
    {"saslStart", ROUTE_AUTHENTICATION, true},
    {"serverStatus", ROUTE_FORWARD, false},
    {"update", ROUTE_WRITE, false},
    {"usersInfo", ROUTE_FORWARD, false},
    {"validate", ROUTE_FORWARD, false},
};
enum { ROUTE_COUNT = sizeof routes / sizeof routes[0] };
_Static_assert((int)ROUTE_COUNT <= (int)ROUTES_MAX, "raise ROUTES_MAX");

static int compare(const char *name, size_t len, const struct route *route)
{
    size_t route_len = strlen(route->name);
    int order = memcmp(name, route->name, len < route_len ? len : route_len);
    return order != 0 ? order : (len > route_len) - (len < route_len);
}

const struct route *route_find(const char *name, size_t len)
{
    size_t low = 0;
    size_t high = ROUTE_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(name, len, &routes[middle]);
        if (order == 0)
            return &routes[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return &routes[0];
}

size_t route_index(const struct route *route)
{
    return (size_t)(route - routes);
}

size_t route_count(void)
{
    return ROUTE_COUNT;
}

const char *route_name(size_t index)
{
    return routes[index].name;
}
