/* The route of each command: the handler of its request, the handler of its reply, its behaviour
 * during a pause, whether OP_QUERY may carry it, and its effect on the connection's identity. A
 * command without a row is checked against the schemas and forwarded byte for byte. */
#ifndef SLUICE_SESSION_ROUTE_H
#define SLUICE_SESSION_ROUTE_H

#include "session/client.h"
#include "session/identify.h"

enum route_pause { ROUTE_NO_ROW, ROUTE_WAITS, ROUTE_PASSES };
enum route_legacy { ROUTE_MSG_ONLY, ROUTE_QUERY_TOO };

struct route {
    /* Takes the request; its step may ask for another call. NULL: the proxy forwards the request
     * byte for byte. */
    enum request_step (*request)(struct client *client, const struct message *message,
                                 struct wire_command *request);
    /* Takes the whole reply to a forwarded request. False: the reply is malformed, or memory is
     * out. NULL: the proxy streams the reply to the client byte for byte. */
    bool (*reply)(struct client *client, struct reply *reply);
    enum route_pause pause;        /* during a pause */
    enum route_legacy legacy;      /* OP_QUERY may carry it */
    enum identity_effect identity; /* on its upstream connection */
    /* A condition for calling `reply`; NULL: always. */
    bool (*reply_if)(const struct client *client, const struct wire_command *request);
    bool awaitable; /* a hello: the server may hold its reply back until a change */
};

/* By command; ROUTE_NO_ROW marks a missing row. */
extern const struct route route_rows[COMMAND_NAME_COUNT];

/* The command for counters: itself, or COMMAND_UNKNOWN without a row. */
static inline enum command_name route_counted_as(enum command_name command)
{
    return route_rows[command].pause == ROUTE_NO_ROW ? COMMAND_UNKNOWN : command;
}

/* True for a command of MongoDB without a row that cannot change the identity of its connection. */
bool route_keeps_identity(enum command_name command);

/* Never NULL. */
static inline const struct route *route_of(enum command_name command)
{
    return &route_rows[route_counted_as(command)];
}

#endif
