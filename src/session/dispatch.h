/* Decides on a request whose command is known: refuses it, holds it, gives it to its handler
 * (route.h), or forwards it. */
#ifndef SLUICE_SESSION_DISPATCH_H
#define SLUICE_SESSION_DISPATCH_H

#include "base/error.h"
#include "session/client.h"

/* The decision on the request at the front of the client's bytes. */
enum decision {
    DECISION_WAIT,    /* client->stage names the awaited event */
    DECISION_FORWARD, /* send its bytes upstream */
    DECISION_TAKEN,   /* drop its bytes */
    DECISION_STOP     /* the client left CLIENT_ACTIVE */
};

enum decision dispatch_request(struct client *client, const struct message *message,
                               struct wire_command *request);
/* Continues client->checking. `data` is the present place of its message, which moves when bytes
 * that were just read are kept. */
enum decision dispatch_checking(struct client *client, const uint8_t *data);
/* Refuses a removed opcode, or a command that OP_QUERY may no longer carry (request, otherwise
 * NULL). */
enum decision dispatch_legacy(struct client *client, const struct message *message,
                              const struct wire_command *request);

/* Answers the request with the error, if its opcode has a reply of a known form and the request is
 * not silent (it wants no reply). Earlier requests get their replies first: until then the request
 * waits. */
enum decision dispatch_refuse(struct client *client, const struct wire_header *header, bool silent,
                              const struct error *error, uint32_t labels, enum counter counter);

/* Leaves the request in place until more of it has arrived. */
enum decision dispatch_gather(struct client *client);
/* Leaves it until the next turn: one read may contain thousands of requests that the proxy refuses
 * or that need no reply, and one request may take long. */
enum decision dispatch_next_turn(struct client *client);

#endif
