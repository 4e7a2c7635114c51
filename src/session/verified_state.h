/* The state of a client's logins at the proxy (verified.h). */
#ifndef SLUICE_SESSION_VERIFIED_STATE_H
#define SLUICE_SESSION_VERIFIED_STATE_H

#include "auth/sasl.h"
#include "session/client.h"

struct verified {
    struct verified *prev, *next; /* of worker->asking */
    struct client *client;
    struct verifier *as;                    /* retained; NULL: the proxy did not log it in */
    struct sasl_conversation *conversation; /* NULL: none is under way */
    int64_t asked_us;                       /* the first question of the present request; 0: none */
    struct verifier *before;                /* `as` before the login that waits; NULL: none */
    uint8_t rounds;                         /* the questions of the present request */
    bool passes;                            /* the present request was left to the server */
    bool yields; /* the present request waits until the client has no lease */
    bool asking; /* in worker->asking */
    bool proved; /* waits for the first connection of the pool */
    bool silent; /* the present request wants no reply */
};

/* The credential that the client has proved; NULL: the proxy did not log it in. */
struct verifier *verified_as(const struct client *client);
/* True if a login waits for the first connection of its pool. */
bool verified_waits(const struct client *client);

/* True if the client's present request waits until its lease is given back. */
bool verified_yields(const struct client *client);
/* The request was decided on. */
void verified_decided(struct client *client);

/* client->verified, made at need. NULL without memory. */
struct verified *verified_begin(struct client *client);
void verified_end_conversation(struct verified *verified);
/* The client's login is handled again after the source's next answer. */
void verified_ask(struct verified *verified);
/* The source of verifiers has answered: the waiting logins are put into worker->to_resume. */
void verified_answered(struct session_worker *worker);
/* The client ends, or the server logs it in. */
void verified_end(struct client *client);

#endif
