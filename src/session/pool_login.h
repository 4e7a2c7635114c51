/* The proxy's login on a new connection of a pool, as the user whose credential its clients have
 * proved (auth/login_as.h). After it, the server must name exactly this user. */
#ifndef SLUICE_SESSION_POOL_LOGIN_H
#define SLUICE_SESSION_POOL_LOGIN_H

#include "auth/verifier.h"
#include "session/upstream_connection.h"

enum pool_login_step {
    POOL_LOGIN_MORE,  /* a command was sent: pass its reply to pool_login_take */
    POOL_LOGIN_DONE,  /* the connection belongs to this user (connection->verifier) */
    POOL_LOGIN_STALE, /* the server does not accept the credential any more */
    POOL_LOGIN_FAILED /* *err says why */
};

/* Sends the first command. The ClientKey of the verifier is known. */
enum pool_login_step pool_login_begin(struct upstream_connection *connection,
                                      struct verifier *verifier, struct error *err);
enum pool_login_step pool_login_take(struct upstream_connection *connection, struct bytes document,
                                     struct error *err);
#endif
