/* What becomes of each command: who takes its request, who looks at its reply, whether it waits
 * while the proxy is paused, whether OP_QUERY may carry it, and what it does to the connection's
 * identity. A command without a row is forwarded byte for byte, once it is held against the
 * schemas: nobody knows what it does. */
#ifndef SLUICE_SESSION_ROUTE_H
#define SLUICE_SESSION_ROUTE_H

#include "session/client.h"
#include "session/identify.h"

enum route_pause { ROUTE_NO_ROW, ROUTE_WAITS, ROUTE_PASSES };
enum route_legacy { ROUTE_MSG_ONLY, ROUTE_QUERY_TOO };

struct route {
    /* Takes the request. Called again where its step says so. NULL: it is forwarded byte for byte.
     */
    enum request_step (*request)(struct client *client, const struct message *message,
                                 struct wire_command *request);
    /* Takes the reply to a forwarded request, whole; false: it is malformed, or memory is out.
     * NULL: it is streamed to the client byte for byte. */
    bool (*reply)(struct client *client, struct reply *reply);
    enum route_pause pause;                        /* while the proxy is paused */
    enum route_legacy legacy;                      /* whether it may come as OP_QUERY */
    enum identity_effect identity;                 /* of the connection that it goes upstream on */
    bool (*reply_if)(const struct client *client); /* only then the reply is taken; NULL: always */
    bool awaitable; /* its reply may wait for a change: nothing runs meanwhile */
};

/* By command; a row of ROUTE_NO_ROW is none. */
extern const struct route route_rows[COMMAND_NAME_COUNT];

/* What a command is counted as: itself, or COMMAND_UNKNOWN where it has no row. */
static inline enum command_name route_counted_as(enum command_name command)
{
    return route_rows[command].pause == ROUTE_NO_ROW ? COMMAND_UNKNOWN : command;
}

/* Never NULL. */
static inline const struct route *route_of(enum command_name command)
{
    return &route_rows[route_counted_as(command)];
}

#endif
