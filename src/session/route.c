#include "session/route.h"

#include <string.h>

/* Sorted by name (checked by a unit test). */
static const struct route routes[] = {
    {"abortTransaction", ROUTE_END_TRANSACTION, false},
    {"aggregate", ROUTE_WRITE, false},
    {"authenticate", ROUTE_AUTHENTICATION, true},
    {"buildInfo", ROUTE_FORWARD, true},
    {"buildinfo", ROUTE_FORWARD, true},
    {"bulkWrite", ROUTE_WRITE, false},
    {"collMod", ROUTE_DEFINE, false},
    {"commitTransaction", ROUTE_END_TRANSACTION, false},
    {"create", ROUTE_DEFINE, false},
    {"drop", ROUTE_DEFINE, false},
    {"dropDatabase", ROUTE_DEFINE, false},
    {"findAndModify", ROUTE_WRITE, false},
    {"findandmodify", ROUTE_WRITE, false},
    {"getMore", ROUTE_GET_MORE, false},
    {"hello", ROUTE_HELLO, true},
    {"insert", ROUTE_WRITE, false},
    {"isMaster", ROUTE_HELLO, true},
    {"ismaster", ROUTE_HELLO, true},
    {"logout", ROUTE_AUTHENTICATION, true},
    {"mongosluice", ROUTE_STATUS, false},
    {"ping", ROUTE_FORWARD, true},
    {"renameCollection", ROUTE_DEFINE, false},
    {"saslContinue", ROUTE_AUTHENTICATION, true},
    {"saslStart", ROUTE_AUTHENTICATION, true},
    {"update", ROUTE_WRITE, false},
};

static const struct route forward = {"", ROUTE_FORWARD, false};

static int compare(const char *name, size_t len, const struct route *route)
{
    size_t route_len = strlen(route->name);
    int order = memcmp(name, route->name, len < route_len ? len : route_len);
    return order != 0 ? order : (len > route_len) - (len < route_len);
}

const struct route *route_find(const char *name, size_t len)
{
    size_t low = 0;
    size_t high = sizeof routes / sizeof routes[0];
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
    return &forward;
}
