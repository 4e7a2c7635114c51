#include "session/pool_login_state.h"

#include "base/memory.h"

void pool_login_free(struct pool_login *login)
{
    if (login == NULL)
        return;
    login_as_free(login->as);
    verifier_release(login->verifier);
    memory_free(login);
}
