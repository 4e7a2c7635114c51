/* The state of a login of the proxy (pool_login.h). */
#ifndef SLUICE_SESSION_POOL_LOGIN_STATE_H
#define SLUICE_SESSION_POOL_LOGIN_STATE_H

#include "auth/login_as.h"

struct pool_login {
    struct login_as *as;
    struct verifier *verifier; /* retained */
    int32_t request_id;
    bool asked; /* for the identity, after the login */
};

/* NULL is allowed. */
void pool_login_free(struct pool_login *login);

#endif
