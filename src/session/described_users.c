#include "session/described_users.h"

#include <stdio.h>

#include "auth/claim.h"
#include "auth/verifier.h"
#include "session/client.h"
#include "session/lease.h"
#include "session/verified_state.h"

static const char *copy(const char *text, char out[SESSION_IDENTITY_BYTES])
{
    (void)snprintf(out, SESSION_IDENTITY_BYTES, "%s", text);
    return out;
}

static const char *name_verifier(const struct verifier *verifier, char out[SESSION_IDENTITY_BYTES])
{
    struct bytes user = verifier_user(verifier);
    struct bytes database = verifier_database(verifier);
    (void)snprintf(out, SESSION_IDENTITY_BYTES, "%.*s@%.*s", (int)bytes_left(&user),
                   (const char *)user.pos, (int)bytes_left(&database), (const char *)database.pos);
    return out;
}

const char *described_users(const struct client *client, char out[SESSION_IDENTITY_BYTES])
{
    const struct standing *standing = lease_standing(client);
    const struct verifier *verifier = verified_as(client);
    if (standing_is_known(&client->shared_as))
        return copy(standing_text(&client->shared_as), out);
    if (verifier != NULL)
        return name_verifier(verifier, out);
    return standing != NULL ? copy(standing_text(standing), out)
                            : claim_describe(client->claim, out, SESSION_IDENTITY_BYTES);
}

const char *described_users_of(const struct upstream_connection *connection,
                               char out[SESSION_IDENTITY_BYTES])
{
    if (connection->verifier != NULL)
        return name_verifier(connection->verifier, out);
    return copy(standing_is_known(&connection->shared_as) ? standing_text(&connection->shared_as)
                                                          : "",
                out);
}
