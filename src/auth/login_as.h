/* A login of the proxy at a server, as a user whose ClientKey it knows. Pure: command documents
 * out, reply documents in. */
#ifndef SLUICE_AUTH_LOGIN_AS_H
#define SLUICE_AUTH_LOGIN_AS_H

#include "auth/verifier.h"

struct login_as;

enum login_as_step {
    LOGIN_AS_SEND,  /* *command is the next command: send it, and pass its reply */
    LOGIN_AS_DONE,  /* the connection is logged in */
    LOGIN_AS_STALE, /* the server refuses the key: the password changed, or the user is gone */
    LOGIN_AS_FAILED /* another error, or no answer of this protocol */
};

/* Begins a login; *command is saslStart with its $db. It is valid until the next call. Retains the
 * verifier, whose ClientKey is known. NULL without memory. */
struct login_as *login_as_begin(struct verifier *verifier, const uint8_t random[SCRAM_RANDOM_BYTES],
                                struct bytes *command);
/* Takes the reply to the last command. *err is set for STALE and FAILED. */
enum login_as_step login_as_take(struct login_as *login, struct bytes reply, struct bytes *command,
                                 struct error *err);
/* NULL is allowed. */
void login_as_free(struct login_as *login);

#endif
