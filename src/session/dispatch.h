/* A request whose command is known: refused, held, given to its handler (route.h), or forwarded. */
#ifndef SLUICE_SESSION_DISPATCH_H
#define SLUICE_SESSION_DISPATCH_H

#include "base/error.h"
#include "session/client.h"

/* What becomes of the request at the front. */
enum decision {
    DECISION_WAIT,    /* client->stage says what for */
    DECISION_FORWARD, /* its bytes go upstream */
    DECISION_TAKEN,   /* its bytes are to be dropped */
    DECISION_STOP     /* the client left CLIENT_ACTIVE */
};

enum decision dispatch_request(struct client *client, const struct message *message,
                               struct wire_command *request);
/* The next portion of client->checking. Its message stands at `data`, where it stood, unless it was
 * read but a moment ago and kept since. */
enum decision dispatch_checking(struct client *client, const uint8_t *data);
/* A removed opcode, or a command that OP_QUERY may no longer carry (request, else NULL). */
enum decision dispatch_legacy(struct client *client, const struct message *message,
                              const struct wire_command *request);

/* The error goes to the client where its request can be answered at all: an opcode whose reply has
 * a known form. What it asked before gets its replies first: until then the request waits, and is
 * looked at again. */
enum decision dispatch_refuse(struct client *client, const struct wire_header *header,
                              const struct error *error, uint32_t labels, enum counter counter);

/* The request stays where it is, and is looked at again when more of it is there. */
enum decision dispatch_gather(struct client *client);
/* The same, at the next turn: a read may hold thousands of requests that need no reply or that the
 * proxy refuses itself, and one may take long. */
enum decision dispatch_next_turn(struct client *client);

#endif
