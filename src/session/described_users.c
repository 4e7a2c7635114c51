#include "session/described_users.h"

#include <stdio.h>

#include "auth/claim.h"
#include "session/client.h"
#include "session/lease.h"

const char *described_users(const struct client *client, char out[SESSION_IDENTITY_BYTES])
{
    const struct standing *standing = lease_standing(client);
    if (standing_is_known(&client->shared_as))
        standing = &client->shared_as;
    if (standing == NULL)
        return claim_describe(client->claim, out, SESSION_IDENTITY_BYTES);
    (void)snprintf(out, SESSION_IDENTITY_BYTES, "%s", standing_text(standing));
    return out;
}
