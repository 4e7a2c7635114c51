/* The commands saslStart and saslContinue (and `speculativeAuthenticate` of a hello) for SCRAM: the
 * server's side with a verifier. Pure: bodies in, reply documents out. The identity is fixed by the
 * first message; nothing later in the conversation can change it.
 *
 * Source: MongoDB's driver specification "Authentication". */
#ifndef SLUICE_AUTH_SASL_H
#define SLUICE_AUTH_SASL_H

#include "auth/verifier.h"
#include "bson/build.h"

/* A saslStart with SCRAM. */
struct sasl_start {
    enum scram_hash hash;
    bool skip_empty; /* options.skipEmptyExchange: no empty message at the end */
    bool as_text;    /* the payload is base64 in a string, and so are the replies' */
    struct scram_first first;
    size_t payload_len;
    uint8_t payload[SCRAM_FIRST_BYTES];
};

enum sasl_kind {
    SASL_SCRAM, /* *out is set, but for a malformed payload */
    SASL_OTHER  /* another mechanism, or a form that no driver sends: not for the proxy */
};

/* `body` is the command, or the value of speculativeAuthenticate. For SASL_SCRAM, *fine is false if
 * its payload is malformed; *err then says how. */
enum sasl_kind sasl_start_read(struct bytes body, struct sasl_start *out, bool *fine,
                               struct error *err);

/* A conversation from its first message to its end. */
struct sasl_conversation;

/* Begins it, as `verifier` (retained), or as a user that does not exist: with invented keys, and
 * verifier NULL. Adds the fields of the reply to the open document: conversationId, done, payload.
 * NULL without memory. */
struct sasl_conversation *sasl_begin(const struct sasl_start *start, struct verifier *verifier,
                                     const struct scram_keys *invented,
                                     const uint8_t random[SCRAM_RANDOM_BYTES], struct build *reply);

enum sasl_step {
    SASL_REFUSED, /* *err: for the log. The conversation is over; clients learn only "failed" */
    SASL_MORE,    /* the proof is right; the client sends an empty message more */
    SASL_DONE     /* the login is complete */
};
enum sasl_step sasl_continue(struct sasl_conversation *conversation, struct bytes body,
                             struct error *err);
/* After MORE and DONE: adds the fields of the reply to the open document. May be called again. */
void sasl_answer(const struct sasl_conversation *conversation, struct build *reply);

/* NULL for a user that does not exist. */
struct verifier *sasl_verifier(const struct sasl_conversation *conversation);
/* NULL is allowed. */
void sasl_free(struct sasl_conversation *conversation);

#endif
