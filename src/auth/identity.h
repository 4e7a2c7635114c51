/* The identity of a connection, from the server's reply to connectionStatus on this connection.
 * Merging relies on it alone. Pure. Source: MongoDB's manual, "connectionStatus". */
#ifndef SLUICE_AUTH_IDENTITY_H
#define SLUICE_AUTH_IDENTITY_H

#include "base/bytes.h"

enum { IDENTITY_KEY_BYTES = 32, IDENTITY_USERS_MAX = 8, IDENTITY_TEXT_BYTES = 256 };

struct identity {
    bool nobody; /* no user is logged in, or the server has no access control */
    /* Equal if and only if the sets of users are equal (name and database, by SHA-256); all zeros
     * without a user. Servers separate logical sessions in this way. */
    uint8_t users[IDENTITY_KEY_BYTES];
    /* Like `users`, with the roles. With some mechanisms (MONGODB-X509, MONGODB-OIDC, LDAP) a name
     * may have other roles on another connection. */
    uint8_t rights[IDENTITY_KEY_BYTES];
    char text[IDENTITY_TEXT_BYTES]; /* "alice@admin, carol@shop", cut to fit; "" without a user */
};

/* Reads the reply document. False if the identity is unclear: the reply is an error or has another
 * form than servers send, it contains an important field twice, or it names more than
 * IDENTITY_USERS_MAX users. */
bool identity_read(struct bytes reply, struct identity *out);

/* True if the reply to a command is an error that comes of the connection's users: they may have
 * lost their login. */
bool identity_is_doubted(struct bytes reply);

/* The `users` of an identity that consists of this user alone. False only if OpenSSL fails. */
bool identity_of_user(struct bytes name, struct bytes database, uint8_t out[IDENTITY_KEY_BYTES]);

#endif
